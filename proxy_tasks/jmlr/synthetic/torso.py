"""Shoulders and chest in a shirt: rings from the collar outwards, in the torso's own frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from proxy_tasks.jmlr.synthetic.head import Array, FaceMesh, Float, Index, grid
from proxy_tasks.jmlr.synthetic.skull import ring_points

_RINGS = (  # mm on the built-in head, like skull._RINGS
    ((-128.0, -112.0), (-172.0, -14.0), (60.0, -146.0, -48.0)),
    ((-152.0, -128.0), (-196.0, 4.0), (98.0, -172.0, -50.0)),
    ((-188.0, -150.0), (-236.0, 30.0), (186.0, -204.0, -54.0)),
    ((-250.0, -160.0), (-290.0, 52.0), (218.0, -258.0, -54.0)),
    ((-350.0, -165.0), (-380.0, 64.0), (226.0, -360.0, -54.0)),
    ((-560.0, -165.0), (-580.0, 66.0), (232.0, -580.0, -54.0)),
)
_ROWS, _COLS = 12, 36


@dataclass(frozen=True, slots=True)
class Torso:
    """points (P, 3) metres; triangles (T, 3); uv (P, 2): around, down."""

    points: Array
    triangles: Index
    uv: Float


def build_torso(mesh: FaceMesh) -> Torso:
    """Neck to chest under the mean face."""
    angle = np.linspace(-np.pi, np.pi, _COLS, endpoint=False)
    path = np.stack([ring_points(angle, top, bottom, np.array(side)) for top, bottom, side in _RINGS])
    t = np.array([0.0, 0.1, 0.36, 0.55, 0.75, 1.0])
    rows = CubicSpline(t, path, axis=0)(np.linspace(0.0, 1.0, _ROWS))
    row, col = grid(_ROWS, _COLS, closed=True)
    down, around = np.meshgrid(np.linspace(0.0, 1.0, _ROWS), np.abs(angle) / np.pi, indexing="ij")
    return Torso(
        points=mesh.here(rows).reshape(-1, 3),
        triangles=row * _COLS + col,
        uv=np.stack([around, down], axis=2).reshape(-1, 2).astype(np.float32),
    )
