"""Pose of least reprojection error: closed form, automatic differentiation, scipy, OpenCV, and bad input."""

from __future__ import annotations

import numpy as np
import pose_faces
import pytest
import torch
from pose_faces import REGIMES, Faces, K, cost, degrees_apart, draw, opencv_pose, scipy_pose

from proxy_tasks.jmlr.camera import project_pinhole
from proxy_tasks.jmlr.pnp.descent import refine
from proxy_tasks.jmlr.pnp.error import Views, expand, move
from proxy_tasks.jmlr.pnp.pieces import MOST
from proxy_tasks.jmlr.pnp.rotations import octahedral, rotate
from proxy_tasks.jmlr.pnp.solve import solve_pnp, solve_pnp_checked

NOISY = (
    "true shape, 1 px",
    "true shape, 20 px",
    "shape off by 3 mm, 1 px",
    "shape off by 15 mm, 5 px",
    "mean face, true landmarks",
    "shape off by 3 mm, any turn",
    "mean face, any turn",
)  # of pose_faces.REGIMES


def solve(verts: np.ndarray, points: np.ndarray, camera: np.ndarray = K) -> tuple[np.ndarray, np.ndarray]:
    R, T = solve_pnp(*(torch.from_numpy(a) for a in (verts, points, camera)))
    return R.numpy(), T.numpy()


@pytest.mark.parametrize("any_turn", [False, True])
@pytest.mark.parametrize("vertices", [6, 68, 1220])
def test_pnp_recovers_a_known_pose(vertices, any_turn):
    face = draw(100, seed=1, vertices=vertices, any_turn=any_turn)
    R, T = solve(face.verts, face.points)
    assert degrees_apart(R, face.R).max() < 1e-9
    assert abs(T - face.T).max() < 1e-11


def test_pose_is_in_the_frames_of_the_camera_module():
    face = draw(20, seed=2)
    R, T = solve(face.verts, face.points)
    np.testing.assert_allclose(project_pinhole(face.verts, R, T, K), face.points, atol=1e-8)
    assert (T[:, 2] < 0).all()


def test_pnp_takes_cameras_with_skew_and_unequal_focal_lengths():
    face = draw(3, seed=3)
    camera = np.array([[800.0, 30.0, 310.0], [0.0, 500.0, 455.0], [0.0, 0.0, 1.0]])
    cameras = np.stack((K, camera, 2.0 * camera))
    points = pose_faces.project(face.verts, face.R, face.T, cameras)
    R, T = solve(face.verts, points, cameras)
    assert degrees_apart(R, face.R).max() < 1e-9
    assert abs(T - face.T).max() < 1e-11


def test_residuals_are_weighed_in_pixels_not_in_rays():
    face = draw(8, seed=18)
    camera = np.array([[1500.0, 200.0, 310.0], [0.0, 400.0, 455.0], [0.0, 0.0, 1.0]])
    noise = np.random.default_rng(18).normal(size=face.points.shape) * 5
    points = pose_faces.project(face.verts, face.R, face.T, camera) + noise
    R, T = solve(face.verts, points, camera)
    for i, one in enumerate(zip(face.verts, points, R, T, strict=True)):
        reference_R, reference_T = scipy_pose(*one, camera)
        assert degrees_apart(R[i : i + 1], reference_R[None])[0] < 2e-6
        assert abs(T[i] - reference_T).max() < 2e-8


def test_derivatives_of_the_error_equal_automatic_differentiation():
    rng = torch.Generator().manual_seed(3)
    shape = torch.randn(1, 3, 40, generator=rng, dtype=torch.float64)
    rays = torch.randn(1, 2, 40, generator=rng, dtype=torch.float64) * 0.3
    weight = torch.tensor([[[1.3, 0.2], [0.2, 0.8]]], dtype=torch.float64)
    rotation = rotate(torch.tensor([[0.3, -0.5, 0.2]]).double(), torch.eye(3, dtype=torch.float64)[None])
    shift = torch.tensor([[0.4, -0.3, 6.0]], dtype=torch.float64)

    def half_error(step):
        turned, moved = move(rotation, shift, step[None])
        camera = turned[0] @ shape[0] + moved[0][:, None]
        d = camera[:2] / camera[2] - rays[0]
        return 0.5 * torch.einsum("iv,ij,jv->", d, weight[0], d)

    model = expand(Views(shape, rays, weight), rotation, shift)
    zero = torch.zeros(6, dtype=torch.float64)
    torch.testing.assert_close(model.value[0], 2 * half_error(zero))
    torch.testing.assert_close(model.gradient[0], torch.autograd.functional.jacobian(half_error, zero))
    torch.testing.assert_close(model.hessian[0], torch.autograd.functional.hessian(half_error, zero))


@pytest.mark.parametrize("regime", NOISY)
def test_pose_equals_least_squares_run_to_convergence(regime):
    face = draw(16, seed=4, **REGIMES[regime])
    reference = [scipy_pose(*one) for one in zip(*face, strict=True)]
    R, T = solve(face.verts, face.points)
    reference_R, reference_T = (np.stack(a) for a in zip(*reference, strict=True))
    ours, _ = cost(face.verts, face.points, R, T)
    theirs, _ = cost(face.verts, face.points, reference_R, reference_T)
    # least_squares starts from the true pose; a lower error elsewhere is ours to find.
    assert (ours <= theirs * (1 + 1e-10)).all()
    same = ours >= theirs * (1 - 1e-10)
    assert same.sum() >= 14
    assert degrees_apart(R, reference_R)[same].max() < 2e-6
    assert abs(T - reference_T)[same].max() < 2e-8


def test_dense_shapes_are_refined_on_all_their_points():
    face = draw(6, seed=5, vertices=1220, shape_error=0.003, noise=1.0)
    R, T = solve(face.verts, face.points)
    for i, one in enumerate(zip(*face, strict=True)):
        reference_R, reference_T = scipy_pose(*one)
        assert degrees_apart(R[i : i + 1], reference_R[None])[0] < 2e-6
        assert abs(T[i] - reference_T).max() < 2e-8


@pytest.mark.parametrize("regime", ("true shape, no noise", *NOISY))
def test_error_is_never_above_opencv_in_front_of_the_camera(regime):
    face = draw(500, seed=6, **REGIMES[regime])
    ours, front = cost(face.verts, face.points, *solve(face.verts, face.points))
    theirs, possible = cost(face.verts, face.points, *opencv_pose(face.verts, face.points))
    assert front.all()
    assert possible.sum() > 250
    assert (ours <= theirs * (1 + 1e-12) + 1e-12)[possible].all()


def flattened(face: Faces, depth: float) -> Faces:
    return face._replace(verts=face.verts * (1.0, 1.0, depth))


@pytest.mark.parametrize("depth", [0.0, 0.1, -1.0], ids=["planar", "nearly planar", "inside out"])
def test_ambiguous_shapes_get_the_lowest_of_their_minima(depth):
    face = flattened(draw(60, seed=7, vertices=40, noise=3.0, shape_error=0.004, any_turn=True), depth)
    ours, front = cost(face.verts, face.points, *solve(face.verts, face.points))
    assert front.all()
    centred = face.verts - face.verts.mean(1, keepdims=True)
    shape = torch.from_numpy(centred / 0.06).transpose(1, 2)
    rays = torch.from_numpy((face.points - K[:2, 2]) / K[0, 0]).transpose(1, 2)
    views = Views(shape, rays, torch.eye(2).double().expand(60, 2, 2))
    far = torch.cat((10 * rays.mean(2), torch.full((60, 1), 10.0)), 1)
    errors = [refine(views, turn.expand(60, 3, 3), far).error for turn in octahedral(torch.device("cpu"))]
    least = torch.stack(errors).amin(0).numpy() * K[0, 0] ** 2
    assert (ours <= least * (1 + 1e-9)).all()


def test_points_stay_in_front_where_opencv_puts_them_behind():
    face = flattened(draw(50, seed=8, any_turn=True), -1.0)
    _, behind = cost(face.verts, face.points, *opencv_pose(face.verts, face.points))
    assert (~behind).sum() > 25
    _, front = cost(face.verts, face.points, *solve(face.verts, face.points))
    assert front.all()


def test_pose_of_a_scaled_shape_is_the_pose_scaled():
    face = draw(10, seed=9, shape_error=0.003, noise=1.0)
    R, T = solve(face.verts, face.points)
    for unit in (1e-6, 1e3, 1e6):
        scaled_R, scaled_T = solve(face.verts * unit, face.points)
        assert degrees_apart(R, scaled_R).max() < 1e-6
        np.testing.assert_allclose(scaled_T, T * unit, rtol=0, atol=1e-8 * unit)


def test_a_pose_does_not_depend_on_the_batch_around_it():
    face = draw(MOST + 40, seed=10, vertices=40, shape_error=0.01, noise=5.0, any_turn=True)
    R, T = solve(face.verts, face.points)
    for i in (0, 50, MOST, MOST + 39):
        alone_R, alone_T = solve(face.verts[i : i + 1], face.points[i : i + 1])
        np.testing.assert_allclose(R[i], alone_R[0], atol=1e-9)
        np.testing.assert_allclose(T[i], alone_T[0], atol=1e-9)


def test_float32_predictions_are_solved_in_float64():
    face = draw(10, seed=11, vertices=900, shape_error=0.003, noise=1.0)
    verts, points = torch.from_numpy(face.verts).float(), torch.from_numpy(face.points).float()
    R, T = solve_pnp(verts, points, torch.from_numpy(K).float())
    assert R.dtype == T.dtype == torch.float64
    exact_R, exact_T = solve_pnp(verts.double(), points.double(), torch.from_numpy(K).float().double())
    torch.testing.assert_close(R, exact_R, rtol=0, atol=1e-12)
    torch.testing.assert_close(T, exact_T, rtol=0, atol=1e-12)


def test_residual_is_the_root_mean_square_distance_in_pixels():
    face = draw(5, seed=12, shape_error=0.003, noise=1.0)
    pose = solve_pnp_checked(*(torch.from_numpy(a) for a in (face.verts, face.points, K)))
    expected, _ = cost(face.verts, face.points, pose.R.numpy(), pose.T.numpy())
    np.testing.assert_allclose(pose.rms_px.numpy(), np.sqrt(expected / 150), rtol=1e-9)


def spoil(face: Faces, how: str) -> tuple[np.ndarray, np.ndarray]:
    """Face 1 of three made hopeless."""
    verts, points = face.verts.copy(), face.points.copy()
    if how == "one NaN vertex":
        verts[1, 7, 1] = np.nan
    elif how == "one infinite point":
        points[1, 7, 0] = -np.inf
    elif how == "all zero":
        verts[1], points[1] = 0.0, 0.0
    elif how == "one vertex repeated":
        verts[1] = verts[1, 0]
    elif how == "one point repeated":
        points[1] = points[1, 0]
    elif how == "vertices on a line":
        verts[1] = np.linspace(-1, 1, len(verts[1]))[:, None] * (0.1, 0.2, 0.3) + (0.0, 0.0, 1.0)
    else:
        points[1] = 1e300 * (points[1] - 400)
    return verts, points


@pytest.mark.parametrize(
    "how",
    ["one NaN vertex", "one infinite point", "all zero", "one vertex repeated", "one point repeated",
     "vertices on a line", "overflowing points"],
)  # fmt: skip
def test_hopeless_input_gives_the_failed_pose_and_leaves_the_rest_alone(how):
    face = draw(3, seed=13, vertices=900)
    verts, points = spoil(face, how)
    pose = solve_pnp_checked(*(torch.from_numpy(a) for a in (verts, points, K)))
    assert pose.ok.tolist() == [True, False, True]
    assert pose.R[1].equal(torch.eye(3).double())
    assert pose.T[1].tolist() == [0.0, 0.0, -1.0]
    assert pose.rms_px[1] == torch.inf
    assert abs(pose.T.numpy() - face.T)[[0, 2]].max() < 1e-10


@pytest.mark.parametrize("where", [0.0, 0.1, 1 / 3, 412.7, 1e7 + 1 / 3])
@pytest.mark.parametrize("vertices", [255, 900, 1220])
def test_points_in_one_place_fail_wherever_it_is_and_however_sums_round(where, vertices):
    """No pose is judged by which of two rounding errors is the smaller."""
    face = draw(1, seed=16, vertices=vertices)
    rounding = where * 1e-16 * np.random.default_rng(17).choice([-1.0, 0.0, 1.0], (40, vertices, 2))
    points = torch.from_numpy(where + rounding)
    verts = torch.from_numpy(face.verts).expand(40, -1, -1)
    assert not solve_pnp_checked(verts, points, torch.from_numpy(K)).ok.any()


def test_a_face_so_far_away_that_it_fills_a_hundredth_of_a_pixel_still_has_its_pose():
    face = draw(2, seed=18)
    T = face.T * (1.0, 1.0, 1e4)
    points = pose_faces.project(face.verts, face.R, T, K)
    pose = solve_pnp_checked(*(torch.from_numpy(a) for a in (face.verts, points, K)))
    assert pose.ok.all() and abs(pose.T.numpy() / T - 1)[:, 2].max() < 1e-2


@pytest.mark.parametrize("camera", [np.zeros((3, 3)), np.full((3, 3), np.nan), np.diag([0.0, 600.0, 1.0])])
def test_a_broken_camera_fails_its_face_only(camera):
    face = draw(2, seed=14)
    cameras = torch.from_numpy(np.stack((K, camera)))
    pose = solve_pnp_checked(torch.from_numpy(face.verts), torch.from_numpy(face.points), cameras)
    assert pose.ok.tolist() == [True, False]


WILD = {
    "noise": lambda rng, shape: rng.normal(size=shape),
    "heavy tails": lambda rng, shape: rng.standard_cauchy(size=shape),
    "any magnitude": lambda rng, shape: (
        rng.normal(size=shape) * 10.0 ** rng.uniform(-40, 38, (shape[0], 1, 1))
    ),
    "plane": lambda rng, shape: rng.normal(size=(*shape[:2], 2)) @ rng.normal(size=(shape[0], 2, shape[2])),
    "line": lambda rng, shape: rng.normal(size=(*shape[:2], 1)) * rng.normal(size=(shape[0], 1, shape[2])),
    "constant": lambda rng, shape: np.broadcast_to(rng.normal(size=(shape[0], 1, shape[2])), shape).copy(),
}


@pytest.mark.parametrize("vertices", [1, 2, 3, 5, 40])
@pytest.mark.parametrize("points_kind", WILD)
@pytest.mark.parametrize("verts_kind", WILD)
def test_wild_predictions_get_a_finite_pose_in_front_of_the_camera(verts_kind, points_kind, vertices):
    rng = np.random.default_rng(15)
    verts = 0.1 * WILD[verts_kind](rng, (4, vertices, 3))
    points = 50 * WILD[points_kind](rng, (4, vertices, 2)) + 400
    pose = solve_pnp_checked(*(torch.from_numpy(a) for a in (verts, points, K)))
    assert pose.R.isfinite().all() and pose.T.isfinite().all()
    torch.testing.assert_close(pose.R @ pose.R.transpose(1, 2), torch.eye(3).double().expand(4, 3, 3))
    torch.testing.assert_close(torch.linalg.det(pose.R), torch.ones(4).double())
    depth = (torch.from_numpy(verts) @ pose.R + pose.T[:, None])[..., 2]
    assert (depth < 0)[pose.ok].all()


def test_no_faces_give_no_poses():
    R, T = solve_pnp(torch.zeros(0, 9, 3), torch.zeros(0, 9, 2), torch.zeros(0, 3, 3))
    assert R.shape == (0, 3, 3) and T.shape == (0, 3)


@pytest.mark.parametrize(
    ("verts", "points", "camera", "said"),
    [
        ((2, 9, 3), (2, 8, 2), (2, 3, 3), r"with V > 0, got \(2, 9, 3\) and \(2, 8, 2\)"),
        ((9, 3), (9, 2), (3, 3), r"got \(9, 3\) and \(9, 2\)"),
        ((2, 0, 3), (2, 0, 2), (3, 3), r"V > 0, got \(2, 0, 3\)"),
        ((2, 9, 3), (2, 9, 2), (3, 3, 3), r"K \(2, 3, 3\) or \(3, 3\), got \(3, 3, 3\)"),
    ],
)  # fmt: skip
def test_wrong_shapes_are_named(verts, points, camera, said):
    with pytest.raises(ValueError, match=said):
        solve_pnp(torch.zeros(verts), torch.zeros(points), torch.zeros(camera))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_poses_on_a_gpu_equal_those_on_the_cpu():
    face = draw(300, seed=16, vertices=1220, shape_error=0.01, noise=5.0, any_turn=True)
    inputs = [torch.from_numpy(a) for a in (face.verts, face.points, K)]
    R, T = solve_pnp(*inputs)
    gpu_R, gpu_T = solve_pnp(*(a.cuda() for a in inputs))
    assert gpu_R.is_cuda
    torch.testing.assert_close(gpu_R.cpu(), R, rtol=0, atol=1e-7)
    torch.testing.assert_close(gpu_T.cpu(), T, rtol=0, atol=1e-7)
