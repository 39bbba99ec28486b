"""L_error: closed forms, a slow independent loop over numpy and OpenCV, and senseless predictions."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from pose_faces import TO_OPENCV, Faces, K, draw

from proxy_tasks.jmlr.metric import Scores, l_error, score, score_images

KEYS = {"l_error_mm", "v1_v2_mm", "v1_v3_mm", "v1_v4_x10_mm", "median_mm", "failed_share"}


def tensors(*arrays: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(a) for a in arrays]


def truth(face: Faces) -> list[torch.Tensor]:
    return tensors(face.verts, face.R, face.T)


def test_a_perfect_prediction_has_no_error():
    face = draw(20, seed=1)
    total, *parts = l_error(*truth(face), *truth(face))
    assert all((part == 0).all() for part in (total, *parts))
    assert score(*tensors(face.verts, face.points, K), *truth(face))["l_error_mm"] < 1e-6


def test_a_pose_moved_3_mm_counts_twice_3_mm():
    face = draw(5, seed=2)
    verts, R, T = truth(face)
    total, pose, motion, shape = l_error(verts, R, T + torch.tensor([0.0, 0.003, 0.0]), verts, R, T)
    for part, expected in ((total, 6.0), (pose, 3.0), (motion, 3.0), (shape, 0.0)):
        torch.testing.assert_close(part, torch.full((5,), expected).double())


def test_a_shape_moved_2_mm_counts_2_mm_and_ten_times_2_mm():
    face = draw(5, seed=3)
    verts, R, T = truth(face)
    total, pose, motion, shape = l_error(verts + torch.tensor([0.002, 0.0, 0.0]), R, T, verts, R, T)
    for part, expected in ((total, 22.0), (pose, 2.0), (motion, 0.0), (shape, 20.0)):
        torch.testing.assert_close(part, torch.full((5,), expected).double())


def test_norms_are_means_of_distances_not_of_squares():
    face = draw(1, seed=4, vertices=2)
    verts, R, T = truth(face)
    moved = verts + torch.tensor([[0.0, 0.0, 0.001], [0.003, 0.0, 0.004]])
    assert l_error(moved, R, T, verts, R, T)[3].item() == pytest.approx(10 * (1.0 + 5.0) / 2)


def slow_l_error(verts, points, camera, verts_gt, R_gt, T_gt) -> list[float]:
    """Eqs. 6-7 for one image, vertex by vertex, with OpenCV's pose refined until it stands still."""
    _, turn, shift = cv2.solvePnP(verts, points, camera, None)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_COUNT, 1000, 1e-14)
    turn, shift = cv2.solvePnPRefineLM(verts, points, camera, None, turn, shift, criteria)
    R = cv2.Rodrigues(turn)[0].T * TO_OPENCV
    T = shift.ravel() * TO_OPENCV
    sums = np.zeros(3)
    for v, v_gt in zip(verts, verts_gt, strict=True):
        v1, v2 = v_gt @ R_gt + T_gt, v @ R + T
        v3, v4 = v_gt @ R + T, v @ R_gt + T_gt
        sums += [np.linalg.norm(v1 - v2), np.linalg.norm(v1 - v3), 10 * np.linalg.norm(v1 - v4)]
    parts = 1000 * sums / len(verts)
    return [parts.sum(), *parts]


@pytest.mark.parametrize("vertices", [150, 1220])
def test_score_equals_a_slow_loop_over_numpy_and_opencv(vertices):
    face = draw(12, seed=5, vertices=vertices, shape_error=0.003, noise=1.0)
    gt = draw(12, seed=5, vertices=vertices)._replace(R=face.R, T=face.T)
    scores = score_images(*tensors(face.verts, face.points, K), *truth(gt))
    expected = [
        slow_l_error(v, p, K, *one)
        for v, p, *one in zip(face.verts, face.points, gt.verts, gt.R, gt.T, strict=True)
    ]
    ours = np.stack((scores.l_error_mm, scores.v1_v2_mm, scores.v1_v3_mm, scores.v1_v4_x10_mm), 1)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-4)
    assert 20 < scores.l_error_mm.mean() < 100


def test_summary_is_means_a_median_and_the_share_of_failures():
    parts = np.array([[6.0, 1.0, 2.0, 3.0], [9.0, 2.0, 3.0, 4.0], [300.0, 100.0, 100.0, 100.0]])
    scores = Scores(*parts.T, rms_px=np.array([1.0, 1.0, np.inf]), failed=np.array([False, False, True]))
    assert scores.summary() == {
        "l_error_mm": 105.0,
        "v1_v2_mm": pytest.approx(103 / 3),
        "v1_v3_mm": 35.0,
        "v1_v4_x10_mm": pytest.approx(107 / 3),
        "median_mm": 9.0,
        "failed_share": pytest.approx(1 / 3),
    }
    twice = Scores.concatenate([scores, scores])
    assert len(twice.failed) == 6 and twice.summary() == scores.summary()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0, 3e38])
def test_senseless_predictions_score_finite_bad_and_failed(value):
    face = draw(4, seed=6)
    verts, points = (torch.from_numpy(a).float() for a in (face.verts, face.points))
    verts[1], points[1] = value, value
    scores = score_images(verts, points, torch.from_numpy(K), *truth(face))
    assert scores.failed.tolist() == [False, True, False, False]
    assert all(np.isfinite(getattr(scores, name)).all() for name in Scores.__slots__ if name != "rms_px")
    assert scores.l_error_mm[1] > 500
    assert scores.l_error_mm[[0, 2, 3]].max() < 0.1
    assert set(scores.summary()) == KEYS


def test_huge_coordinates_that_cancel_score_finite_too():
    face = draw(2, seed=6)
    verts, points = torch.from_numpy(face.verts).requires_grad_(), torch.from_numpy(face.points)
    wild = verts.detach().clone()
    wild[1, 0, 0], wild[1, 1, 0] = 1e200, -1e200
    scores = score_images(wild, points, torch.from_numpy(K), *truth(face))
    assert np.isfinite(scores.l_error_mm).all() and scores.l_error_mm[1] > 500 > scores.l_error_mm[0]
    with_graph = score_images(verts, points, torch.from_numpy(K), *truth(face))
    np.testing.assert_array_equal(with_graph.l_error_mm[0], scores.l_error_mm[0])


def test_outputs_of_an_untrained_network_score_finite_and_worse_than_the_mean_face():
    rng = np.random.default_rng(7)
    face = draw(50, seed=7)
    mean = draw(50, seed=7, mean_shape=True)
    noise = [0.02 * rng.normal(size=face.verts.shape), 400 + 30 * rng.normal(size=face.points.shape)]
    untrained = score(*tensors(*noise, K), *truth(face))
    baseline = score(*tensors(mean.verts, mean.points, K), *truth(face))
    assert np.isfinite(list(untrained.values())).all()
    assert untrained["l_error_mm"] > 5 * baseline["l_error_mm"] > 0
