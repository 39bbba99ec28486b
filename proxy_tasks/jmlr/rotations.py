"""Small rotations of batched matrices, without trigonometry or a square root of a negative number.

A rotation vector w becomes the unit quaternion (1, w / 2) / |(1, w / 2)|: an exact rotation about w by
2 atan(|w| / 2), which is |w| to third order and stays below half a turn however long the step.
"""

from __future__ import annotations

import torch
from torch import Tensor


def rotate(step: Tensor, matrix: Tensor) -> Tensor:
    """`matrix` turned by `step`: step (..., 3) radians, matrix (..., 3, 3), returns (..., 3, 3)."""
    half = 0.5 * step
    square = (half * half).sum(-1, keepdim=True)
    cross = torch.linalg.cross(half.unsqueeze(-1), matrix, dim=-2)
    along = half.unsqueeze(-1) * (half.unsqueeze(-2) @ matrix)
    scale = (2.0 / (1.0 + square)).unsqueeze(-1)
    return matrix + scale * (cross + along - square.unsqueeze(-1) * matrix)


def hat(vector: Tensor) -> Tensor:
    """Cross-product matrix: hat(a) b = a x b.  vector (..., 3), returns (..., 3, 3)."""
    x, y, z = vector.unbind(-1)
    o = torch.zeros_like(x)
    return torch.stack((o, -z, y, z, o, -x, -y, x, o), -1).unflatten(-1, (3, 3))


def octahedral(dtype: torch.dtype, device: torch.device) -> Tensor:
    """The 24 rotations of a cube (24, 3, 3): no rotation is further than 62.8 degrees from one of them."""
    matrices = []
    for p in ((0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1), (2, 1, 0), (1, 0, 2)):
        for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            matrix = torch.zeros(3, 3, dtype=torch.float64)
            matrix[0, p[0]], matrix[1, p[1]] = signs
            matrix[2] = torch.linalg.cross(matrix[0], matrix[1])
            matrices.append(matrix)
    return torch.stack(matrices).to(dtype=dtype, device=device)
