"""The challenge's camera, and the crop that a network sees.

Frames. Row vectors and an OpenGL camera: world x right, y up, z towards the camera, metres;
V_cam = V R + T, the camera looks along -z, so T_z < 0. An image point is [V_cam, 1] M through the
viewport of a W x H image, divided by w, with y counted downwards in the end: y_image = H - y.
OpenCV's camera looks along +z with y down, V_cv = R_cv V + t_cv as columns; its K gives the same
pixels. Integer pixel coordinates are pixel centres. The crop is the similarity that takes five of
the 68 landmarks to the ArcFace template (Deng et al. 2019), framed in 144 x 144 and scaled to S x S.

Everything is vectorised over leading axes. tests/test_jmlr_camera.py holds the two cameras
equal, and the similarity equal to a generic least-squares solution.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating]

# Eye centres (left in the image first), nose tip, mouth corners, in the 112 x 112 ArcFace frame.
_ARCFACE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
_CROP_SHIFT = np.array([16.0, 8.0])
_CROP_FRAME = 144.0
_TO_OPENCV = np.array([1.0, -1.0, -1.0])


def check_projection(matrix: ArrayLike) -> NDArray[np.float64]:
    """The matrix (4, 4) in float64, or a ValueError if it is not a pinhole camera along -z.

    Only the two focal lengths and the two centre offsets may be free: with skew or an orthographic
    part no OpenCV intrinsics give the same pixels.
    """
    m = np.asarray(matrix, dtype=np.float64)
    if m.shape != (4, 4):
        raise ValueError(f"a projection matrix has 4 x 4 numbers, this one has shape {m.shape}")
    pinhole = np.array_equal(m[:, 3], [0, 0, -1, 0]) and m[0, 1] == m[1, 0] == m[3, 0] == m[3, 1] == 0
    if not pinhole or not m[0, 0] > 0 or not m[1, 1] > 0 or not np.isfinite(m).all():
        raise ValueError(
            "the projection matrix is not a pinhole camera that looks along -z: its last column must be "
            "(0, 0, -1, 0), its focal terms positive, and its skew and x, y translation terms 0"
        )
    return m


def project(verts: ArrayLike, R: ArrayLike, T: ArrayLike, projection: ArrayLike, size: ArrayLike) -> Array:
    """Image points of world points, as the challenge defines them.

    verts (..., N, 3) metres;  R (..., 3, 3);  T (..., 3) metres;  projection (4, 4);
    size (..., 2) width and height in pixels;  returns (..., N, 2) full-image pixels
    """
    m = np.asarray(projection, dtype=np.float64)
    width_height = np.asarray(size, dtype=np.float64)[..., None, :]
    camera = to_camera(verts, R, T)
    clip = camera @ m[:3] + m[3]
    xy = (clip[..., :2] / clip[..., 3:] + 1.0) * (width_height / 2.0)
    xy[..., 1] = width_height[..., 1] - xy[..., 1]
    return xy


def project_pinhole(verts: ArrayLike, R: ArrayLike, T: ArrayLike, K: ArrayLike) -> Array:
    """Image points (..., N, 2) px under OpenCV intrinsics K (..., 3, 3); pose as in `project`."""
    k = np.asarray(K, dtype=np.float64)
    camera = to_camera(verts, R, T) * _TO_OPENCV
    focal = np.stack([k[..., 0, 0], k[..., 1, 1]], axis=-1)
    return camera[..., :2] / camera[..., 2:] * focal[..., None, :] + k[..., None, :2, 2]


def to_camera(verts: ArrayLike, R: ArrayLike, T: ArrayLike) -> Array:
    """V R + T in float64: verts (..., N, 3), R (..., 3, 3), T (..., 3) to (..., N, 3), metres."""
    return np.asarray(verts, np.float64) @ np.asarray(R, np.float64) + np.asarray(T, np.float64)[..., None, :]


def intrinsics(projection: ArrayLike, size: ArrayLike) -> Array:
    """OpenCV's K (..., 3, 3), pixels, of projection (4, 4) and size (..., 2) width and height."""
    m = np.asarray(projection, dtype=np.float64)
    half = np.asarray(size, dtype=np.float64) / 2.0
    k = np.zeros((*half.shape[:-1], 3, 3))
    k[..., 0, 0] = m[0, 0] * half[..., 0]
    k[..., 1, 1] = m[1, 1] * half[..., 1]
    k[..., 0, 2] = half[..., 0] * (1.0 - m[2, 0])
    k[..., 1, 2] = half[..., 1] * (1.0 + m[2, 1])
    k[..., 2, 2] = 1.0
    return k


def pose_from_opencv(R_cv: ArrayLike, t_cv: ArrayLike) -> tuple[Array, Array]:
    """(R, T) of the challenge from OpenCV's column-vector pose: R_cv (..., 3, 3), t_cv (..., 3)."""
    return np.swapaxes(np.asarray(R_cv), -1, -2) * _TO_OPENCV, np.asarray(t_cv) * _TO_OPENCV


def pose_to_opencv(R: ArrayLike, T: ArrayLike) -> tuple[Array, Array]:
    """OpenCV's (R_cv, t_cv) from the challenge's pose: R (..., 3, 3), T (..., 3)."""
    return np.swapaxes(np.asarray(R) * _TO_OPENCV, -1, -2), np.asarray(T) * _TO_OPENCV


def euler_angles(R: ArrayLike) -> Array:
    """(..., 3) pitch, yaw, roll in radians of R (..., 3, 3): head turned by yaw, then pitch, then roll."""
    from scipy.spatial.transform import Rotation

    matrices = np.asarray(R, dtype=np.float64)
    columns = np.swapaxes(matrices, -1, -2).reshape(-1, 3, 3)
    yaw_pitch_roll = Rotation.from_matrix(columns).as_euler("yxz")
    return yaw_pitch_roll[:, [1, 0, 2]].reshape(*matrices.shape[:-2], 3)


def rotation_from_euler(angles: ArrayLike) -> Array:
    """R (..., 3, 3) of angles (..., 3) pitch, yaw, roll in radians: the inverse of `euler_angles`."""
    from scipy.spatial.transform import Rotation

    pitch_yaw_roll = np.asarray(angles, dtype=np.float64)
    flat = pitch_yaw_roll.reshape(-1, 3)[:, [1, 0, 2]]
    columns = Rotation.from_euler("yxz", flat).as_matrix()
    return np.swapaxes(columns, -1, -2).reshape(*pitch_yaw_roll.shape[:-1], 3, 3)


def mirror_pose(R: ArrayLike, T: ArrayLike) -> tuple[Array, Array]:
    """Pose of a left-right mirrored sample: R' = F R F, T' = T F with F = diag(-1, 1, 1)."""
    f = np.array([-1.0, 1.0, 1.0])
    return np.asarray(R) * f[:, None] * f, np.asarray(T) * f


def mirror_intrinsics(K: ArrayLike, width: ArrayLike) -> Array:
    """K (..., 3, 3) of an image of width (...) pixels after x -> width - 1 - x."""
    k = np.array(K, copy=True)
    k[..., 0, 2] = np.asarray(width) - 1 - k[..., 0, 2]
    return k


def five_points(landmarks68: ArrayLike) -> Array:
    """(..., 5, 2) eye centres, nose tip and mouth corners of landmarks (..., 68, 2), pixels."""
    p = np.asarray(landmarks68, dtype=np.float64)
    eyes = (p[..., [36, 42], :] + p[..., [39, 45], :]) / 2.0
    return np.concatenate([eyes, p[..., [30, 48, 54], :]], axis=-2)


def crop_template(size: int) -> Array:
    """(5, 2) where the five points go in a crop of size x size pixels."""
    return (_ARCFACE + _CROP_SHIFT) * (size / _CROP_FRAME)


def similarity(source: ArrayLike, target: ArrayLike) -> Array:
    """Least-squares similarity of the plane without reflection (Umeyama 1991), source to target.

    source, target (..., N, 2);  returns (..., 2, 3), so that target ~ A source + b. In the plane,
    with points as complex numbers, it is linear regression: scale and turn are the one complex number
    a = sum conj(s) t / sum |s|^2 of the centred points. Raises ValueError where all points coincide.
    """
    s, t = np.broadcast_arrays(np.asarray(source, np.float64), np.asarray(target, np.float64))
    s_mean, t_mean = s.mean(axis=-2), t.mean(axis=-2)
    s, t = s - s_mean[..., None, :], t - t_mean[..., None, :]
    spread = (s * s).sum(axis=(-2, -1))
    if not np.all(spread > 0):  # NaN included
        raise ValueError("no similarity fits points that coincide or are not finite")
    cosine = (s * t).sum(axis=(-2, -1)) / spread
    sine = (s[..., 0] * t[..., 1] - s[..., 1] * t[..., 0]).sum(axis=-1) / spread
    linear = np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], -2)
    shift = t_mean - (linear @ s_mean[..., None])[..., 0]
    return np.concatenate([linear, shift[..., None]], axis=-1)


def crop_transform(landmarks68: ArrayLike, size: int) -> Array:
    """(..., 2, 3) full-image pixels to crop pixels, from landmarks (..., 68, 2), for size x size."""
    return similarity(five_points(landmarks68), crop_template(size))


def apply_affine(points: ArrayLike, affine: ArrayLike) -> Array:
    """points (..., N, 2) through affine (..., 2, 3)."""
    a = np.asarray(affine)
    return np.asarray(points) @ np.swapaxes(a[..., :2], -1, -2) + a[..., None, :, 2]


def invert_affine(affine: ArrayLike) -> Array:
    """The inverse (..., 2, 3) of affine (..., 2, 3)."""
    a = np.asarray(affine, dtype=np.float64)
    linear = np.linalg.inv(a[..., :2])
    return np.concatenate([linear, -linear @ a[..., 2:]], axis=-1)
