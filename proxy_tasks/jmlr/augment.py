"""Augmentation of a batch on its device: mirror, colour, and a small similarity, labels following.

Parameters are drawn apart from their use, for a whole global batch from one CPU generator, so that a
rank of a distributed run takes its slice of the same draw and a run repeats on any device.

Mirroring maps x to S - 1 - x, permutes vertices and image points by the mesh's left-right permutation
and negates vertex x. Colour is one multiply-add per channel: brightness and white balance scale the
pixel, contrast scales its distance from mid-grey. The similarity turns, scales and shifts about the
crop's centre; vertices are in the head's own frame and do not move.

tests/test_jmlr_augment.py follows marks through it; tests/bench/bench_augment.py measures.

Notation   B  images     S  crop side, pixels     V  vertices
"""

from __future__ import annotations

import math

import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn.functional import grid_sample

# Columns of the drawn parameters.
_FLIP, _GAIN, _OFFSET, _COSINE, _SINE, _SHIFT, _WIDTH = 0, slice(1, 4), 4, 5, 6, slice(7, 9), 9
_WHITE_BALANCE = 0.25  # a channel's own gain varies by this share of the jitter
_MID = 127.5


class Augment:
    """Draws and applies augmentations of crops of one size on one mesh.

    flip_index (V,) left-right permutation;  size: S;  flip: mirror half of the samples;
    jitter: largest relative change of brightness and of contrast, and a quarter of it of each colour
    channel;  degrees: largest turn;  scale: largest relative change of size;  shift: largest move
    along each axis, as a share of S;  device: where batches will be. Zero switches a part off, and
    without turn, scale and shift the resampling, which is most of the cost, is skipped.
    """

    def __init__(
        self,
        flip_index: ArrayLike,
        size: int,
        *,
        flip: bool = True,
        jitter: float = 0.2,
        degrees: float = 0.0,
        scale: float = 0.0,
        shift: float = 0.0,
        device: torch.device | str = "cpu",
    ) -> None:
        for name, share in (("jitter", jitter), ("scale", scale), ("shift", shift)):
            if not 0.0 <= share < 1.0:
                raise ValueError(f"augmentation {name} is {share}; it must be at least 0 and below 1")
        if not 0.0 <= degrees <= 180.0:
            raise ValueError(f"augmentation turns by {degrees} degrees; it must be from 0 to 180")
        self.size, self.device, self.flip, self.jitter = size, torch.device(device), flip, jitter
        self.degrees, self.scale, self.shift = degrees, scale, shift
        self.moves = degrees > 0 or scale > 0 or shift > 0
        self._mirror_verts = _Mirror(flip_index, (-1.0, 1.0, 1.0), (0.0, 0.0, 0.0), self.device)
        self._mirror_points = _Mirror(flip_index, (-1.0, 1.0), (size - 1.0, 0.0), self.device)
        axis = torch.arange(size, dtype=torch.float32, device=self.device) - (size - 1) / 2.0
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        self._pixels = torch.stack([x, y], dim=-1).reshape(1, -1, 2)  # from the centre

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """(count, 9) parameters on the CPU, one row a sample, to be sliced by row as needed.

        Takes the same amount of randomness whatever the strength, so that runs which differ in one
        setting share all other draws.
        """
        uniform = torch.rand(count, 10, generator=generator)
        signed = uniform * 2.0 - 1.0
        drawn = torch.empty(count, _WIDTH)
        drawn[:, _FLIP] = (uniform[:, 0] < 0.5).float()
        contrast = 1.0 + self.jitter * signed[:, 2]
        channels = 1.0 + _WHITE_BALANCE * self.jitter * signed[:, 3:6]
        brightness = 1.0 + self.jitter * signed[:, 1]
        drawn[:, _GAIN] = channels * (brightness * contrast / _MID)[:, None]
        drawn[:, _OFFSET] = -contrast
        angle, zoom = math.radians(self.degrees) * signed[:, 6], (1.0 + self.scale) ** signed[:, 7]
        drawn[:, _COSINE], drawn[:, _SINE] = zoom * angle.cos(), zoom * angle.sin()
        drawn[:, _SHIFT] = self.shift * self.size * signed[:, 8:]
        return drawn.pin_memory() if self.device.type == "cuda" else drawn

    def apply(
        self, images: Tensor, verts: Tensor, points: Tensor, drawn: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Augmented copies of a batch on the device.

        images (B, S, S, 3) uint8 RGB;  verts (B, V, 3) metres;  points (B, V, 2) crop px;
        drawn (B, 9) of `draw`;  returns images (B, 3, S, S) float32 in [-1, 1], channels last in
        memory, verts and points as given
        """
        if len(drawn) != len(images):
            raise ValueError(f"{len(drawn)} drawn parameters for {len(images)} images")
        p = drawn.to(self.device, non_blocking=True)
        if self.flip:
            flip = p[:, _FLIP, None] > 0.5
            images = _flip_images(images, flip)
            verts, points = self._mirror_verts(verts, flip), self._mirror_points(points, flip)
        if self.moves:
            images, points = self._move(images, p), self._move_points(points, p)
        return self._colour(images, p), verts, points

    def _colour(self, images: Tensor, p: Tensor) -> Tensor:
        """Images (B, S, S, 3) to (B, 3, S, S) in the network's range, each channel by its own line.

        Whole rows of pixels at a time: over an axis of three channels the same sum takes five times as
        long on a CPU.
        """
        gain = p[:, _GAIN].repeat(1, self.size)[:, None]
        rows = images.reshape(len(images), self.size, 3 * self.size).to(torch.float32, copy=True)
        torch.addcmul(p[:, _OFFSET, None, None], rows, gain, out=rows).clamp_(-1.0, 1.0)
        return rows.view(len(images), self.size, self.size, 3).permute(0, 3, 1, 2)

    def _move_points(self, points: Tensor, p: Tensor) -> Tensor:
        """Points (B, N, 2) turned and scaled about the crop's centre, then shifted."""
        centre = (self.size - 1) / 2.0
        x, y = (points - centre).unbind(-1)
        cosine, sine = p[:, _COSINE, None], p[:, _SINE, None]
        moved = torch.stack([cosine * x - sine * y, sine * x + cosine * y], dim=-1)
        return moved + (p[:, None, _SHIFT] + centre)

    def _move(self, images: Tensor, p: Tensor) -> Tensor:
        """Images (B, S, S, 3) sampled where each output pixel comes from; edges are reflected."""
        squared = p[:, _COSINE] ** 2 + p[:, _SINE] ** 2
        cosine, sine = (p[:, _COSINE] / squared)[:, None], (p[:, _SINE] / squared)[:, None]
        x, y = (self._pixels - p[:, None, _SHIFT]).unbind(-1)
        source = torch.stack([cosine * x + sine * y, cosine * y - sine * x], dim=-1)
        grid = (source * (2.0 / (self.size - 1))).view(len(p), self.size, self.size, 2)
        planes = images.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
        moved = grid_sample(planes, grid, padding_mode="reflection", align_corners=True)
        return moved.permute(0, 2, 3, 1)


class _Mirror:
    """What `topology.mirror_verts` and `mirror_points` do, for the samples of a batch that are flipped.

    Works on flattened rows, which a CPU gathers and scales several times as fast as triples.
    """

    def __init__(
        self, flip_index: ArrayLike, sign: tuple[float, ...], offset: tuple[float, ...], device: torch.device
    ) -> None:
        width, permutation = len(sign), torch.as_tensor(flip_index, dtype=torch.int64)
        self._index = (permutation[:, None] * width + torch.arange(width)).reshape(-1).to(device)
        self._sign = torch.tensor(sign).repeat(len(permutation)).to(device)
        self._offset = torch.tensor(offset).repeat(len(permutation)).to(device)

    def __call__(self, values: Tensor, flip: Tensor) -> Tensor:
        """values (B, V, k);  flip (B, 1) bool;  returns (B, V, k)"""
        flat = values.flatten(1)
        mirrored = torch.addcmul(self._offset, flat.index_select(1, self._index), self._sign)
        return torch.where(flip, mirrored, flat).view_as(values)


def _flip_images(images: Tensor, flip: Tensor) -> Tensor:
    """Images (B, S, S, 3) uint8, mirrored where flip (B, 1) says so; chosen in the widest words that fit."""
    count = images[0].numel()
    word = torch.int64 if count % 8 == 0 else torch.int32 if count % 4 == 0 else torch.uint8
    plain, mirrored = (i.reshape(len(i), count).view(word) for i in (images, images.flip(2)))
    return torch.where(flip, mirrored, plain).view(torch.uint8).view_as(images)


def normalise(images: Tensor) -> Tensor:
    """(B, 3, S, S) float32 in [-1, 1], channels last, of images (B, S, S, 3) uint8, unchanged otherwise."""
    return images.to(torch.float32).mul_(1.0 / _MID).sub_(1.0).permute(0, 3, 1, 2)
