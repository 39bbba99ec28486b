"""What shows through the holes of a face: eyeballs, the mouth's bag, two rows of teeth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from proxy_tasks.jmlr.synthetic import atlas
from proxy_tasks.jmlr.synthetic.head import Array, FaceMesh, Index, Part, fan, grid
from proxy_tasks.jmlr.synthetic.look import Look

_EYE_RINGS, _EYE_SPOKES, _EYE_CAP = 5, 16, np.deg2rad(72.0)
_TEETH = 13  # columns


def _cap() -> Array:
    """Directions of an eyeball's vertices, +z ahead: the pole, then rings outwards."""
    angle = np.linspace(0.0, _EYE_CAP, _EYE_RINGS + 1)[1:, None]
    around = np.linspace(0.0, 2.0 * np.pi, _EYE_SPOKES, endpoint=False)[None]
    xyz = [np.sin(angle) * np.cos(around), np.sin(angle) * np.sin(around), np.cos(angle) + 0.0 * around]
    return np.concatenate([[[0.0, 0.0, 1.0]], np.stack(xyz, axis=2).reshape(-1, 3)])


@dataclass(frozen=True, slots=True)
class Eye(Part):
    """An eyeball's cap behind a ring of lids. Its gaze moves the iris over it (Shader), not its vertices."""

    ring: Index
    near: Index  # face vertices before the ball
    cap: Array

    def place(self, rest: Array, face: Array, look: Look) -> Array:
        """Vertices (n, 3) metres in this face; `rest` is the face without expression."""
        lids = rest[self.ring]
        centre = lids.mean(0)
        radius = 0.55 * float(np.ptp(lids[:, 0]))
        skin = face[self.near]  # the ball stays behind the lids however they move
        aside = np.linalg.norm((skin - centre)[:, :2], axis=1)
        over = aside < 0.8 * radius
        centre[2] = (skin[over, 2] - np.sqrt(radius**2 - aside[over] ** 2)).min() - 4e-4
        return np.asarray(centre + radius * self.cap)


def build_eye(mesh: FaceMesh, side: int, first: int) -> Eye:
    """The eyeball of one side; its vertices are numbered from `first` on."""
    ring = mesh.eyes[side]
    far = np.linalg.norm((mesh.mean - mesh.mean[ring].mean(0))[:, :2], axis=1)
    cap = _cap()
    angle = np.arccos(np.clip(cap[:, 2], -1.0, 1.0)) / np.deg2rad(atlas.EYE_DEGREES)
    flat = cap[:, :2] / np.maximum(np.linalg.norm(cap[:, :2], axis=1, keepdims=True), 1e-9)
    left, top, width = atlas.EYE
    uv = np.array([left, top]) + width * (0.5 + 0.5 * angle[:, None] * flat * [1.0, -1.0])
    faces = fan(0, _EYE_RINGS, _EYE_SPOKES)
    lid_shadow = np.clip((cap[:, 1] - 0.05) / 0.5, 0.0, 1.0)  # the upper lid's, and the corners'
    occlusion = 0.95 - 0.5 * lid_shadow - 0.35 * np.clip(np.abs(cap[:, 0]) - 0.45, 0.0, 1.0)
    return Eye(
        name="eye",
        first=first,
        triangles=faces + first,
        uv=uv[faces].astype(np.float32),
        occlusion=occlusion.astype(np.float32),
        neck=np.zeros(len(cap), np.float32),
        ring=ring,
        near=np.flatnonzero(far < 0.45 * np.ptp(mesh.mean[ring, 0])),
        cap=cap,
    )


@dataclass(frozen=True, slots=True)
class Bag(Part):
    """A dark pocket sewn to a border of the face: the inside of the mouth, the sockets around the eyes.

    steps are the size (3,) relative to the border and the depth [m] of its two rings; it ends in a point.
    """

    ring: Index
    steps: tuple[tuple[Array, float], ...]

    def place(self, rest: Array, face: Array, look: Look) -> Array:
        """Vertices (n, 3) metres in this face; `rest` is the face without expression."""
        border = face[self.ring]
        centre = border.mean(0)
        rings = [centre + (border - centre) * size - [0.0, 0.0, deep] for size, deep in self.steps]
        return np.vstack([*rings, centre - np.array([0.0, 0.0, self.steps[-1][1] + 0.003])])


def build_bag(ring: Index, shape: Literal["mouth", "socket"], first: int) -> Bag:
    """A pocket behind the border `ring`; its vertices are numbered from `first` on."""
    n = len(ring)
    rows = np.vstack([ring, first + np.arange(2 * n).reshape(2, n)])
    row, col = grid(3, n, closed=True)
    middle = np.stack([rows[2], np.full(n, first + 2 * n), np.roll(rows[2], -1)], axis=1)
    triangles = np.concatenate([rows[row, col], middle])
    mouth = ((np.array([0.97, 1.0, 1.0]), 0.006), (np.array([0.8, 0.9, 0.4]), 0.035))
    socket = ((np.array([1.0, 1.0, 0.8]), 0.004), (np.array([0.9, 0.9, 0.4]), 0.012))
    return Bag(
        name="bag",
        first=first,
        triangles=triangles,
        uv=np.broadcast_to(np.array(atlas.BAG, np.float32), (*triangles.shape, 2)),
        occlusion=np.concatenate([np.full(n, 0.22), np.full(n + 1, 0.05)]).astype(np.float32),
        neck=np.zeros(2 * n + 1, np.float32),
        ring=ring,
        steps=mouth if shape == "mouth" else socket,
    )


@dataclass(frozen=True, slots=True)
class Teeth(Part):
    """Two rows of teeth on an arch behind the lips; the lower one hangs from the jaw."""

    marks: Index

    def place(self, rest: Array, face: Array, look: Look) -> Array:
        """Vertices (n, 3) metres in this face; `rest` is the face without expression."""
        right, left, top = (rest[self.marks[k]] for k in (60, 64, 62))
        half = 0.46 * float(left[0] - right[0])
        u = np.linspace(-1.0, 1.0, _TEETH)
        arch = np.stack([half * u, 0.0 * u, -0.0055 - 0.7 * half * u**2], axis=1)
        arch += [0.5 * (left + right)[0], top[1], top[2]]
        jaw = 0.9 * (face[self.marks[57]] - rest[self.marks[57]])
        jaw[2] = min(jaw[2], 0.0)
        lift = face[self.marks[62]] - rest[self.marks[62]]
        upper = [arch + np.array([0.0, y, 0.0]) for y in (0.007, -0.0045)]
        lower = [arch + np.array([0.0, y, -0.0025]) + jaw for y in (-0.003, -0.014)]
        upper[0][:, 1] += max(lift[1], 0.0)
        return np.concatenate([*upper, *lower])


def build_teeth(mesh: FaceMesh, first: int) -> Teeth:
    """Both rows; their vertices are numbered from `first` on."""
    left, top, width, height = atlas.TEETH
    row, col = grid(2, _TEETH)
    number = row * _TEETH + col
    uv = []
    for band in ((0.0, 0.48), (0.52, 1.0)):
        v = np.where(row == 0, band[0], band[1])
        uv.append(np.stack([left + width * col / (_TEETH - 1), top + height * v], axis=2))
    edge = np.abs(np.linspace(-1.0, 1.0, _TEETH)) ** 1.5
    return Teeth(
        name="teeth",
        first=first,
        triangles=first + np.concatenate([number, number + 2 * _TEETH]),
        uv=np.concatenate(uv).astype(np.float32),
        occlusion=np.tile(0.62 - 0.42 * edge, 4).astype(np.float32),
        neck=np.zeros(4 * _TEETH, np.float32),
        marks=mesh.marks,
    )
