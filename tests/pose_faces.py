"""Face-like shapes, head poses and reference pose solvers for the tests of pose and score.

Nothing here uses the code under test: images are formed by numpy in the frames of DESIGN.md section 2, and
the references are scipy's least_squares run to convergence and OpenCV's iterative solver.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]
K = np.array([[629.77, 0.0, 400.0], [0.0, 629.77, 400.0], [0.0, 0.0, 1.0]])
TO_OPENCV = np.array([1.0, -1.0, -1.0])

# How far shape and landmarks are from the truth, by the name that docs/pose.md gives it: arguments of `draw`,
# and `depth`, the part of a shape's true depth that the solvers are told.
REGIMES: dict[str, dict[str, Any]] = {
    "true shape, no noise": {},
    "true shape, 1 px": {"noise": 1.0},
    "true shape, 20 px": {"noise": 20.0},
    "12 vertices, 2 px": {"noise": 2.0, "vertices": 12},
    "shape off by 1 mm, 1 px": {"shape_error": 0.001, "noise": 1.0},
    "shape off by 3 mm, 1 px": {"shape_error": 0.003, "noise": 1.0},
    "shape off by 15 mm, 5 px": {"shape_error": 0.015, "noise": 5.0},
    "shape off by 30 mm, 30 px": {"shape_error": 0.030, "noise": 30.0},
    "mean face, true landmarks": {"mean_shape": True},
    "mean face, any turn": {"mean_shape": True, "any_turn": True},
    "shape off by 3 mm, any turn": {"shape_error": 0.003, "noise": 1.0, "any_turn": True},
    "a tenth as deep, 3 px, any turn": {"depth": 0.1, "noise": 3.0, "any_turn": True},
    "flat, 3 px, any turn": {"depth": 0.0, "noise": 3.0, "any_turn": True},
    "6 vertices, 20 px, any turn": {"noise": 20.0, "vertices": 6, "any_turn": True},
    "shape off by 50 mm, any turn": {"shape_error": 0.05, "noise": 30.0, "any_turn": True},
    "1,220 vertices, 3 mm, 1 px": {"shape_error": 0.003, "noise": 1.0, "vertices": 1220},
    "true shape, 5 px": {"noise": 5.0},
    "shape off by 10 mm, 5 px": {"shape_error": 0.010, "noise": 5.0},
}


class Faces(NamedTuple):
    """verts (B, V, 3) metres, points (B, V, 2) pixels, and the pose (R, T) that the points were made with."""

    verts: Array
    points: Array
    R: Array
    T: Array


def mean_face(vertices: int) -> Array:
    """A bowl 16 cm wide and 20 cm high with a nose 3 cm long: (vertices, 3) metres, z towards the camera."""
    angle = np.arange(vertices) * np.pi * (3 - np.sqrt(5))
    radius = np.sqrt((np.arange(vertices) + 0.5) / vertices)
    u, v = radius * np.cos(angle), radius * np.sin(angle)
    nose = 0.03 * np.exp(-(u**2 / 0.02 + (v + 0.1) ** 2 / 0.06))
    return np.stack((0.08 * u, 0.10 * v, 0.09 * np.sqrt(1.05 - radius**2) + nose), 1)


def smooth_change(mean: Array, count: int, size: float, rng: np.random.Generator) -> Array:
    """Smooth random displacement fields (count, V, 3), `size` metres on average at a vertex."""
    waves = rng.normal(size=(3, 24)) * 25.0
    basis = np.cos(mean @ waves + rng.uniform(0, 2 * np.pi, 24))
    change = np.einsum("vk,bkc->bvc", basis, rng.normal(size=(count, 24, 3)))
    return change * (size / np.linalg.norm(change, axis=2).mean())


def head_poses(count: int, rng: np.random.Generator, any_turn: bool = False) -> tuple[Array, Array]:
    """R (count, 3, 3) and T (count, 3) with the challenge's spread, or with every rotation equally likely."""
    angles = rng.normal(size=(count, 3)) * (0.27, 0.31, 0.08)
    turn = Rotation.random(count, rng) if any_turn else Rotation.from_euler("yxz", angles)
    T = rng.normal(size=(count, 3)) * (0.022, 0.049, 0.065) + (0.0, 0.0, -0.53)
    return np.swapaxes(turn.as_matrix(), 1, 2), T


def project(verts: Array, R: Array, T: Array, K: Array = K) -> Array:
    """Pixels (B, V, 2) of verts (B, V, 3) under V_cam = V R + T and an OpenGL camera."""
    camera = (verts @ R + T[:, None]) * TO_OPENCV
    pixels = camera @ np.swapaxes(K, -1, -2)
    return pixels[..., :2] / pixels[..., 2:]


def draw(
    count: int,
    seed: int,
    *,
    vertices: int = 150,
    shape_error: float = 0.0,
    noise: float = 0.0,
    mean_shape: bool = False,
    any_turn: bool = False,
) -> Faces:
    """Faces as a network may predict them: points off by `noise` pixels, verts by `shape_error` metres.

    mean_shape: the vertices are the mean face's, the points those of each true face (an untrained network)
    """
    rng = np.random.default_rng(seed)
    mean = mean_face(vertices)
    true = mean + smooth_change(mean, count, 0.004, rng)
    R, T = head_poses(count, rng, any_turn)
    points = project(true, R, T) + noise * rng.normal(size=(count, vertices, 2))
    if mean_shape:
        return Faces(np.broadcast_to(mean, true.shape).copy(), points, R, T)
    verts = true + smooth_change(mean, count, shape_error, rng) if shape_error else true
    return Faces(verts, points, R, T)


def cost(verts: Array, points: Array, R: Array, T: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Sum of squared pixel distances (B,), and whether every vertex is in front of the camera (B,)."""
    front = np.all((verts @ R + T[:, None])[..., 2] < 0, axis=1)
    return ((project(verts, R, T) - points) ** 2).sum((1, 2)), front


def degrees_apart(a: Array, b: Array) -> Array:
    """Angle between rotations (B, 3, 3), exact near zero."""
    chord = np.sqrt(((a - b) ** 2).sum((1, 2)) / 8)
    return np.degrees(2 * np.arcsin(np.minimum(chord, 1)))


def opencv_pose(verts: Array, points: Array, K: Array = K) -> tuple[Array, Array]:
    """cv2.solvePnP (iterative) for each face; where it throws, a face turned away far behind the camera."""
    R, T = np.empty((len(verts), 3, 3)), np.empty((len(verts), 3))
    for i, (v, p) in enumerate(zip(verts, points, strict=True)):
        try:
            _, turn, shift = cv2.solvePnP(v, p, K, None)
        except cv2.error:
            turn, shift = np.zeros(3), np.array([0.0, 0.0, -10.0])
        R[i], T[i] = cv2.Rodrigues(turn)[0].T * TO_OPENCV, shift.ravel() * TO_OPENCV
    return R, T


def scipy_pose(verts: Array, points: Array, R: Array, T: Array, K: Array = K) -> tuple[Array, Array]:
    """least_squares from the pose (R, T) until no step helps: verts (V, 3), points (V, 2), one face.

    Each run turns about the face's middle and starts where the last one ended, until one stays in place.
    """
    centre = verts.mean(0)
    for _ in range(20):
        problem = _Reprojection((verts - centre) @ R, centre @ R + T, points, K)
        tight = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15, "max_nfev": 2000}
        step = least_squares(problem.residuals, np.zeros(6), problem.jacobian, method="lm", **tight).x
        R = R @ _turn(step[:3])[0].T
        T = problem.middle + step[3:] - centre @ R
        if np.abs(step).max() < 1e-9:
            break
    return R, T


class _Reprojection(NamedTuple):
    """A face turned by (3,) radians about its middle and then shifted (3,): pixels off, and their slopes."""

    turned: Array  # (V, 3) from the middle, camera space
    middle: Array
    points: Array
    K: Array

    def residuals(self, step: Array) -> Array:
        camera = (self.turned @ _turn(step[:3])[0].T + self.middle + step[3:]) * TO_OPENCV
        pixels = camera @ self.K.T
        return np.asarray((pixels[:, :2] / pixels[:, 2:] - self.points).ravel())

    def jacobian(self, step: Array) -> Array:
        """(2V, 6): d(turn(w) p)/dw = -[turn(w) p]x J(w), J being the rotation group's left Jacobian."""
        matrix, left = _turn(step[:3])
        arm = self.turned @ matrix.T
        x, y, z = ((arm + self.middle + step[3:]) * TO_OPENCV).T
        flat = np.zeros((len(x), 2, 3))
        flat[:, 0, 0] = flat[:, 1, 1] = 1.0 / z
        flat[:, 0, 2], flat[:, 1, 2] = -x / z**2, -y / z**2
        shift = self.K[:2, :2] @ flat * TO_OPENCV
        return np.concatenate([np.cross(arm[:, None], shift) @ left, shift], axis=2).reshape(-1, 6)


def _turn(w: Array) -> tuple[Array, Array]:
    """Rotation matrix of a rotation vector, column convention, and its left Jacobian."""
    angle = float(np.sqrt(w @ w))
    hat = np.array([[0, -w[2], w[1]], [w[2], 0, -w[0]], [-w[1], w[0], 0]])
    if angle < 1e-4:
        a, b, c = 1 - angle**2 / 6, 0.5 - angle**2 / 24, 1 / 6 - angle**2 / 120
    else:
        a, b, c = (
            np.sin(angle) / angle,
            (1 - np.cos(angle)) / angle**2,
            (angle - np.sin(angle)) / angle**3,
        )
    square = hat @ hat
    return np.eye(3) + a * hat + b * square, np.eye(3) + b * hat + c * square


def reprojection_condition(verts: Array, points: Array, R: Array, T: Array, K: Array = K) -> float:
    """Condition number of the residuals' Jacobian at a pose, its columns scaled to unit length: one face."""
    centre = verts.mean(0)
    slopes = _Reprojection((verts - centre) @ R, centre @ R + T, points, K).jacobian(np.zeros(6))
    lengths = np.linalg.norm(slopes, axis=0)
    return float(np.linalg.cond(slopes / lengths)) if np.isfinite(lengths).all() else np.inf
