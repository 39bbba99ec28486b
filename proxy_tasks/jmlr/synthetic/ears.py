"""Ears: a shell of rings around the ear canal, with helix, bowl and lobe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from proxy_tasks.jmlr.synthetic import atlas
from proxy_tasks.jmlr.synthetic.head import Array, FaceMesh, Index, Part, fan
from proxy_tasks.jmlr.synthetic.look import Look

_RINGS, _SPOKES = 8, 20
_OUTLINE = np.array(  # backwards, upwards from the canal; mm, from the front of the lobe around the back
    [
        (-1.0, -25.0),
        (5.0, -30.0),
        (12.0, -25.0),
        (19.0, -13.0),
        (25.0, 2.0),
        (27.5, 16.0),
        (22.0, 28.0),
        (11.0, 32.0),
        (1.0, 27.0),
        (-5.0, 16.0),
        (-6.0, 4.0),
        (-5.0, -10.0),
    ]
)
_CANAL = np.array([77.0, 8.0, -37.0])  # mm on the built-in head, left ear


def _shell() -> tuple[Array, Array]:
    """Vertices (n, 3) in mm as (backwards, upwards, outwards), and their radius in [0, 1] (n,)."""
    closed = np.vstack([_OUTLINE, _OUTLINE[:1]])
    rim = CubicSpline(np.linspace(0.0, 1.0, len(closed)), closed, bc_type="periodic")(
        np.linspace(0.0, 1.0, _SPOKES, endpoint=False)
    )
    radius = np.linspace(0.0, 1.0, _RINGS + 1)[1:, None, None]
    rim = rim * 0.93
    middle = np.array([6.0, 0.0])
    flat = (middle + radius * (rim - middle)).reshape(-1, 2)
    r = np.broadcast_to(radius[..., 0], (_RINGS, _SPOKES)).ravel()
    free = np.clip((flat[:, 0] + 4.0) / 20.0, 0.0, 1.0)  # the front edge is part of the cheek
    helix = (
        3.6
        * np.exp(-(((r - 0.9) / 0.09) ** 2))
        * (0.35 + 0.65 * np.clip((flat[:, 1] + 14.0) / 12.0, 0.0, 1.0))
    )
    bowl = 2.2 * np.exp(-(((r - 0.56) / 0.13) ** 2)) - 6.5 * np.exp(-((r / 0.36) ** 2))
    out = (helix + 3.0) * free + bowl - 2.5 * (r > 0.99) * free
    shell = np.column_stack([flat, out])
    return np.vstack([[*middle, -5.5], shell]), np.concatenate([[0.0], r])


@dataclass(frozen=True, slots=True)
class Ear(Part):
    """side is -1 for x < 0."""

    side: int
    shell: Array
    canal: Array
    scale: Array
    anchor: Index  # a few border vertices: the ear moves with them

    def place(self, rest: Array, face: Array, look: Look) -> Array:
        """Vertices (n, 3) metres of the ear on a face: as large and flared as the look says."""
        cos, sin = np.cos(look.ear_flare), np.sin(look.ear_flare)
        back, up, out = (self.shell * look.ear_size).T
        tilt = 0.16  # the ear leans backwards
        back, up = back + tilt * up, up - 0.1 * tilt * back
        local = np.stack([self.side * (sin * back + cos * out), up, -(cos * back) + sin * out], axis=1)
        return np.asarray(self.canal + local * self.scale + 0.8 * (rest[self.anchor].mean(0)))


def build_ear(mesh: FaceMesh, side: int, first: int) -> Ear:
    """The ear of one side; its vertices are numbered from `first` on."""
    shell, radius = _shell()
    canal = mesh.here(_CANAL * [side, 1.0, 1.0])
    anchor = mesh.border[np.argsort(np.linalg.norm(mesh.mean[mesh.border] - canal, axis=1))[:5]]
    faces = fan(0, _RINGS, _SPOKES)
    if side < 0:  # backwards is to the right as seen from outside
        faces = faces[:, [0, 2, 1]]
    u, v, half = atlas.EAR
    span = np.abs(_OUTLINE).max()
    uv = np.stack([u + half * shell[:, 0] / span, v - half * shell[:, 1] / span], axis=1)
    rim = faces[faces.min(1) > 5 * _SPOKES]  # its back shows only near the edge
    both = np.concatenate([faces, rim[:, [0, 2, 1]]])
    bowl = 1.0 - 0.55 * np.exp(-((radius / 0.42) ** 2)) - 0.35 * np.exp(-(((radius - 0.74) / 0.07) ** 2))
    return Ear(
        name="ear",
        first=first,
        triangles=both + first,
        uv=uv[both].astype(np.float32),
        occlusion=bowl.astype(np.float32),
        neck=np.zeros(len(shell), np.float32),
        side=side,
        shell=shell,
        canal=canal - 0.8 * mesh.mean[anchor].mean(0),
        scale=mesh.scale,
        anchor=anchor,
    )
