"""Head poses with the statistics of the challenge's training set, and its camera.

Angles are DESIGN's: yaw, pitch, roll = Rotation.from_matrix(R.T).as_euler("yxz"), V_cam = V R + T in an
OpenGL camera. A left-to-right action sweeps the yaw and holds the pitch; an up-down action the reverse.
The constants below split the published standard deviations between the two kinds (16 and 17 actions of
33) and, for the position, between subjects and frames. tests/test_jmlr_synthetic_pose.py holds the
result to the published means and deviations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Real = TypeVar("Real", np.float32, np.float64)

PROJECTION = np.array(  # row vectors; the challenge's: focal length 1.57443701 half images
    [
        [1.57443701, 0.0, 0.0, 0.0],
        [0.0, 1.57443701, 0.0, 0.0],
        [0.0, 0.0, -0.99999976, -1.0],
        [0.0, 0.0, -0.001, 0.0],
    ]
)
# pitch, yaw, roll [rad], tx, ty, tz [m]
MEAN = np.array([-0.018197, -0.017891, 0.025348, -0.005368, 0.001176, -0.532206])
STD = np.array([0.314015, 0.271809, 0.081881, 0.022173, 0.048839, 0.065444])

_HELD = {"yaw": 0.070, "pitch": 0.075}  # deviation of the angle that an action does not sweep
_SHARE = {"yaw": 16.0 / 33.0, "pitch": 17.0 / 33.0}  # of the actions that sweep it
_STEADY = 0.97  # of a sweep's variance is the sweep itself, uniform in time; the rest is the person's
_SUBJECT = 0.5  # of a position's variance is where the subject sits
_NEAR, _FAR = -0.31, -0.89  # metres
_KEEP_INSIDE = 0.14  # metres of face kept inside the image around its centre


@dataclass(frozen=True, slots=True)
class Pose:
    """R (3, 3) and T (3,) metres, for V_cam = V R + T; angles (3,) are yaw, pitch and roll [rad]."""

    R: Array
    T: Array
    angles: Array

    @property
    def matrix(self) -> NDArray[np.float32]:
        """R_t of an info file (4, 4)."""
        full = np.eye(4, dtype=np.float32)
        full[:3, :3], full[3, :3] = self.R, self.T
        return full


def rotation(yaw: float, pitch: float, roll: float) -> Array:
    """R (3, 3) of these angles [rad]: about y, then x, then z, transposed for row vectors."""
    (sy, sx, sz), (cy, cx, cz) = np.sin([yaw, pitch, roll]), np.cos([yaw, pitch, roll])
    about_y = np.array([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]])
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cx, -sx], [0.0, sx, cx]])
    about_z = np.array([[cz, -sz, 0.0], [sz, cz, 0.0], [0.0, 0.0, 1.0]])
    return np.asarray((about_z @ about_x @ about_y).T)


def seat(rng: np.random.Generator) -> Array:
    """A subject's own offset from the mean position (3,), metres."""
    return np.asarray(rng.normal(0.0, np.sqrt(_SUBJECT) * STD[3:]))


def _swept(name: str, std: float, moment: float, rng: np.random.Generator) -> float:
    total = (std**2 - (1.0 - _SHARE[name]) * _HELD[name] ** 2) / _SHARE[name]
    half_range = np.sqrt(3.0 * _STEADY * total)
    return float((2.0 * moment - 1.0) * half_range + rng.normal(0.0, np.sqrt((1.0 - _STEADY) * total)))


def sample(sweep: str, moment: float, sitting: Array, rng: np.random.Generator) -> Pose:
    """The pose at a moment in [0, 1] of a sweep ("LeftToRight" or "UpToDown")."""
    pitch, yaw, roll = MEAN[:3]
    if sweep == "LeftToRight":
        yaw += _swept("yaw", STD[1], moment, rng)
        pitch += rng.normal(0.0, _HELD["pitch"])
    else:
        pitch += _swept("pitch", STD[0], moment, rng)
        yaw += rng.normal(0.0, _HELD["yaw"])
    roll += rng.normal(0.0, STD[2])
    T = MEAN[3:] + sitting + rng.normal(0.0, np.sqrt(1.0 - _SUBJECT) * STD[3:])
    T[2] = np.clip(T[2], _FAR, _NEAR)
    room = -T[2] / PROJECTION[0, 0] - _KEEP_INSIDE
    T[:2] = np.clip(T[:2], -room, room)
    return Pose(rotation(yaw, pitch, roll), T, np.array([yaw, pitch, roll]))


def project(points_cam: NDArray[Real], size: int) -> NDArray[Real]:
    """Pixels (N, 2) of camera-space points (N, 3) in a size x size image; PROJECTION and the viewport."""
    focal = PROJECTION[0, 0] * size / 2.0
    scale = np.array([-focal, focal], points_cam.dtype)
    return np.asarray(scale * points_cam[:, :2] / points_cam[:, 2:3] + points_cam.dtype.type(size / 2.0))
