"""The challenge's camera against OpenCV's, and the crop against its template."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_tasks.jmlr import camera

PROJECTION = np.array(
    [[1.57443701, 0, 0, 0], [0, 1.57443701, 0, 0], [0, 0, -0.99999976, -1], [0, 0, -0.001, 0]]
)


def _pose(rng: np.random.Generator, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    R = camera.rotation_from_euler(rng.normal(0, 0.3, (*shape, 3)))
    return R, rng.normal([0, 0, -0.5], 0.05, (*shape, 3))


def test_projection_follows_the_challenges_formula_term_by_term():
    rng = np.random.default_rng(0)
    R, T = _pose(rng)
    verts = rng.normal(0, 0.07, (9, 3))
    width, height = 800, 600
    viewport = np.array(
        [[width / 2, 0, 0, 0], [0, height / 2, 0, 0], [0, 0, 1, 0], [width / 2, height / 2, 0, 1]]
    )
    homogeneous = np.c_[verts @ R + T, np.ones(9)] @ PROJECTION @ viewport
    expected = homogeneous[:, :2] / homogeneous[:, 3:]
    expected[:, 1] = height - expected[:, 1]
    np.testing.assert_allclose(camera.project(verts, R, T, PROJECTION, (width, height)), expected, atol=1e-9)


def test_the_challenges_focal_length_is_629_77_pixels_and_its_centre_the_middle():
    K = camera.intrinsics(PROJECTION, (800, 800))
    np.testing.assert_allclose(K, [[629.774804, 0, 400], [0, 629.774804, 400], [0, 0, 1]])


@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.1, -0.2)])
def test_opencv_sees_the_same_pixels_through_the_converted_pose_and_intrinsics(offset):
    rng = np.random.default_rng(1)
    projection = PROJECTION.copy()
    projection[2, :2] = offset
    for _ in range(20):
        R, T = _pose(rng)
        verts = rng.normal(0, 0.07, (30, 3))
        size = rng.integers(300, 900, 2)
        R_cv, t_cv = camera.pose_to_opencv(R, T)
        K = camera.intrinsics(projection, size)
        seen = cv2.projectPoints(verts, cv2.Rodrigues(R_cv)[0], t_cv, K, None)[0].reshape(-1, 2)
        np.testing.assert_allclose(camera.project(verts, R, T, projection, size), seen, atol=1e-6)
        np.testing.assert_allclose(camera.project_pinhole(verts, R, T, K), seen, atol=1e-6)
        assert np.linalg.det(R_cv) == pytest.approx(1)


def test_pose_conversions_undo_each_other_in_batches():
    R, T = _pose(np.random.default_rng(2), 4, 5)
    R2, T2 = camera.pose_from_opencv(*camera.pose_to_opencv(R, T))
    np.testing.assert_allclose(R2, R)
    np.testing.assert_allclose(T2, T)


def test_batched_projection_equals_one_image_at_a_time():
    rng = np.random.default_rng(3)
    R, T = _pose(rng, 6)
    verts, size = rng.normal(0, 0.07, (6, 10, 3)), rng.integers(300, 900, (6, 2))
    together = camera.project(verts, R, T, PROJECTION, size)
    for i in range(6):
        np.testing.assert_allclose(together[i], camera.project(verts[i], R[i], T[i], PROJECTION, size[i]))


def test_euler_angles_are_scipys_yxz_of_the_transpose_in_the_order_pitch_yaw_roll():
    from scipy.spatial.transform import Rotation

    R, _ = _pose(np.random.default_rng(4), 3, 2)
    angles = camera.euler_angles(R)
    for i, j in np.ndindex(3, 2):
        yaw, pitch, roll = Rotation.from_matrix(R[i, j].T).as_euler("yxz")
        np.testing.assert_allclose(angles[i, j], [pitch, yaw, roll])
    np.testing.assert_allclose(camera.rotation_from_euler(angles), R, atol=1e-12)


def test_a_mirrored_sample_projects_to_the_mirrored_image():
    rng = np.random.default_rng(5)
    R, T = _pose(rng)
    verts, size = rng.normal(0, 0.07, (12, 3)), np.array([801, 600])
    points = camera.project(verts, R, T, PROJECTION, size)
    R_m, T_m = camera.mirror_pose(R, T)
    K = camera.mirror_intrinsics(camera.intrinsics(PROJECTION, size), size[0])
    assert K[0, 2] == size[0] - 1 - size[0] / 2
    R_cv, t_cv = camera.pose_to_opencv(R_m, T_m)
    seen = cv2.projectPoints(verts * [-1, 1, 1], cv2.Rodrigues(R_cv)[0], t_cv, K, None)[0].reshape(-1, 2)
    np.testing.assert_allclose(seen, np.c_[size[0] - 1 - points[:, 0], points[:, 1]], atol=1e-6)


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 10), st.floats(-np.pi, np.pi))
@settings(max_examples=50, deadline=None)
def test_similarity_recovers_an_exact_one(seed, scale, angle):
    rng = np.random.default_rng(seed)
    source = rng.normal(0, 100, (5, 2))
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    expected = np.c_[linear, rng.normal(0, 50, 2)]
    found = camera.similarity(source, camera.apply_affine(source, expected))
    np.testing.assert_allclose(found, expected, atol=1e-8 * (1 + scale) * 100)


def test_similarity_is_the_least_squares_one_where_none_is_exact():
    rng = np.random.default_rng(6)
    source, target = rng.normal(0, 50, (2, 5, 2))
    # Unknowns (a, b, tx, ty) of x' = a x - b y + tx, y' = b x + a y + ty: an ordinary linear problem.
    x, y, one, zero = source[:, 0], source[:, 1], np.ones(5), np.zeros(5)
    design = np.r_[np.c_[x, -y, one, zero], np.c_[y, x, zero, one]]
    a, b, tx, ty = np.linalg.lstsq(design, target.T.reshape(-1), rcond=None)[0]
    np.testing.assert_allclose(camera.similarity(source, target), [[a, -b, tx], [b, a, ty]], atol=1e-9)


def test_similarity_of_a_batch_equals_that_of_each():
    rng = np.random.default_rng(7)
    source, target = rng.normal(0, 50, (4, 5, 2)), rng.normal(0, 50, (5, 2))
    together = camera.similarity(source, target)
    for i in range(4):
        np.testing.assert_allclose(together[i], camera.similarity(source[i], target))


@pytest.mark.parametrize("bad", [np.ones((5, 2)), np.full((5, 2), np.nan)])
def test_similarity_refuses_points_that_fix_none(bad):
    with pytest.raises(ValueError, match="coincide or are not finite"):
        camera.similarity(bad, camera.crop_template(64))


def test_the_crop_puts_the_five_points_on_the_shifted_and_scaled_arcface_template():
    template = camera.crop_template(144)
    np.testing.assert_allclose(template[0], [38.2946 + 16, 51.6963 + 8])
    np.testing.assert_allclose(template[4], [70.7299 + 16, 92.2041 + 8])
    landmarks = np.zeros((68, 2))
    truth = np.array([[2.0, -0.5, 300], [0.5, 2.0, 200]])
    five = camera.apply_affine(camera.crop_template(256), truth)
    landmarks[[36, 39]], landmarks[[42, 45]] = five[0] + [[-9, 2], [9, -2]], five[1] + [[-9, 2], [9, -2]]
    landmarks[[30, 48, 54]] = five[2:]
    crop = camera.crop_transform(landmarks, 256)
    np.testing.assert_allclose(camera.apply_affine(five, crop), camera.crop_template(256), atol=1e-9)
    np.testing.assert_allclose(camera.invert_affine(crop), truth, atol=1e-9)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda m: m[:3],
        lambda m: m + np.eye(4)[:, [3, 0, 1, 2]],
        lambda m: -m,
        lambda m: np.where(np.arange(16).reshape(4, 4) == 1, 0.1, m),
        lambda m: m * np.array([[np.nan], [1], [1], [1]]),
    ],
)
def test_a_matrix_that_is_no_pinhole_camera_is_refused(spoil):
    with pytest.raises(ValueError, match="projection matrix"):
        camera.check_projection(spoil(PROJECTION))
    camera.check_projection(PROJECTION)
