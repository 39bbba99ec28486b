"""Where skin, lips, brows, lids and beard lie on the unrolled face: masks made once for a face model.

All places follow from the 68 landmarks and the mesh's borders, so any face model can be painted on.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import splev, splprep

from proxy_tasks.jmlr.synthetic import atlas
from proxy_tasks.jmlr.synthetic.hair import Cap
from proxy_tasks.jmlr.synthetic.head import FaceMesh
from proxy_tasks.jmlr.synthetic.skull import Skull

Array = NDArray[np.float64]
Float = NDArray[np.float32]

SIDE = round(atlas.FACE * atlas.SIDE)  # of the face's square, pixels


@dataclass(frozen=True, slots=True)
class Stencil:
    """A mask (h, w) in [0, 1] over a box of the face's square."""

    rows: slice
    cols: slice
    mask: Float


def _cut(mask: Float) -> Stencil:
    rows, cols = (np.flatnonzero((mask > 2e-3).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return Stencil(slice(0, 1), slice(0, 1), np.zeros((1, 1), np.float32))
    box = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(cols[0]), int(cols[-1]) + 1)
    return Stencil(*box, np.ascontiguousarray(mask[box]))


class Canvas:
    """Draws masks in the millimetres of the unrolled face, x to the subject's left, y up."""

    def __init__(self, paint: Array) -> None:
        low, high = paint.min(0), paint.max(0)
        self.scale = float(min(1.74, 0.98 * SIDE / (high - low).max()))  # pixels a mm
        self.middle = 0.5 * (low + high)
        grid = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
        self.x = (grid[1] - 0.5 * SIDE) / self.scale + np.float32(self.middle[0])
        self.y = (0.5 * SIDE - grid[0]) / self.scale + np.float32(self.middle[1])

    def pixel(self, points: Array) -> Array:
        return np.asarray(0.5 * SIDE + (points - self.middle) * self.scale * [1.0, -1.0])

    def blur(self, mask: Float, mm: float) -> Float:
        return np.asarray(cv2.GaussianBlur(mask, (0, 0), mm * self.scale), np.float32)

    def polygon(self, points: Array, soft: float, grow: float = 0.0) -> Float:
        mask = np.zeros((SIDE, SIDE), np.float32)
        cv2.fillPoly(mask, [np.round(self.pixel(points) * 16).astype(np.int32)], 1.0, cv2.LINE_8, 4)
        if grow:
            side = 2 * round(grow * self.scale) + 1
            mask = np.asarray(
                cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))), np.float32
            )
        return self.blur(mask, soft)

    def line(self, points: Array, width: float, soft: float) -> Float:
        mask = np.zeros((SIDE, SIDE), np.float32)
        thick = max(1, round(width * self.scale))
        cv2.polylines(
            mask, [np.round(self.pixel(points) * 16).astype(np.int32)], False, 1.0, thick, cv2.LINE_8, 4
        )
        return self.blur(mask, soft)

    def spot(self, centre: Array, radius: float, tall: float = 1.0) -> Float:
        far = ((self.x - centre[0]) / radius) ** 2 + ((self.y - centre[1]) / (radius * tall)) ** 2
        return np.exp(-far).astype(np.float32)


def _curve(points: Array, n: int = 80, closed: bool = False) -> Array:
    path = np.vstack([points, points[:1]]) if closed else points
    tck, _ = splprep(path.T, s=0.0, per=closed, k=min(3, len(path) - 1))
    return np.array(splev(np.linspace(0.0, 1.0, n), tck)).T


def _upper_lid(lids: Array) -> Array:
    """The upper half of a closed ring of lid points (n, 2), from one corner to the other."""
    start, end = int(lids[:, 0].argmin()), int(lids[:, 0].argmax())
    ring = np.roll(lids, -start, axis=0)
    split = (end - start) % len(lids)
    halves = ring[: split + 1], np.vstack([ring[split:], ring[:1]])
    return max(halves, key=lambda half: float(half[:, 1].mean()))


class Stencils:
    """All masks of one face model. paint (V, 2) mm is where its vertices lie on the unrolled face."""

    def __init__(self, mesh: FaceMesh, paint: Array, skull: Skull, cap: Cap) -> None:
        self.canvas = canvas = Canvas(paint)
        self.marks = marks = paint[mesh.marks]
        self.uv = (canvas.pixel(paint) * (atlas.FACE / SIDE)).astype(np.float32)
        lips = canvas.polygon(_curve(marks[48:60], closed=True), 0.7)
        self.lips = _cut(lips)
        self.mouth_line = _cut(canvas.line(_curve(marks[[60, 61, 62, 63, 64]]), 0.7, 0.7))
        self.lip_shade = _cut(canvas.line(_curve(marks[[48, 58, 57, 56, 54]]) - [0.0, 1.6], 1.6, 1.5))
        self.nostrils = _cut(np.maximum(*(self._nostril(a) for a in (32, 34))))
        wings = [canvas.line(_curve(self._wing(a, s)), 0.9, 1.1) for a, s in ((31, -1.0), (35, 1.0))]
        self.creases = _cut(np.maximum(*wings))
        lids = [paint[ring] for ring in mesh.eyes]
        self.lashes = _cut(np.maximum(*(canvas.line(_upper_lid(ring), 1.5, 0.5) for ring in lids)))
        self.waterline = _cut(
            np.maximum(*(canvas.line(np.vstack([ring, ring[:1]]), 0.8, 0.6) for ring in lids))
        )
        above = np.array([0.0, 4.6])
        self.lid_crease = _cut(
            np.maximum(*(canvas.line(_upper_lid(ring) + above, 0.8, 0.9) for ring in lids))
        )
        self.sockets = _cut(np.maximum(*(canvas.polygon(ring, 4.0, grow=5.0) for ring in lids)))
        pairs = ((31, 2), (35, 14))
        cheeks = sum(canvas.spot(0.55 * marks[a] + 0.45 * marks[b] + [0.0, 4.0], 17.0) for a, b in pairs)
        self.flush = _cut(
            np.minimum(cheeks + canvas.spot(marks[30], 10.0) + 0.6 * canvas.spot(marks[8], 14.0), 1.0)
        )
        self.beard = _cut(self._beard(lips))
        self.cap = cap
        self.strip = _hair_strip(mesh, skull)

    def _nostril(self, mark: int) -> Float:
        centre = 0.82 * self.marks[mark] + 0.18 * self.marks[33] + [0.0, 1.9]
        return np.clip(1.6 * self.canvas.spot(centre, 3.2, 0.62), 0.0, 1.0)

    def _wing(self, mark: int, side: float) -> Array:
        base = self.marks[mark]
        return base + np.array([[0.0, -1.0], [side * 2.6, 1.5], [side * 3.4, 6.0], [side * 2.0, 10.0]])

    def _beard(self, lips: Float) -> Float:
        marks = self.marks
        jaw = marks[2:15] + (marks[2:15] - marks[30]) * 0.03
        cheeks = 0.5 * (marks[[14, 2]] + marks[[54, 48]]) + [0.0, 2.0]
        mask = self.canvas.polygon(np.vstack([jaw, cheeks[:1], marks[[35, 33, 31]], cheeks[1:]]), 4.0)
        bare = 0.7 * self.canvas.spot(marks[57] - [0.0, 4.0], 6.0, 0.6)
        return np.asarray(mask * (1.0 - lips) * (1.0 - bare), np.float32)

    def brow(self, side: int) -> Array:
        """A brow's middle line (5, 2) mm, from the nose outwards; side 0 is x < 0."""
        return self.marks[21:16:-1] if side == 0 else self.marks[22:27]


def _hair_strip(mesh: FaceMesh, skull: Skull) -> Float:
    """Hair's share (SIDE, atlas.SIDE - SIDE) over the skull's strip, by where its points lie."""
    width = atlas.SIDE - SIDE
    around = np.abs(mesh.angle) / np.pi
    order = np.argsort(around)
    columns = (SIDE + np.arange(width) + 0.5) / atlas.SIDE
    wanted = (columns - atlas.STRIP[0]) / (atlas.STRIP[1] - atlas.STRIP[0])
    rings = (skull.loft - mesh.origin) / mesh.scale
    place = [[np.interp(wanted, around[order], ring[order, k]) for ring in rings] for k in (1, 2)]
    y, z = (cv2.resize(np.array(p, np.float32), (width, SIDE)) for p in place)
    hair = np.maximum((y - 60.0) / 10.0, np.minimum((y + 56.0) / 10.0, (-46.0 - z) / 8.0))
    return np.clip(hair, 0.0, 1.0).astype(np.float32)
