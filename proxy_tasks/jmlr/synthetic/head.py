"""The rest of the head around a face mesh, for pictures only: nothing here carries a label.

Everything is built from the face mesh alone, so any face model gets a head. A part is a patch of
triangles on the face's vertices and some of its own, which it places anew for each frame from the
person at rest, the face as it is and the person's look.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxy_tasks.jmlr.synthetic.look import Look

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Float = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FaceMesh:
    """A mean face (V, 3) in metres with its borders: what parts are built from.

    triangles (F, 3); marks (68,); border, mouth and eyes (right, left) are rings of vertices;
    angle (n,) of each border vertex about the face's middle, 0 under the chin, pi on top, signed like x.
    """

    mean: Array
    triangles: Index
    marks: Index
    border: Index
    mouth: Index
    eyes: tuple[Index, Index]
    angle: Array

    @property
    def scale(self) -> Array:
        """Size (3,) relative to the built-in mean face, for sizes given in its millimetres: metres a mm."""
        span = np.ptp(self.mean[self.border], axis=0)
        return np.array([0.5 * span[0] / 75.5, span[1] / 191.0, span[1] / 191.0])

    @property
    def origin(self) -> Array:
        """Where the built-in head's origin lies in this one (3,), metres."""
        high, low = self.mean[self.border].max(0), self.mean[self.border].min(0)
        return np.array([0.0, high[1] - 98.0 * self.scale[1], low[2] + 21.0 * self.scale[2]])

    def here(self, millimetres: Array) -> Array:
        """Points (..., 3) given on the built-in head, in this one's metres."""
        return np.asarray(millimetres) * self.scale + self.origin


@dataclass(frozen=True, slots=True)
class Part(ABC):
    """A patch of the head; its own n vertices are numbered from `first`.

    triangles (T, 3) into the whole head; uv (T, 3, 2) in [0, 1] of the atlas; occlusion (n,) is the share
    of light that reaches a vertex, neck (n,) its share of the torso's motion.
    """

    name: str
    first: int
    triangles: Index
    uv: Float
    occlusion: Float
    neck: Float

    @abstractmethod
    def place(self, rest: Array, face: Array, look: Look) -> Array:
        """Its own vertices (n, 3), metres, for a face (V, 3) of a person who is rest (V, 3) at rest."""


@dataclass(frozen=True, slots=True)
class Head:
    """A face and its parts, in one list of vertices: the face's V come first.

    triangles (T, 3); uv (T, 3, 2); part (T,) into names, where names[0] is the face itself;
    occlusion and neck (P,) over all vertices; under_hair: the vertices that a cap of hair covers.
    """

    mesh: FaceMesh
    parts: tuple[Part, ...]
    triangles: Index
    uv: Float
    part: Index
    names: tuple[str, ...]
    occlusion: Float
    neck: Float
    under_hair: Index

    @property
    def vertex_count(self) -> int:
        return len(self.occlusion)

    def place(self, rest: Array, face: Array, look: Look) -> Array:
        """All vertices (P, 3) metres, for a face (V, 3) of a person who is rest (V, 3) at rest."""
        return np.concatenate([face, *(part.place(rest, face, look) for part in self.parts)])

    def of(self, *names: str) -> NDArray[np.bool_]:
        """Which triangles (T,) belong to the parts of these names."""
        return np.isin(self.part, [k for k, name in enumerate(self.names) if name in names])


def border_loops(triangles: Index) -> list[Index]:
    """Closed borders of a mesh as rings of vertices in the triangles' own sense, longest list first."""
    edges = [(t[k], t[(k + 1) % 3]) for t in triangles.tolist() for k in range(3)]
    count = Counter((min(e), max(e)) for e in edges)
    following = {a: b for a, b in edges if count[min(a, b), max(a, b)] == 1}
    loops = []
    while following:
        start, at = following.popitem()
        ring = [start]
        while at != start:
            ring.append(at)
            if at not in following:
                raise ValueError(
                    "the face mesh's borders are not simple rings: an outline, a mouth and two eyes are."
                )
            at = following.pop(at)
        loops.append(np.array(ring))
    return sorted(loops, key=len, reverse=True)


def face_mesh(mean: Array, triangles: Index, marks: Index) -> FaceMesh:
    """Finds the four borders. Raises ValueError when the mesh has no outline, mouth and two eyes."""
    loops = border_loops(triangles)
    if len(loops) < 4:
        raise ValueError(f"the face mesh has {len(loops)} borders: an outline, a mouth and two eyes make 4.")
    border = max(loops, key=lambda ring: float(np.linalg.norm(np.ptp(mean[ring], axis=0))))
    holes = [ring for ring in loops if ring is not border]

    def nearest(points: Index) -> Index:
        goal = mean[points].mean(0)
        return min(holes, key=lambda ring: float(np.linalg.norm(mean[ring].mean(0) - goal)))

    middle = 0.5 * (mean[border, 1].min() + mean[border, 1].max())
    angle = np.arctan2(mean[border, 0], middle - mean[border, 1])
    eyes = nearest(marks[36:42]), nearest(marks[42:48])
    return FaceMesh(mean, triangles, marks, border, nearest(marks[60:68]), eyes, angle)


def assemble(mesh: FaceMesh, parts: list[Part], face_uv: Float, under_hair: Index) -> Head:
    """Joins the face, whose vertices lie at face_uv (V, 2) of the atlas, and its parts."""
    names = ["face"]
    owner = [np.zeros(len(mesh.triangles), np.int64)]
    for part in parts:
        if part.name not in names:
            names.append(part.name)
        owner.append(np.full(len(part.triangles), names.index(part.name)))
    return Head(
        mesh=mesh,
        parts=tuple(parts),
        triangles=np.concatenate([mesh.triangles, *(part.triangles for part in parts)]),
        uv=np.concatenate([face_uv[mesh.triangles], *(part.uv for part in parts)]).astype(np.float32),
        part=np.concatenate(owner),
        names=tuple(names),
        occlusion=np.concatenate([np.ones(len(mesh.mean)), *(part.occlusion for part in parts)]).astype(
            np.float32
        ),
        neck=np.concatenate([np.zeros(len(mesh.mean)), *(part.neck for part in parts)]).astype(np.float32),
        under_hair=under_hair,
    )


def fan(first: int, rings: int, spokes: int) -> Index:
    """Triangles of a pole and rings of spokes around it, counter-clockwise when spokes are."""
    k = np.arange(spokes)
    nxt = (k + 1) % spokes
    patches = [np.stack([np.full(spokes, first), first + 1 + k, first + 1 + nxt], axis=1)]
    for r in range(rings - 1):
        inner, outer = first + 1 + r * spokes, first + 1 + (r + 1) * spokes
        patches.append(np.stack([inner + k, outer + k, outer + nxt], axis=1))
        patches.append(np.stack([inner + k, outer + nxt, inner + nxt], axis=1))
    return np.concatenate(patches)


def grid(rows: int, cols: int, *, closed: bool = False) -> tuple[Index, Index]:
    """Triangles of a grid as (T, 3) row and column numbers; closed joins the last column to the first.

    Counter-clockwise when rows run downwards and columns to the right.
    """
    r, c = (
        a.ravel()
        for a in np.meshgrid(np.arange(rows - 1), np.arange(cols if closed else cols - 1), indexing="ij")
    )
    right = (c + 1) % cols
    row = np.concatenate([np.stack([r, r + 1, r + 1], 1), np.stack([r, r + 1, r], 1)])
    col = np.concatenate([np.stack([c, c, right], 1), np.stack([c, right, right], 1)])
    return row, col
