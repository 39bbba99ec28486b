"""What the network's 5 V outputs mean.

First 3 V numbers: vertices (x, y, z) in world space, times 10. Then 2 V: their
projections (x, y) in crop pixels, over S/2, minus 1. The scales are those of
the published trainer, so that both halves are of order one (paper, sec. 2.1).

Notation   B  images     V  vertices     S  crop side, pixels
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

VERTEX_SCALE = 10.0


def encode(verts: Tensor, points: Tensor, size: int) -> Tensor:
    """Targets of a batch: verts (B, V, 3) metres, points (B, V, 2) crop pixels -> (B, 5V)."""
    return torch.cat([(verts * VERTEX_SCALE).flatten(1), (points / (size / 2) - 1).flatten(1)], dim=1)


def split(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 5V) -> normalised vertices (B, V, 3) and landmarks (B, V, 2)."""
    count = outputs.shape[1] // 5
    return outputs[:, : 3 * count].view(-1, count, 3), outputs[:, 3 * count :].view(-1, count, 2)


def decode(outputs: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """(B, 5V) -> vertices (B, V, 3) metres, points (B, V, 2) crop pixels."""
    verts, points = split(outputs)
    return verts / VERTEX_SCALE, (points + 1) * (size / 2)


def to_full_image(points: Tensor, crop: Tensor) -> Tensor:
    """Crop pixels back to full-image pixels.

    points (B, V, 2);  crop (B, 2, 3) takes homogeneous full-image pixels to crop pixels
    returns (B, V, 2)
    """
    (a, b), (c, d) = (row.unbind(-1) for row in crop[:, :, :2].unbind(1))
    inverse = torch.stack([d, -b, -c, a], dim=-1).view(-1, 2, 2) / (a * d - b * c)[:, None, None]
    return _mapped(points - crop[:, None, :, 2], inverse)


def to_crop(points: Tensor, crop: Tensor) -> Tensor:
    """Full-image pixels (B, V, 2) to crop pixels (B, V, 2), by crop (B, 2, 3)."""
    return _mapped(points, crop[:, :, :2]) + crop[:, None, :, 2]


def _mapped(points: Tensor, matrix: Tensor) -> Tensor:
    """matrix (B, 2, 2) times each of points (B, V, 2).

    Spelt out, since a GPU may round the factors of a float32 matrix product to 11 bits: a tenth of a pixel
    here, 0.2 mm of L_error for a perfect prediction.
    """
    x, y = points.unbind(-1)
    (a, b), (c, d) = (row[:, :, None].unbind(1) for row in matrix.unbind(1))
    return torch.stack([a * x + b * y, c * x + d * y], dim=-1)


def unflip(verts: Tensor, points: Tensor, flip_index: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Predictions on a mirrored crop, carried back to the crop itself.

    verts (B, V, 3) metres, points (B, V, 2) crop pixels, flip_index (V,) the mesh's mirror permutation.
    """
    verts, points = verts[:, flip_index].clone(), points[:, flip_index].clone()
    verts[..., 0].neg_()
    points[..., 0] = size - 1 - points[..., 0]
    return verts, points


def reconstruct(
    predict: Callable[[Tensor], Tensor], inputs: Tensor, crop: Tensor, flip_index: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """A network's vertices and landmarks, averaged with those of the mirrored crop where flip_index is given.

    predict: (B, 3, S, S) -> (B, 5V);  inputs (B, 3, S, S) in [-1, 1];  crop (B, 2, 3), full-image to crop px;
    flip_index (V,);  returns verts (B, V, 3) metres, points (B, V, 2) full-image pixels
    """
    size = inputs.shape[-1]
    verts, points = decode(predict(inputs), size)
    if flip_index is not None:
        mirrored = unflip(*decode(predict(inputs.flip(3)), size), flip_index, size)
        verts, points = (verts + mirrored[0]) / 2, (points + mirrored[1]) / 2
    return verts, to_full_image(points, crop)
