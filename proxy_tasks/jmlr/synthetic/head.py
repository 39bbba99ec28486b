"""The rest of the head around a face mesh: skull, neck, eyes, the mouth's inside. For pictures only.

Built from the face mesh alone, so any face model gets one. The outer border is lofted over the crown and
the throat to the base of the neck; eyeballs fit behind the lids; a bag and two rows of teeth sit behind
the lips. Nothing here carries a label.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

Array = NDArray[np.float64]
Index = NDArray[np.int64]

# rings of the loft: top (y, z), bottom (y, z), side (x, y, z) in mm on the mean head; share of its motion
_RINGS = (
    ((121.0, -22.0), (-101.0, 16.0), (76.0, 14.0, -44.0), 0.70),
    ((98.0, -88.0), (-108.0, 6.0), (73.0, -8.0, -68.0), 0.45),
    ((30.0, -118.0), (-116.0, 1.0), (58.0, -40.0, -66.0), 0.25),
    ((-38.0, -100.0), (-128.0, 0.0), (52.0, -78.0, -52.0), 0.12),
    ((-95.0, -92.0), (-148.0, 0.0), (52.0, -118.0, -48.0), 0.05),
    ((-150.0, -104.0), (-182.0, 8.0), (66.0, -166.0, -46.0), 0.0),
)
_LOFT = 15  # rings of vertices between the border and the base of the neck
_EYE_RINGS, _EYE_SPOKES, _EYE_CAP = 6, 16, np.deg2rad(78.0)


def border_loops(triangles: Index) -> list[Index]:
    """Closed borders of a mesh as ordered vertex rings, longest first."""
    count = Counter(
        tuple(sorted(e)) for t in triangles.tolist() for e in ((t[0], t[1]), (t[1], t[2]), (t[2], t[0]))
    )
    following = {
        a: b
        for t in triangles.tolist()
        for a, b in ((t[0], t[1]), (t[1], t[2]), (t[2], t[0]))
        if count[tuple(sorted((a, b)))] == 1
    }
    loops = []
    while following:
        start, at = next(iter(following.items()))
        ring = [start]
        del following[start]
        while at != start:
            ring.append(at)
            at = following.pop(at)
        loops.append(np.array(ring))
    return sorted(loops, key=len, reverse=True)


@dataclass(frozen=True, slots=True)
class Head:
    """Topology of face + surroundings; vertices 0..V-1 are the face's.

    triangles (T, 3); uv (T, 3, 2) in the atlas [0, 1]; part (T,) one of the names in PARTS by index;
    border, mouth, eyes: rings of face vertices; loft (rings, border) metres.
    """

    triangles: Index
    uv: NDArray[np.float32]
    part: Index
    vertex_count: int
    face_count: int
    border: Index
    mouth: Index
    eyes: tuple[Index, Index]
    loft: Array
    loft_follow: Array
    landmarks68: Index

    def place(self, rest: Array, face: Array) -> Array:
        """All vertices (vertex_count, 3) metres for a face (V, 3) whose person at rest is rest (V, 3)."""
        moved = self.loft + self.loft_follow[:, None, None] * (face[self.border] - self.loft[0])[None]
        eyes = [_eyeball(rest[ring]) for ring in self.eyes]
        bag, teeth = _mouth_inside(rest, face, self.mouth, self.landmarks68)
        return np.concatenate([face, moved[1:].reshape(-1, 3), *eyes, bag, *teeth])


PARTS = ("face", "loft", "eye", "bag", "teeth")
FACE_CELL = 0.78125  # the atlas: the face's square, then the loft's strip to its right, eyes and teeth below
EYE_CELL = (0.0, 0.80, 0.19)  # left, top, side
TEETH_CELL = (0.22, 0.82, 0.30, 0.15)  # left, top, width, height
BAG_UV = (0.60, 0.90)


def _eyeball(ring: Array) -> Array:
    """A cap of the eyeball behind a lid ring (n, 3): (1 + rings * spokes, 3)."""
    centre = ring.mean(0)
    radius = 0.55 * float(np.ptp(ring[:, 0]))
    aside = np.minimum(np.linalg.norm((ring - centre)[:, :2], axis=1), 0.97 * radius)
    near = np.linalg.norm((ring - centre)[:, :2], axis=1) < 0.8 * radius
    centre[2] = (ring[:, 2] - np.sqrt(radius**2 - aside**2))[near].min() - 2e-4
    return np.asarray(centre + radius * _cap())


def _cap() -> Array:
    """Directions of the cap's vertices, +z ahead: the pole, then rings outwards."""
    angle = np.linspace(0.0, _EYE_CAP, _EYE_RINGS + 1)[1:, None]
    around = np.linspace(0.0, 2.0 * np.pi, _EYE_SPOKES, endpoint=False)[None]
    xyz = np.stack(
        [np.sin(angle) * np.cos(around), np.sin(angle) * np.sin(around), np.cos(angle) + 0.0 * around], axis=2
    )
    return np.concatenate([[[0.0, 0.0, 1.0]], xyz.reshape(-1, 3)])


def _fan(first: int, rings: int, spokes: int) -> Index:
    """Triangles of a pole and rings around it, counter-clockwise seen from outside."""
    nxt = (np.arange(spokes) + 1) % spokes
    base = first + 1 + np.arange(spokes)
    parts = [np.stack([np.full(spokes, first), base, first + 1 + nxt], axis=1)]
    for r in range(rings - 1):
        inner, outer = first + 1 + r * spokes, first + 1 + (r + 1) * spokes
        k = np.arange(spokes)
        parts.append(np.stack([inner + k, outer + k, outer + nxt], axis=1))
        parts.append(np.stack([inner + k, outer + nxt, inner + nxt], axis=1))
    return np.concatenate(parts)


def _grid(first: int, rows: int, cols: int) -> Index:
    """Triangles of a row-major grid of vertices whose first row is on top and first column on the left."""
    r, c = (a.ravel() for a in np.meshgrid(np.arange(rows - 1), np.arange(cols - 1), indexing="ij"))
    a = first + r * cols + c
    return np.concatenate(
        [np.stack([a, a + cols, a + cols + 1], axis=1), np.stack([a, a + cols + 1, a + 1], axis=1)]
    )


_TEETH_COLS = 11


def _mouth_inside(rest: Array, face: Array, mouth: Index, marks: Index) -> tuple[Array, list[Array]]:
    """The bag behind the lips (2 rings and a centre) and the two rows of teeth (2 x cols each)."""
    lips = face[mouth]
    centre = lips.mean(0)
    inner = centre + (lips - centre) * [0.95, 1.0, 1.0] + [0.0, 0.0, -0.007]
    deep = centre + (lips - centre) * [0.8, 0.9, 0.5] + [0.0, 0.0, -0.030]
    bag = np.vstack([inner, deep, centre + np.array([0.0, 0.0, -0.034])])
    right, left, top = rest[marks[60]], rest[marks[64]], rest[marks[62]]
    half = 0.5 * float(left[0] - right[0]) * 0.92
    u = np.linspace(-1.0, 1.0, _TEETH_COLS)
    arch = np.stack([half * u, 0.0 * u, -0.004 - 0.6 * half * u**2], axis=1)
    arch += np.array([0.5 * (left + right)[0], top[1], top[2]])
    jaw = face[marks[57]] - rest[marks[57]]
    rows = []
    for high, low, shift in ((0.004, -0.006, 0.0 * jaw), (-0.0045, -0.0125, 0.85 * jaw)):
        edges = [arch + np.array([0.0, y, 0.0]) for y in (high, low)]
        rows.append(np.concatenate(edges) + shift)
    rows[1][:, 2] -= 0.002
    return bag, rows


def _loft_rings(border: Array) -> tuple[Array, Array]:
    """Loft (rings, n, 3) metres from a border (n, 3) metres, and each ring's share of its motion."""
    low, high = border.min(0), border.max(0)
    scale = np.array([high[0] / 0.0755, (high[1] - low[1]) / 0.191, (high[1] - low[1]) / 0.191]) * 1e-3
    shift = np.array([0.0, high[1] - 98.0 * scale[1], low[2] + 21.0 * scale[2]])
    middle = 0.5 * (low[1] + high[1])
    angle = np.arctan2(border[:, 0], -(border[:, 1] - middle))
    c, s = -np.cos(angle), np.sin(angle)
    knots = [border]
    for top, bottom, side, _ in _RINGS:
        y = 0.5 * (top[0] + bottom[0]) + 0.5 * (top[0] - bottom[0]) * c
        z = 0.5 * (top[1] + bottom[1]) + 0.5 * (top[1] - bottom[1]) * c
        y = y + (side[1] - 0.5 * (top[0] + bottom[0])) * s**2
        z = z + (side[2] - 0.5 * (top[1] + bottom[1])) * s**2
        knots.append(np.stack([side[0] * s, y, z], axis=1) * scale + shift)
    path = np.stack(knots)
    t = np.arange(len(knots), dtype=float)
    at = np.linspace(0.0, len(knots) - 1.0, _LOFT + 1)
    follow = np.interp(at, t, [1.0, *(ring[3] for ring in _RINGS)])
    return CubicSpline(t, path, axis=0)(at), follow


def build_head(mean: Array, triangles: Index, landmarks68: Index, paint: Array) -> Head:
    """The head around a mean face (V, 3) metres; paint (V, 2) in [0, 1] places the face in its atlas cell.

    Raises ValueError when the mesh has no four borders (outline, mouth, eyes) to build from.
    """
    loops = border_loops(triangles)
    if len(loops) < 4:
        raise ValueError(
            f"the face mesh has {len(loops)} borders: an outline, a mouth and two eyes make at least 4."
        )
    border = max(loops, key=lambda ring: float(np.linalg.norm(np.ptp(mean[ring], axis=0))))
    others = [ring for ring in loops if ring is not border]
    eyes = tuple(
        min(others, key=lambda ring: float(np.linalg.norm(mean[ring].mean(0) - mean[landmarks68[k]].mean(0))))
        for k in (slice(36, 42), slice(42, 48))
    )
    mouth = min(
        others, key=lambda ring: float(np.linalg.norm(mean[ring].mean(0) - mean[landmarks68[60:68]].mean(0)))
    )
    loft, follow = _loft_rings(mean[border])
    builder = _Builder(triangles, paint, len(mean))
    builder.loft(border, mean, len(loft))
    for _ in eyes:
        builder.eye()
    builder.bag(mouth)
    builder.teeth()
    return Head(
        triangles=np.concatenate(builder.triangles),
        uv=np.concatenate(builder.uv).astype(np.float32),
        part=np.concatenate(
            [np.full(len(t), p) for t, p in zip(builder.triangles, builder.parts, strict=True)]
        ),
        vertex_count=builder.count,
        face_count=len(mean),
        border=border,
        mouth=mouth,
        eyes=(eyes[0], eyes[1]),
        loft=loft,
        loft_follow=follow,
        landmarks68=landmarks68,
    )


class _Builder:
    """Appends the parts of a head in the order in which Head.place lays their vertices."""

    def __init__(self, triangles: Index, paint: Array, count: int) -> None:
        self.triangles = [triangles]
        self.uv = [paint[triangles] * FACE_CELL]
        self.parts = [PARTS.index("face")]
        self.count = count

    def _add(self, name: str, triangles: Index, uv: Array, vertices: int) -> None:
        self.triangles.append(triangles)
        self.uv.append(uv)
        self.parts.append(PARTS.index(name))
        self.count += vertices

    def loft(self, border: Index, mean: Array, rings: int) -> None:
        n = len(border)
        rows = np.vstack([border, self.count + np.arange((rings - 1) * n).reshape(rings - 1, n)])
        middle = 0.5 * (mean[border, 1].min() + mean[border, 1].max())
        around = np.abs(np.arctan2(mean[border, 0], -(mean[border, 1] - middle))) / np.pi
        u = FACE_CELL + 0.01 + (0.98 - FACE_CELL) * around
        r, k = (a.ravel() for a in np.meshgrid(np.arange(rings - 1), np.arange(n), indexing="ij"))
        nxt = (k + 1) % n
        corner = np.stack(
            [np.stack([r, k], 1), np.stack([r + 1, k], 1), np.stack([r + 1, nxt], 1), np.stack([r, nxt], 1)],
            1,
        )
        faces = np.concatenate([corner[:, [0, 1, 2]], corner[:, [0, 2, 3]]])
        v = FACE_CELL * faces[..., 0] / (rings - 1)
        self._add(
            "loft",
            rows[faces[..., 0], faces[..., 1]],
            np.stack([u[faces[..., 1]], v], axis=2),
            (rings - 1) * n,
        )

    def eye(self) -> None:
        directions = _cap()
        angle = np.arccos(np.clip(directions[:, 2], -1.0, 1.0)) / np.deg2rad(110.0)
        flat = directions[:, :2] / np.maximum(np.linalg.norm(directions[:, :2], axis=1, keepdims=True), 1e-9)
        left, top, side = EYE_CELL
        uv = np.array([left, top]) + side * (0.5 + 0.5 * angle[:, None] * flat * [1.0, -1.0])
        faces = _fan(0, _EYE_RINGS, _EYE_SPOKES)
        self._add("eye", faces + self.count, uv[faces], len(directions))

    def bag(self, mouth: Index) -> None:
        n = len(mouth)
        rows = np.vstack([mouth, self.count + np.arange(2 * n).reshape(2, n)])
        nxt = (np.arange(n) + 1) % n
        faces = []
        for r in (0, 1):
            faces.append(np.stack([rows[r], rows[r + 1], rows[r + 1][nxt]], axis=1))
            faces.append(np.stack([rows[r], rows[r + 1][nxt], rows[r][nxt]], axis=1))
        faces.append(np.stack([rows[2], np.full(n, self.count + 2 * n), rows[2][nxt]], axis=1))
        triangles = np.concatenate(faces)
        self._add("bag", triangles, np.broadcast_to(BAG_UV, (*triangles.shape, 2)), 2 * n + 1)

    def teeth(self) -> None:
        left, top, width, height = TEETH_CELL
        across = np.linspace(0.0, 1.0, _TEETH_COLS)
        for row in (0, 1):
            v = (0.0, 0.45) if row == 0 else (0.55, 1.0)
            uv = np.array([(left + width * u, top + height * w) for w in v for u in across])
            faces = _grid(0, 2, _TEETH_COLS)
            self._add("teeth", faces + self.count, uv[faces], 2 * _TEETH_COLS)
