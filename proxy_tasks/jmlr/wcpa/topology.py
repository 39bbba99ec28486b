"""The mesh that a data set's vertices live on: triangles, landmark indices, left-right permutation.

All of it is read from the data set's resources/ and nothing is a constant here. Where
resources/flip_index.npy is absent the permutation is derived from example.obj: mirror it, let it
settle on itself, and pair vertices one to one. The result must be an involution that fixes the
mid-line and maps most triangles to triangles; it cannot be all, because the two halves may cut a quad
along opposite diagonals (186 quads of the challenge's mesh).

tests/test_wcpa_topology.py derives known permutations of symmetric and disturbed meshes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
A = TypeVar("A")

_MAPPED_TRIANGLES = 0.75  # least share of triangles mapped to triangles; 0.84 on the challenge's mesh
_MIDLINE = 0.1  # farthest that its own mirror image may lie from the middle, in widths of the mesh
_SETTLING_STEPS = 10
_POSITION_WEIGHT = 0.1  # a median misfit of two vertices, in mesh neighbours that agree


@dataclass(frozen=True, eq=False)
class Topology:
    """Mesh of a data set.

    triangles (F, 3);  landmarks68 (68,) vertex indices;  flip_index (V,) an involution;
    template (V, 3) float32, the vertices of example.obj in its own units
    """

    triangles: Ints
    landmarks68: Ints
    flip_index: Ints
    template: NDArray[np.float32]

    def __post_init__(self) -> None:
        count = len(self.template)
        for name, indices in (("triangles", self.triangles), ("landmarks68", self.landmarks68)):
            if indices.size and (indices.min() < 0 or indices.max() >= count):
                raise ValueError(f"{name} index vertices outside 0..{count - 1}")
        if self.landmarks68.shape != (68,):
            raise ValueError(f"kpt_ind.npy has shape {self.landmarks68.shape}; it must name 68 vertices")
        check_involution(self.flip_index, count)

    @property
    def vertex_count(self) -> int:
        return len(self.template)

    @cached_property
    def id(self) -> str:
        """Short hash of the indices; the template's shape does not count."""
        digest = hashlib.sha256()
        for array in (self.triangles, self.landmarks68, self.flip_index):
            digest.update(np.ascontiguousarray(array, dtype=np.int64).tobytes() + b"|")
        return digest.hexdigest()[:12]

    @classmethod
    def load(cls, resources: Path) -> Topology:
        """Read resources/ of a data set; ValueError, in a sentence, where a file makes no sense."""
        template, triangles = read_obj(resources / "example.obj")
        landmarks = _indices(resources / "kpt_ind.npy").reshape(-1)
        flip_file = resources / "flip_index.npy"
        flip = _indices(flip_file).reshape(-1) if flip_file.exists() else derive_flip(template, triangles)
        return cls(triangles, landmarks, flip, template.astype(np.float32))


def _indices(path: Path) -> Ints:
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        why = "it holds Python objects" if "pickle" in str(error) else str(error)
        raise ValueError(f"{path} cannot be read as an array of vertex indices: {why}") from error
    if values.dtype.kind not in "iu":
        raise ValueError(f"{path} holds {values.dtype} numbers; vertex indices are integers")
    return values.astype(np.int64)


def read_obj(path: Path) -> tuple[NDArray[np.float64], Ints]:
    """Vertices (V, 3) and triangles (F, 3) of a Wavefront file; larger polygons become fans."""
    vertices: list[list[float]] = []
    faces: list[tuple[int, int, int]] = []
    try:
        for line in path.read_text().splitlines():
            key, *words = line.split() or [""]
            if key == "v":
                vertices.append([float(word) for word in words[:3]])
            elif key == "f":
                corner = [int(word.split("/")[0]) for word in words]
                corner = [c - 1 if c > 0 else len(vertices) + c for c in corner]
                faces += [(corner[0], b, c) for b, c in pairwise(corner[1:])]
        template = np.array(vertices, dtype=np.float64).reshape(-1, 3)
    except (ValueError, IndexError) as error:
        raise ValueError(f"{path} is not a readable Wavefront mesh: {error}") from error
    if not np.isfinite(template).all():
        raise ValueError(f"{path} has vertices that are not finite")
    if not vertices or not faces:
        raise ValueError(f"{path} holds {len(vertices)} vertices and {len(faces)} faces: no mesh")
    return template, np.array(faces, dtype=np.int64)


def check_involution(flip: Ints, count: int) -> None:
    """ValueError unless flip (count,) is a permutation of the vertices that undoes itself."""
    if flip.shape != (count,) or flip.min() < 0 or flip.max() >= count:
        raise ValueError(f"the left-right permutation has shape {flip.shape}; it needs one index of {count}")
    broken = int((flip[flip] != np.arange(count)).sum())
    if broken:
        raise ValueError(
            f"the left-right permutation is not an involution at {broken} of {count} vertices; "
            "give one as resources/flip_index.npy"
        )


def derive_flip(template: NDArray[np.float64], triangles: Ints) -> Ints:
    """The left-right permutation (V,) of a nearly symmetric mesh with x from right to left.

    Mirrored vertices take their nearest vertex; if that does not pair them off, as on a scanned face,
    which is never quite symmetric, the mirrored mesh is drawn towards the mesh by smoothed steps, and
    vertices are assigned one to one by position and by whose neighbours agree. Right on every one of
    100 random neutral faces of a scanned model with up to 3 mm of asymmetry; a one-sided grimace
    defeats it, which the checks on the result mostly catch.
    """
    from scipy.spatial import cKDTree

    count = len(template)
    centred = template - [(template[:, 0].min() + template[:, 0].max()) / 2.0, 0.0, 0.0]
    mirrored = centred * [-1.0, 1.0, 1.0]
    flip = cKDTree(centred).query(mirrored)[1].astype(np.int64)
    if not np.array_equal(flip[flip], np.arange(count)) or _mapped_share(triangles, flip) < _MAPPED_TRIANGLES:
        flip = _settle(centred, mirrored, triangles)
    check_involution(flip, count)
    share = _mapped_share(triangles, flip)
    if share < _MAPPED_TRIANGLES:
        raise ValueError(
            f"the left-right permutation derived from example.obj maps only {share:.0%} of the triangles "
            "to triangles; give one as resources/flip_index.npy"
        )
    middle = np.abs(centred[flip == np.arange(count), 0])
    if not len(middle) or middle.max() > _MIDLINE * np.ptp(template[:, 0]):
        raise ValueError(
            "the left-right permutation derived from example.obj does not fix the mesh's mid-line; "
            "give one as resources/flip_index.npy"
        )
    return flip


def _settle(target: NDArray[np.float64], mirrored: NDArray[np.float64], triangles: Ints) -> Ints:
    """One-to-one partners of the mirrored vertices after a smooth warp onto the target."""
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import coo_array
    from scipy.spatial.distance import cdist

    count = len(target)
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    rows = np.concatenate([edges[:, 0], edges[:, 1], np.arange(count)])
    columns = np.concatenate([edges[:, 1], edges[:, 0], np.arange(count)])
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(count, count)).tocsr()
    graph.data[:] = 1.0
    degree = np.asarray(graph.sum(axis=1)).reshape(-1, 1)
    moving = mirrored
    for smoothing in np.linspace(30, 2, _SETTLING_STEPS).astype(int):
        step = target[linear_sum_assignment(cdist(moving, target, "sqeuclidean"))[1]] - mirrored
        for _ in range(smoothing):
            step = (graph @ step) / degree
        moving = mirrored + step
    distance = cdist(moving, target, "sqeuclidean")
    distance = (distance + distance.T) / np.median(distance.min(axis=1) + 1e-12)
    flip = linear_sum_assignment(distance)[1]
    # Where positions leave doubt the mesh decides: partners' neighbours are each other's partners.
    for _ in range(_SETTLING_STEPS):
        agreement = (graph[:, np.argsort(flip)] @ graph).toarray()
        flip = linear_sum_assignment(_POSITION_WEIGHT * distance - agreement - agreement.T)[1]
    return flip.astype(np.int64)


def _mapped_share(triangles: Ints, flip: Ints) -> float:
    """Share of triangles whose image under the permutation is a triangle too."""
    own = {tuple(sorted(t)) for t in triangles.tolist()}
    return sum(tuple(sorted(t)) in own for t in flip[triangles].tolist()) / len(triangles)


def mirror_verts(verts: A, flip_index: object) -> A:
    """Vertices (..., V, 3) of the mirrored face: permuted, x negated. NumPy arrays or torch tensors."""
    mirrored = verts[..., flip_index, :]  # type: ignore[index]
    mirrored[..., 0] *= -1
    return mirrored


def mirror_points(points: A, flip_index: object, width: object) -> A:
    """Image points (..., V, 2) after x -> width - 1 - x, permuted; width is a number. Either library."""
    mirrored = points[..., flip_index, :]  # type: ignore[index]
    mirrored[..., 0] = (width - 1) - mirrored[..., 0]  # type: ignore[operator]
    return mirrored
