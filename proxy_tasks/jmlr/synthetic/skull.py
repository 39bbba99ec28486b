"""Skull and neck: the face's outer border lofted over the crown and the throat to the collar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from proxy_tasks.jmlr.synthetic import atlas
from proxy_tasks.jmlr.synthetic.head import Array, FaceMesh, Index, Part, grid
from proxy_tasks.jmlr.synthetic.look import Look

# rings on the built-in head, mm: top (y, z), bottom (y, z), side (x, y, z), share of the border's motion
_RINGS = (
    ((133.0, -18.0), (-101.0, 18.0), (76.5, 12.0, -46.0), 0.70),
    ((112.0, -92.0), (-107.0, 8.0), (68.0, -14.0, -72.0), 0.45),
    ((40.0, -133.0), (-114.0, 3.0), (58.0, -46.0, -68.0), 0.25),
    ((-38.0, -110.0), (-126.0, 1.0), (53.0, -80.0, -54.0), 0.12),
    ((-95.0, -98.0), (-146.0, 0.0), (53.0, -118.0, -50.0), 0.05),
    ((-150.0, -108.0), (-178.0, 8.0), (68.0, -164.0, -48.0), 0.0),
)
_LOFT = 16  # rings of vertices, the border among them
NECK_PIVOT = np.array([0.0, -75.0, -45.0])  # mm: the head turns about this point of the neck


def ring_points(angle: Array, top: tuple[float, float], bottom: tuple[float, float], side: Array) -> Array:
    """A closed curve (n, 3) through a top, a bottom and two mirrored side points, mm; squarer above."""
    c, s = -np.cos(angle), np.sin(angle)
    square = np.where(c > 0.0, 0.76, 1.0)
    s, c = np.sign(s) * np.abs(s) ** square, np.sign(c) * np.abs(c) ** square
    out = [side[0] * s]
    for k in (0, 1):
        middle, half = 0.5 * (top[k] + bottom[k]), 0.5 * (top[k] - bottom[k])
        out.append(middle + half * c + (side[k + 1] - middle) * s**2)
    return np.stack(out, axis=1)


def _outwards(mesh: FaceMesh) -> Array:
    """Direction (n, 3) in which the face's surface leaves its border, smoothed along it."""
    inner: dict[int, list[int]] = {int(v): [] for v in mesh.border}
    ring = set(inner)
    for triangle in mesh.triangles.tolist():
        for v in triangle:
            if v in ring:
                inner[v].extend(w for w in triangle if w not in ring)
    away = np.stack(
        [
            mesh.mean[v] - mesh.mean[inner[int(v)]].mean(0) if inner[int(v)] else np.zeros(3)
            for v in mesh.border
        ]
    )
    smooth = np.sum([np.roll(away, k, axis=0) for k in (-2, -1, 0, 1, 2)], axis=0)
    return np.asarray(smooth / np.linalg.norm(smooth, axis=1, keepdims=True))


@dataclass(frozen=True, slots=True)
class Skull(Part):
    """loft (rings, n, 3) on the mean face, the border first; follow (rings,) share of its motion."""

    loft: Array
    follow: Array
    border: Index
    front: Array  # (n,) 1 under the chin, 0 at the nape

    def placed(self, face: Array, look: Look) -> Array:
        """All rings (rings, n, 3); the last ones reach down to the collar."""
        moved = self.loft + self.follow[:, None, None] * (face[self.border] - self.loft[0])
        low = np.linspace(0.0, 1.0, len(moved))[:, None] ** 4 * self.front * look.collar_drop
        moved[..., 1] -= low
        return np.asarray(moved)

    def place(self, rest: Array, face: Array, look: Look) -> Array:
        """Vertices (n, 3) metres around this face."""
        return self.placed(face, look)[1:].reshape(-1, 3)


def build_skull(mesh: FaceMesh, first: int) -> Skull:
    """Head and neck around the face's border; vertices are numbered from `first` on."""
    knots = [mesh.mean[mesh.border]]
    knots += [
        mesh.here(ring_points(mesh.angle, top, bottom, np.array(side))) for top, bottom, side, _ in _RINGS
    ]
    path = np.stack(knots)
    steps = np.linalg.norm(np.diff(path, axis=0), axis=2).mean(1)
    t = np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()
    reach = np.linalg.norm(path[1] - path[0], axis=1, keepdims=True) / t[1]
    start = 0.8 * reach * _outwards(mesh)
    spline = CubicSpline(t, path, axis=0, bc_type=((1, start), (2, np.zeros_like(start))))
    at = np.linspace(0.0, 1.0, _LOFT)
    loft = spline(at)
    loft[0] = path[0]
    follow = np.interp(at, t, [1.0, *(ring[3] for ring in _RINGS)])
    row, col = grid(_LOFT, len(mesh.border), closed=True)
    around = np.abs(mesh.angle) / np.pi
    u = atlas.STRIP[0] + (atlas.STRIP[1] - atlas.STRIP[0]) * around
    own = np.vstack([mesh.border, first + np.arange((_LOFT - 1) * len(mesh.border)).reshape(_LOFT - 1, -1)])
    uv = np.stack([u[col], atlas.FACE * row / (_LOFT - 1)], axis=2)
    front = np.clip(np.cos(mesh.angle), 0.0, 1.0) ** 3
    throat = np.exp(-(((np.arange(1, _LOFT)[:, None] / _LOFT - 0.28) / 0.24) ** 2)) * np.clip(
        np.cos(mesh.angle) + 0.35, 0.0, 1.0
    )
    sink = np.clip((at[1:, None] - 0.35) / 0.5, 0.0, 1.0) * np.ones(len(mesh.border))
    return Skull(
        name="skull",
        first=first,
        triangles=own[row, col],
        uv=uv.astype(np.float32),
        occlusion=(1.0 - 0.62 * np.minimum(throat, 1.0)).ravel().astype(np.float32),
        neck=(sink * sink * (3.0 - 2.0 * sink)).ravel().astype(np.float32),
        loft=loft,
        follow=follow,
        border=mesh.border,
        front=front,
    )
