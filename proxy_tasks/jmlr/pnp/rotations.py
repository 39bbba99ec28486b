"""Small rotations of batched matrices, without trigonometry.

A rotation vector w becomes the unit quaternion (1, w / 2) / |(1, w / 2)|: an exact rotation about w by
2 atan(|w| / 2), which is |w| to third order and stays below half a turn however long the step.
"""

from __future__ import annotations

from functools import cache
from itertools import permutations, product

import torch
from torch import Tensor


def rotate(step: Tensor, matrix: Tensor) -> Tensor:
    """`matrix` turned by `step`: step (..., 3) radians, matrix (..., 3, 3), returns (..., 3, 3).

    With h = hat(step) / 2 the rotation is I + 2 (h + h h) / (1 + |step|^2 / 4).
    """
    half = 0.5 * hat(step)
    once = half @ matrix
    scale = 2.0 / (1.0 + 0.25 * step.square().sum(-1))
    return torch.addcmul(matrix, scale[..., None, None], once + half @ once)


def hat(vector: Tensor) -> Tensor:
    """Cross-product matrix, hat(a) b = a x b: vector (..., 3), returns (..., 3, 3)."""
    return (vector @ _cross_products(vector.dtype, vector.device)).unflatten(-1, (3, 3))


@cache
def _cross_products(dtype: torch.dtype, device: torch.device) -> Tensor:
    """The matrix (3, 9) that takes a vector to the entries of its cross-product matrix."""
    table = torch.zeros(3, 3, 3, dtype=dtype)
    for k, row, column, sign in ((0, 1, 2, -1), (1, 0, 2, 1), (2, 0, 1, -1)):
        table[k, row, column], table[k, column, row] = sign, -sign
    return table.flatten(1).to(device)


@cache
def octahedral(device: torch.device) -> Tensor:
    """The 24 rotations of a cube, float64 (24, 3, 3): every rotation is within 62.8 degrees of one."""
    matrices = []
    for order, signs in product(permutations(range(3)), product((1.0, -1.0), repeat=2)):
        matrix = torch.zeros(3, 3, dtype=torch.float64)
        matrix[0, order[0]], matrix[1, order[1]] = signs
        matrix[2] = torch.linalg.cross(matrix[0], matrix[1])
        matrices.append(matrix)
    return torch.stack(matrices).to(device)
