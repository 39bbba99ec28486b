"""Identity modes: a Gaussian-process morphable model on the mean head.

Lüthi, Gerig, Jud, Vetter, "Gaussian Process Morphable Models", IEEE TPAMI 40(8), 2018: the shape is
s = mean + g with g ~ GP(0, k) and k built from smooth kernels; its leading eigenfunctions are the modes.
Here k is a sum of squared exponentials at three ranges, the finest one stronger where faces vary, plus
stretch and taper of the whole head. Symmetric and asymmetric parts come from
k_even(a, b) = (k(a, b) + k(a, flip b)) / 2 and k_odd with a minus sign: the x displacement of a
symmetric field is odd, its y and z are even. Rigid motion is projected out, since it is pose, not shape.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.spatial.distance import cdist

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_KERNELS = ((60.0, 1.6), (28.0, 1.6), (13.0, 1.1))  # range, amplitude; mm
_STRETCH = (2.2, 2.2, 1.6, 1.8)  # mm at one head radius: width, height, depth, taper of the jaw


def _kernel(points: Array, detail: Array) -> Array:
    distance = cdist(points, points)
    total = np.zeros_like(distance)
    for reach, amplitude in _KERNELS:
        gain = detail if reach == _KERNELS[-1][0] else np.ones(len(points))
        total += amplitude**2 * np.exp(-0.5 * (distance / reach) ** 2) * gain[:, None] * gain[None, :]
    return total


def _leading(kernel: Array, count: int) -> Array:
    """The `count` leading eigenvectors of a kernel, each times its standard deviation: (count, V)."""
    size = len(kernel)
    values, vectors = eigh(kernel, subset_by_index=(size - count, size - 1))
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))).T[::-1])


def _fields(scalar: tuple[Array, Array, Array]) -> Array:
    """Vector fields (n, V, 3) that move along one axis each, from scalar modes per axis."""
    parts = []
    for axis, modes in enumerate(scalar):
        field = np.zeros((*modes.shape, 3))
        field[..., axis] = modes
        parts.append(field)
    return np.concatenate(parts)


def _stretches(points: Array) -> Array:
    x, y, z = (points - points.mean(0)).T / 80.0
    zero = np.zeros_like(x)
    shapes = [(x, zero, zero), (zero, y, zero), (zero, zero, z), (x * y, zero, zero)]
    return np.stack([size * np.stack(s, axis=1) for size, s in zip(_STRETCH, shapes, strict=True)])


def _principal(fields: Array, points: Array, count: int) -> Array:
    """Leading `count` principal modes of a span of independent unit-variance fields, without rigid motion."""
    flat = fields.reshape(len(fields), -1)
    centred = points - points.mean(0)
    rigid = [np.tile(axis, (len(points), 1)) for axis in np.eye(3)] + [
        np.cross(axis, centred) for axis in np.eye(3)
    ]
    basis, _ = np.linalg.qr(np.stack([r.ravel() for r in rigid], axis=1))
    flat = flat - (flat @ basis) @ basis.T
    _, vectors = eigh(flat @ flat.T)
    lead = vectors[:, ::-1][:, :count].T @ flat
    compass = np.random.default_rng(0).normal(size=lead.shape[1])  # eigenvectors have no sign of their own
    signs = np.sign(lead @ compass)
    return np.asarray((lead * signs[:, None]).reshape(count, -1, 3))


def identity_modes(
    points: Array,
    flip_index: Index,
    detail: Array,
    *,
    symmetric: int = 60,
    asymmetric: int = 20,
    spread_mm: float = 3.6,
) -> Array:
    """Modes (symmetric + asymmetric, V, 3) in mm; coefficients are independent N(0, 1).

    points (V, 3) mm; detail (V,) in [0, 1], where fine variation is strongest; spread_mm the mean over
    vertices of the standard deviation of a vertex's position. The asymmetric part has 0.6 mm of it.
    """
    kernel = _kernel(points, detail)
    crossed = kernel[:, flip_index]
    even, odd = 0.5 * (kernel + crossed), 0.5 * (kernel - crossed)
    even, odd = (0.5 * (k + k.T) for k in (even, odd))
    n = symmetric
    even_modes, odd_modes = _leading(even, n), _leading(odd, n)
    whole = np.concatenate([_fields((odd_modes, even_modes, even_modes)), _stretches(points)])
    whole = _principal(whole, points, symmetric)
    uneven = _principal(_fields((even_modes, odd_modes, odd_modes)), points, asymmetric)
    uneven *= 0.6 / spread(uneven).mean()
    even_out = (spread(whole) / spread(whole).mean()) ** -0.4  # no corner of the face runs away
    whole *= even_out[:, None]
    whole *= np.sqrt(spread_mm**2 - 0.6**2) / spread(whole).mean()
    return np.concatenate([whole, uneven])


def spread(modes: Array) -> Array:
    """Standard deviation of each vertex's position (V,) under unit-variance coefficients."""
    return np.asarray(np.sqrt((modes**2).sum(axis=(0, 2))))
