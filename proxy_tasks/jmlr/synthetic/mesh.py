"""A symmetric triangle mesh of the face's domain with holes at the eyes and the mouth.

One half is filled by a centroidal Voronoi tessellation (Lloyd's iteration; Du, Faber, Gunzburger 1999)
whose density follows where faces vary, triangulated by Delaunay and mirrored, so the flip is an exact
involution of vertices and of triangles. For a disc with three holes Euler's formula fixes the triangles:
F = 2 V + 4 - B, with B edges on the four borders; 1,220 vertices and B = 140 give 2,304.
tests/test_jmlr_synthetic_mesh.py checks it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay, cKDTree

from proxy_tasks.jmlr.synthetic.anatomy import Array, Outline

Index = NDArray[np.int64]

_LOOPS = {"contour": 28, "mouth": 18, "eye": 24}  # edges on the half: 2 * (28 + 18 + 24) = 140 borders
_SAMPLES = 16_000
_ITERATIONS = 24
_LEAST_FREE = 60  # points of the half that Lloyd's iteration places


@dataclass(frozen=True, slots=True)
class DomainMesh:
    """The mesh before it is bent onto a head.

    pq (V, 2) mm; triangles (F, 3) counter-clockwise seen from the front; landmarks68 (68,);
    flip_index (V,) the vertex on the other side.
    """

    pq: Array
    triangles: Index
    landmarks68: Index
    flip_index: Index


def edge_length(pq: Array) -> Array:
    """Wanted edge length [mm] at domain points (N, 2): fine at eyes, nose and mouth, coarse at the rim."""
    p, q = np.abs(pq[:, 0]), pq[:, 1]

    def near(cp: float, cq: float, rp: float, rq: float) -> Array:
        return np.asarray(np.exp(-(((p - cp) / rp) ** 2) - ((q - cq) / rq) ** 2))

    detail = 1.0 * near(36.0, 26.0, 26.0, 15.0) + 1.0 * near(0.0, -42.0, 34.0, 20.0)
    detail += 0.95 * near(6.0, -8.0, 15.0, 18.0) + 0.45 * near(25.0, 42.0, 36.0, 10.0)
    detail += 0.3 * near(10.0, -70.0, 26.0, 14.0) + 0.35 * near(6.0, 18.0, 16.0, 20.0)
    return np.asarray(11.0 - 8.0 * np.minimum(detail, 1.0) ** 0.8)


def _resample(curve: Array, anchors: list[Array], edges: int) -> tuple[Array, list[int]]:
    """Points along a polyline with `edges` edges that pass through the anchors; and the anchors' places."""
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    stops = [length[np.argmin(np.linalg.norm(curve - a, axis=1))] for a in anchors]
    knots = [0.0, *stops, length[-1]]
    spans = np.diff(knots)
    share = np.maximum(np.round(spans / length[-1] * edges), spans > 1e-9).astype(int)
    while share.sum() != edges:  # largest remainder: move the span whose edges are most off their mean length
        step = 1 if share.sum() < edges else -1
        ratio = np.where(share + step >= 1, spans / np.maximum(share, 1), -np.inf if step > 0 else np.inf)
        share[np.argmax(ratio) if step > 0 else np.argmin(np.where(share > 1, ratio, np.inf))] += step
    at = [0.0]
    places = []
    for low, high, n in zip(knots[:-1], knots[1:], share, strict=True):
        at.extend(np.linspace(low, high, n + 1)[1:])
        places.append(len(at) - 1)
    points = np.stack([np.interp(at, length, curve[:, k]) for k in (0, 1)], axis=1)
    return points, places[:-1]


def _midline(stops: list[float], scale: float) -> list[float]:
    """Heights down the midline, through the stops, spaced by edge_length * scale."""
    heights = [stops[0]]
    for high, low in pairwise(stops):
        fine = np.linspace(high, low, 200)
        wanted = (1.0 / (scale * edge_length(np.stack([0 * fine, fine], axis=1)))).mean() * (high - low)
        n = max(1, round(wanted))
        heights.extend(np.linspace(high, low, n + 1)[1:])
    return heights


class _Sites:
    """Grows the list of half-domain points; knows which carry which landmark."""

    def __init__(self) -> None:
        self.points: list[Array] = []
        self.landmarks: dict[int, int] = {}

    def add(self, point: Array, landmark: int | None = None) -> int:
        """Index of a new point, or of the one that carries `landmark` already."""
        if landmark is not None and landmark in self.landmarks:
            return self.landmarks[landmark]
        self.points.append(np.asarray(point, float))
        if landmark is not None:
            self.landmarks[landmark] = len(self.points) - 1
        return len(self.points) - 1


def _borders(shape: Outline, sites: _Sites) -> list[Array]:
    """Adds the border points of the half; returns the closed polygons (contour, mouth, eye)."""
    contour, _ = _resample(shape.contour, [], _LOOPS["contour"])
    contour[[0, -1], 0] = 0.0
    for point in contour:
        sites.add(point)
    mouth, places = _resample(shape.mouth, [shape.landmarks[k] for k in (63, 64, 65)], _LOOPS["mouth"])
    names = {0: 62, len(mouth) - 1: 66, **dict(zip(places, (63, 64, 65), strict=True))}
    for k, point in enumerate(mouth):
        sites.add(point, names.get(k))
    order = (45, 44, 43, 42, 47, 46)
    start = int(np.argmin(np.linalg.norm(shape.eye - shape.landmarks[45], axis=1)))
    ring = np.roll(shape.eye, -start, axis=0)
    ring = np.vstack([ring, ring[:1]])
    eye, places = _resample(ring, [shape.landmarks[k] for k in order[1:]], _LOOPS["eye"])
    names = {0: 45, **dict(zip(places, order[1:], strict=True))}
    for k, point in enumerate(eye[:-1]):
        sites.add(point, names.get(k))
    return [contour, mouth, eye[:-1]]


def _inside(points: Array, polygons: list[Array], margin: float = 0.0) -> NDArray[np.bool_]:
    """Which points lie in the half: inside the contour, outside the mouth and the eye."""

    def distance(polygon: Array) -> Array:
        ring = polygon.astype(np.float32).reshape(-1, 1, 2)
        return np.array([cv2.pointPolygonTest(ring, (float(x), float(y)), True) for x, y in points])

    contour, mouth, eye = (distance(polygon) for polygon in polygons)
    return np.asarray((contour > margin) & (mouth < -margin) & (eye < -margin))


def _lloyd(fixed: Array, free: int, polygons: list[Array], scale: float) -> Array:
    """Free sites (free, 2) of a centroidal Voronoi tessellation of the half that keeps the fixed sites."""
    rng = np.random.default_rng(20_220_812)  # the mesh is a constant: its randomness has a fixed seed
    low, high = polygons[0].min(0), polygons[0].max(0)
    cloud = low + (high - low) * rng.random((_SAMPLES * 2, 2))
    cloud = cloud[_inside(cloud, polygons, margin=0.2)]
    weight = edge_length(cloud) ** -4.0
    chance = edge_length(cloud) ** -2.0
    near_fixed = cKDTree(fixed).query(cloud)[0] < 0.45 * scale * edge_length(cloud)
    chance = np.where(near_fixed, 0.0, chance)
    sites = cloud[rng.choice(len(cloud), free, replace=False, p=chance / chance.sum())]
    for _ in range(_ITERATIONS):
        owner = cKDTree(np.vstack([sites, fixed])).query(cloud)[1]
        mass = np.bincount(owner, weight, minlength=free + len(fixed))[:free]
        moved = [np.bincount(owner, weight * cloud[:, k], minlength=free + len(fixed))[:free] for k in (0, 1)]
        live = mass > 0
        sites[live] = np.stack(moved, axis=1)[live] / mass[live, None]
    return sites


def build_mesh(shape: Outline, vertices: int = 1220) -> DomainMesh:
    """Fill the half domain and mirror it: a mesh of exactly `vertices` vertices.

    Raises ValueError when so few vertices cannot carry the borders and the landmarks.
    """
    sites, polygons, free = _fixed_sites(shape, vertices)
    if free < _LEAST_FREE:
        enough = vertices
        while free < _LEAST_FREE:
            enough += max(_LEAST_FREE - free, 1)
            free = _fixed_sites(shape, enough)[2]
        raise ValueError(f"a face of {vertices} vertices is too coarse: it needs {enough} or more.")
    fixed = np.array(sites.points)
    half = np.vstack([fixed, _lloyd(fixed, free, polygons, _scale(vertices))])
    triangles = Delaunay(half).simplices.astype(np.int64)
    triangles = triangles[_inside(half[triangles].mean(1), polygons)]
    return _mirror(half, triangles, sites.landmarks)


def _scale(vertices: int) -> float:
    """Edge length relative to the default mesh."""
    return float(np.sqrt(1220.0 / vertices))


def _fixed_sites(shape: Outline, vertices: int) -> tuple[_Sites, list[Array], int]:
    """The half's points that stay: borders, midline, landmarks, guides; its polygons; how many may move."""
    sites = _Sites()
    polygons = _borders(shape, sites)
    contour, mouth, _ = polygons
    top, bottom = contour[0, 1], contour[-1, 1]
    for names, start, end in (((27, 28, 29, 30, 33, 51), top, mouth[0, 1]), ((57, 8), mouth[-1, 1], bottom)):
        stops = {shape.landmarks[k][1]: k for k in names}
        for height in _midline([start, *stops, end], _scale(vertices))[1:-1]:
            sites.add(np.array([0.0, height]), stops.get(height))
    for number, point in shape.landmarks.items():
        sites.add(point, number)
    for point in shape.guides:
        if point[0] > 1.0 and np.linalg.norm(np.array(sites.points) - point, axis=1).min() > 1.3:
            sites.add(point)
    middle = sum(point[0] == 0.0 for point in sites.points)
    if (vertices - middle) % 2:  # a mesh of this parity needs one more vertex on the midline: above the nose
        sites.add(np.array([0.0, 0.5 * (top + shape.landmarks[27][1]) + 1.7]))
        middle += 1
    return sites, polygons, (vertices + middle) // 2 - len(sites.points)


def _mirror(half: Array, triangles: Index, landmarks: dict[int, int]) -> DomainMesh:
    a, b, c = (half[triangles[:, k]] for k in range(3))
    clockwise = (b - a)[:, 0] * (c - a)[:, 1] < (b - a)[:, 1] * (c - a)[:, 0]
    triangles[clockwise] = triangles[clockwise][:, [0, 2, 1]]
    side = np.flatnonzero(half[:, 0] > 0.0)
    twin = np.arange(len(half))
    twin[side] = len(half) + np.arange(len(side))
    pq = np.vstack([half, half[side] * [-1.0, 1.0]])
    flip = np.concatenate([twin, side])
    both = np.vstack([triangles, twin[triangles][:, [0, 2, 1]]])
    marks = np.empty(68, np.int64)
    for number, site in landmarks.items():
        marks[number] = site
        marks[FLIP68[number]] = twin[site]
    return DomainMesh(pq=pq, triangles=both, landmarks68=marks, flip_index=flip)


def _flip68() -> Index:
    """The 68-point scheme's own left-right permutation."""
    flip = np.arange(68)
    pairs = [(k, 16 - k) for k in range(8)] + [(17 + k, 26 - k) for k in range(5)] + [(31, 35), (32, 34)]
    pairs += [(36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)]
    pairs += [(48, 54), (49, 53), (50, 52), (59, 55), (58, 56), (60, 64), (61, 63), (67, 65)]
    for left, right in pairs:
        flip[left], flip[right] = right, left
    return flip


FLIP68 = _flip68()
