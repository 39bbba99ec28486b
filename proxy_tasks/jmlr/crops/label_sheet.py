"""Projected vertices drawn over crops, to look at: do labels sit on the pixels?

A sample is a row of three: the crop; the crop under its vertices, those of the mesh's left half blue
and of its right half orange, with the 68 landmarks of the projected mesh as white dots and those of
the landmark file as red rings; and the mirrored sample, its vertices projected by the mirrored camera.
A wrong permutation would swap the colours there, a wrong camera would push the dots off the face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxy_tasks.jmlr import camera
from proxy_tasks.jmlr.crops.cut import cut
from proxy_tasks.jmlr.wcpa.dataset import Row, WcpaDataset
from proxy_tasks.jmlr.wcpa.sample import image_size, read_landmarks
from proxy_tasks.jmlr.wcpa.topology import mirror_verts

_LEFT, _RIGHT, _MIDDLE = (70, 140, 255), (255, 150, 40), (90, 230, 90)  # RGB
_DRAWN = (255, 255, 255)
_FILED = (255, 40, 40)
_SUBPIXEL = 4  # bits of fraction in OpenCV's drawing coordinates


def spread_rows(rows: Sequence[Row], count: int) -> list[Row]:
    """At most `count` rows, one from each equal part of the list, not at the same place in all of them.

    Lists run through people, actions and poses; the golden ratio keeps clear of that rhythm.
    """
    count = min(count, len(rows))
    step = len(rows) / max(count, 1)
    return [rows[int((i + i * 0.618034 % 1.0) * step)] for i in range(count)]


def sheet(dataset: WcpaDataset, rows: Sequence[Row], size: int = 320, columns: int = 2) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB: the triples of the rows, laid out in so many columns."""
    triples = [triple(dataset, row, size) for row in rows]
    triples += [np.zeros_like(triples[0])] * (-len(triples) % columns)
    lines = [np.concatenate(triples[i : i + columns], axis=1) for i in range(0, len(triples), columns)]
    return np.concatenate(lines, axis=0)


@dataclass(frozen=True, slots=True)
class Placed:
    """One training row in crop pixels: image (S, S, 3) uint8; landmarks (68, 2) of its file; points
    (V, 2) of its vertices; mirrored (V, 2) of the flipped vertices under the mirrored camera."""

    image: NDArray[np.uint8]
    landmarks: NDArray[np.floating]
    points: NDArray[np.floating]
    mirrored: NDArray[np.floating]


def place(dataset: WcpaDataset, row: Row, size: int) -> Placed:
    """A training row in crop pixels; errors as in `WcpaDataset.sample`."""
    data = dataset.image_path(row).read_bytes()
    landmarks = read_landmarks(dataset.landmarks_path(row))
    verts, R, T = dataset.labels(row)
    crop, full = camera.crop_transform(landmarks, size), np.array(image_size(data))
    points = camera.apply_affine(camera.project(verts, R, T, dataset.projection, full), crop)

    flipped = mirror_verts(verts, dataset.topology.flip_index)
    K = camera.mirror_intrinsics(camera.intrinsics(dataset.projection, full), full[0])
    mirrored = camera.project_pinhole(flipped, *camera.mirror_pose(R, T), K)
    # The mirrored photograph is cropped by the mirrored transform: mirror back, crop, mirror the crop.
    mirrored[:, 0] = full[0] - 1 - mirrored[:, 0]
    mirrored = camera.apply_affine(mirrored, crop)
    mirrored[:, 0] = size - 1 - mirrored[:, 0]
    return Placed(cut(data, crop, size), camera.apply_affine(landmarks, crop), points, mirrored)


def triple(dataset: WcpaDataset, row: Row, size: int) -> NDArray[np.uint8]:
    """(size, 3 size, 3) uint8 RGB of one training row: crop, labels over it, mirrored labels over it."""
    placed = place(dataset, row, size)
    marked = _draw(dataset, placed.image, placed.points, placed.landmarks)
    mirrored = _draw(dataset, placed.image[:, ::-1], placed.mirrored)
    return np.concatenate([placed.image, marked, mirrored], axis=1)


def _draw(
    dataset: WcpaDataset,
    image: NDArray[np.uint8],
    points: NDArray[np.floating],
    filed: NDArray[np.floating] | None = None,
) -> NDArray[np.uint8]:
    import cv2

    picture = np.array(image, order="C")
    side = np.sign(dataset.topology.template[:, 0].round(4)).astype(int)
    colours = {-1: _LEFT, 0: _MIDDLE, 1: _RIGHT}

    def dot(point: NDArray[np.floating], radius: float, colour: tuple[int, int, int], thickness: int) -> None:
        if np.isfinite(point).all() and np.abs(point).max() < 1e4:
            centre = np.round(point * 2**_SUBPIXEL).astype(int).tolist()
            r = round(radius * 2**_SUBPIXEL)
            cv2.circle(picture, centre, r, colour, thickness, cv2.LINE_AA, _SUBPIXEL)

    for point, s in zip(points, side, strict=True):
        dot(point, 0.7, colours[int(s)], -1)
    for point in points[dataset.topology.landmarks68]:
        dot(point, 1.6, _DRAWN, -1)
    for point in [] if filed is None else filed:
        dot(point, 3.0, _FILED, 1)
    return picture
