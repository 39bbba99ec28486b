"""Poses against the published statistics, and the camera against its definition."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from proxy_tasks.jmlr.synthetic import pose
from proxy_tasks.jmlr.synthetic.actions import ACTIONS

PUBLISHED_MEAN = np.array([-0.018197, -0.017891, 0.025348, -0.005368, 0.001176, -0.532206])
PUBLISHED_STD = np.array([0.314015, 0.271809, 0.081881, 0.022173, 0.048839, 0.065444])


@pytest.fixture(scope="module")
def poses():
    """All 33 actions of 400 people."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        sitting = pose.seat(rng)
        found += [(a.sweep, pose.sample(a.sweep, rng.random(), sitting, rng)) for a in ACTIONS]
    return found


def test_poses_have_the_published_means_and_deviations_within_fifteen_per_cent(poses):
    rows = []
    for _, p in poses:
        yaw, pitch, roll = Rotation.from_matrix(p.R.T).as_euler("yxz")
        rows.append([pitch, yaw, roll, *p.T])
    rows = np.array(rows)
    assert (np.abs(rows.std(0) / PUBLISHED_STD - 1.0) < 0.15).all(), rows.std(0) / PUBLISHED_STD
    assert (np.abs(rows.mean(0) - PUBLISHED_MEAN) < 0.15 * PUBLISHED_STD).all(), rows.mean(0)


def test_faces_keep_their_distance_and_stay_in_the_picture(poses):
    corners = np.array([[x, y, 0.0] for x in (-0.08, 0.08) for y in (-0.1, 0.1)])
    for _, p in poses:
        assert 0.3 < -p.T[2] < 0.9
        points = pose.project(corners @ p.R + p.T, 800)
        assert points.min() > 0.0 and points.max() < 799.0


def test_an_action_sweeps_one_angle_and_holds_the_other(poses):
    for sweep, swept, held in (("LeftToRight", 0, 1), ("UpToDown", 1, 0)):
        angles = np.array([p.angles for s, p in poses if s == sweep])
        assert angles[:, swept].std() > 4.0 * angles[:, held].std()


def test_rotations_are_proper_and_carry_their_angles(poses):
    for _, p in poses[:50]:
        assert np.abs(p.R @ p.R.T - np.eye(3)).max() < 1e-12
        assert np.linalg.det(p.R) == pytest.approx(1.0)
        assert np.allclose(Rotation.from_matrix(p.R.T).as_euler("yxz"), p.angles)
        assert np.allclose(p.matrix, [[*row, 0] for row in p.R] + [[*p.T, 1]], atol=1e-6)


def test_projection_is_the_matrix_and_viewport_of_the_challenge():
    rng = np.random.default_rng(1)
    points = rng.normal([0.0, 0.0, -0.5], 0.1, (20, 3))
    size = 640
    half = size / 2.0
    viewport = np.array([[half, 0, 0, 0], [0, half, 0, 0], [0, 0, 1, 0], [half, half, 0, 1]])
    image = np.column_stack([points, np.ones(20)]) @ pose.PROJECTION @ viewport
    expected = image[:, :2] / image[:, 3:]
    expected[:, 1] = size - expected[:, 1]
    assert np.allclose(pose.project(points, size), expected, atol=1e-9)
