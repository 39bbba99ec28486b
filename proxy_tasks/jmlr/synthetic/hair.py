"""Hair as two shells: a cap that follows the scalp from the hairline to the nape, and a curtain of long hair.

The cap's columns run from the forehead over the crown along the skull's loft; a person's hairline sets
where on its column the cap begins. A curtain hangs from the widest part of the head to the shoulders.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import Delaunay

from proxy_tasks.jmlr.synthetic import atlas
from proxy_tasks.jmlr.synthetic.head import Array, FaceMesh, Float, Index, Part, grid
from proxy_tasks.jmlr.synthetic.look import Look
from proxy_tasks.jmlr.synthetic.skull import Skull

_ROWS = 15
_BELOW = np.linspace(42.0, 0.0, 8)[:-1]  # mm under the border at which face rows of a column lie
_CENTRE = np.array([0.0, 25.0, -35.0])  # mm; hair stands away from here
_NAPE, _BEHIND = -52.0, -36.0  # mm: short hair ends at this height; ears and skin lie before this depth
_CURTAIN_ROWS, _CURTAIN_COLS = 8, 30
_CURTAIN_TURN = {True: np.deg2rad(74.0), False: np.deg2rad(110.0)}  # behind the ears, over them


def _uv(row: Index, col: Index, rows: int, cols: int) -> Float:
    left, top, width, height = atlas.HAIR
    edge = atlas.INSET
    u = left + edge + (width - 2.0 * edge) * col / (cols - 1)
    v = top + edge + (height - 2.0 * edge) * row / (rows - 1)
    return np.stack([u, v], axis=2).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Cap(Part):
    """columns (c,) into the skull's rings; the face rows of a column are barycentric mixes of vertices."""

    skull: Skull
    columns: Index
    corners: Index  # (rows, c, 3) face vertices
    weights: Array  # (rows, c, 3)
    end: Array  # (c,) rows along a column at which the cap ends
    temple: Array  # (c,) 0 at the middle of the forehead, 1 at the temples and behind
    centre: Array
    clumps: Array  # (c,) standard normal
    lines: Array  # (rows, c, 2) mm: where the face rows lie on the unrolled face
    rim: Array  # (c,) 0 at the outer columns, 1 inside: the sides lie on the skin

    def covered(self) -> Index:
        """Vertices of the whole head that lie under every person's cap, its outer columns left out."""
        inner = slice(3, -3)
        n = len(self.skull.border)
        found = []
        for column, end in zip(self.columns[inner], self.end[inner], strict=True):
            rings = np.arange(1, int(end) - len(_BELOW))
            found.append(self.skull.first + (rings - 1) * n + column)
        return np.concatenate(found)

    def _begin(self, look: Look) -> Array:
        """Rows (c,) along the columns at which the hair begins."""
        depth = look.hairline_mm - look.temples_mm * self.temple + 1.2 * self.clumps
        return np.asarray(len(_BELOW) * (1.0 - np.clip(depth, 0.0, _BELOW[0]) / _BELOW[0]))

    def hairline(self, look: Look) -> Array:
        """Where the hair begins (c, 2), mm on the unrolled face, from the subject's left to the right."""
        begin = np.minimum(self._begin(look), len(_BELOW) - 1e-3)
        low = begin.astype(np.int64)
        column = np.arange(len(begin))
        mix = (begin - low)[:, None]
        return np.asarray(self.lines[low, column] * (1.0 - mix) + self.lines[low + 1, column] * mix)

    def place(self, rest: Array, face: Array, look: Look) -> Array:
        """Vertices (n, 3) metres over this face and skull."""
        below = (face[self.corners] * self.weights[..., None]).sum(2)
        path = np.concatenate([below, self.skull.placed(face, look)[:, self.columns]])
        begin = self._begin(look)
        share = np.linspace(0.0, 1.0, _ROWS)[:, None]
        at = begin + share**1.5 * (np.maximum(self.end, begin + 0.5) - begin)
        low = np.minimum(at.astype(np.int64), len(path) - 2)
        mix = (at - low)[..., None]
        column = np.arange(len(self.columns))
        scalp = path[low, column] * (1.0 - mix) + path[low + 1, column] * mix
        away = scalp - self.centre
        away /= np.linalg.norm(away, axis=2, keepdims=True)
        swell = 1.0 - (1.0 - np.minimum(share * 4.0, 1.0)) ** 2
        taper = 1.0 - 0.7 * np.clip((share - 0.7) / 0.3, 0.0, 1.0) * (look.style != "long")
        thick = 0.0012 + look.hair_volume * swell * taper * self.rim * (1.0 + 0.10 * self.clumps)
        return np.asarray((scalp + thick[..., None] * away).reshape(-1, 3))


def build_cap(mesh: FaceMesh, skull: Skull, paint: Array, first: int) -> Cap:
    """paint (V, 2) mm: the face unrolled, on which the rows below the border are found."""
    order = np.argsort(np.mod(mesh.angle, 2.0 * np.pi))  # from the subject's left, over the top, to the right
    columns = order[np.abs(mesh.angle[order]) > np.deg2rad(96.0)]
    border = paint[mesh.border[columns]]
    middle = np.array([0.0, 0.5 * (paint[:, 1].max() + paint[:, 1].min())])
    inwards = middle - border
    inwards /= np.linalg.norm(inwards, axis=1, keepdims=True)
    inwards = 0.5 * inwards + np.array([0.0, -0.5])
    points = border[None] + _BELOW[:, None, None] * inwards[None]
    corners, weights = _barycentric(paint, points.reshape(-1, 2))
    n = len(columns)
    loft = (skull.loft[:, columns] - mesh.origin) / mesh.scale  # mm on the built-in head
    covered = (loft[..., 1] > 40.0) | ((loft[..., 1] > _NAPE) & (loft[..., 2] < _BEHIND))
    run = np.cumprod(covered | (np.arange(len(loft)) < 1)[:, None], axis=0).sum(0)
    row, col = grid(_ROWS, n)
    number, uv = row * n + col, _uv(row, col, _ROWS, n)
    rim = (col.max(1) < 4) | (col.min(1) > n - 5)  # the sides' edges are seen from within
    clumps = np.random.default_rng(3).normal(size=n)
    return Cap(
        name="hair",
        first=first,
        triangles=first + np.concatenate([number, number[rim][:, [0, 2, 1]]]),
        uv=np.concatenate([uv, uv[rim][:, [0, 2, 1]]]),
        occlusion=np.repeat(np.clip(0.7 + 0.3 * np.linspace(0.0, 3.0, _ROWS), 0.0, 1.0), n).astype(
            np.float32
        ),
        neck=np.zeros(_ROWS * n, np.float32),
        skull=skull,
        columns=columns,
        corners=corners.reshape(len(_BELOW), n, 3),
        weights=weights.reshape(len(_BELOW), n, 3),
        end=len(_BELOW) + run - 1.0,
        temple=1.0 - np.exp(-((border[:, 0] / 48.0) ** 4)),
        centre=mesh.here(_CENTRE),
        clumps=clumps,
        lines=np.concatenate([points, border[None]]),
        rim=1.0 - np.clip(1.0 - np.minimum(np.arange(n), np.arange(n)[::-1]) / 6.0, 0.0, 1.0) ** 2,
    )


def _barycentric(paint: Array, points: Array) -> tuple[Index, Array]:
    """Vertices (n, 3) and weights (n, 3) that mix to points (n, 2); points outside take the nearest."""
    mesh = Delaunay(paint)
    found = mesh.find_simplex(points)
    inside = found >= 0
    frame = mesh.transform[found]
    two = np.einsum("nij,nj->ni", frame[:, :2], points - frame[:, 2])
    weights = np.column_stack([two, 1.0 - two.sum(1)])
    corners = mesh.simplices[found].astype(np.int64)
    nearest = np.linalg.norm(points[~inside, None] - paint[None], axis=2).argmin(1)
    corners[~inside] = nearest[:, None]
    weights[~inside] = [1.0, 0.0, 0.0]
    return corners, weights


@dataclass(frozen=True, slots=True)
class Curtain(Part):
    """Long hair around the back and the sides, from above the ears to the shoulders."""

    mesh: FaceMesh
    clumps: Array

    def place(self, rest: Array, face: Array, look: Look) -> Array:
        """Vertices (n, 3) metres over this face and skull."""
        turn = np.linspace(-1.0, 1.0, _CURTAIN_COLS) * _CURTAIN_TURN[look.ears]
        down = np.linspace(0.0, 1.0, _CURTAIN_ROWS)[:, None]
        volume = look.hair_volume * 1e3
        wide = 75.0 + volume + 5.0 * np.sin(np.pi * np.minimum(down * 1.4, 1.0)) + 1.5 * self.clumps
        y = 40.0 - (40.0 - 25.0 + look.hair_length * 1e3) * down - 6.0 * self.clumps * down
        x = wide * np.sin(turn)
        z = -44.0 - (78.0 + volume - 22.0 * down) * np.cos(turn)
        return self.mesh.here(np.stack([x, y + 0.0 * x, z + 0.0 * x], axis=2)).reshape(-1, 3)


def build_curtain(mesh: FaceMesh, first: int) -> Curtain:
    """Long hair; its vertices are numbered from `first` on."""
    row, col = grid(_CURTAIN_ROWS, _CURTAIN_COLS)
    number = first + row * _CURTAIN_COLS + col
    uv = _uv(row, col, _CURTAIN_ROWS, _CURTAIN_COLS)
    below = row.min(1) > 1  # further up the head hides its inside
    down = np.linspace(0.0, 1.0, _CURTAIN_ROWS)
    return Curtain(
        name="curtain",
        first=first,
        triangles=np.concatenate([number, number[below][:, [0, 2, 1]]]),
        uv=np.concatenate([uv, uv[below][:, [0, 2, 1]]]),
        occlusion=np.repeat(0.85 - 0.25 * down, _CURTAIN_COLS).astype(np.float32),
        neck=np.repeat(np.clip(down - 0.3, 0.0, 1.0) * 0.9, _CURTAIN_COLS).astype(np.float32),
        mesh=mesh,
        clumps=np.random.default_rng(5).normal(size=_CURTAIN_COLS),
    )
