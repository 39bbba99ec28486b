"""Pose of least reprojection error: closed form, automatic differentiation, scipy, OpenCV, and bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from proxy_tasks.jmlr.pnp import solve_pnp, solve_pnp_checked
from proxy_tasks.jmlr.pnp_error import Views, expand
from proxy_tasks.jmlr.rotations import rotate

K = torch.tensor([[630.0, 0.0, 400.0], [0.0, 630.0, 400.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
TO_OPENGL = torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)


def faces(count: int, vertices: int = 150, seed: int = 0) -> torch.Tensor:
    """Half an ellipsoid with a nose, each with its own smooth shape: (count, vertices, 3) metres."""
    rng = torch.Generator().manual_seed(seed)
    u = torch.rand(vertices, 2, generator=rng, dtype=torch.float64) * 2 - 1
    depth = 0.08 * (1 - 0.5 * u.square().sum(1)) + 0.03 * torch.exp(-20 * u.square().sum(1))
    mean = torch.stack((0.075 * u[:, 0], 0.1 * u[:, 1], depth), 1)
    waves = torch.randn(count, 12, 3, generator=rng, dtype=torch.float64) * 0.002
    phase = torch.arange(12, dtype=torch.float64)
    basis = torch.cos(u[:, :1] * (phase % 4 + 1) + u[:, 1:] * (phase // 4 + 1) + phase)
    return mean + torch.einsum("vk,bkc->bvc", basis, waves)


def poses(count: int, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Head poses like the challenge's: R (count, 3, 3), T (count, 3)."""
    rng = torch.Generator().manual_seed(seed)
    turn = torch.randn(count, 3, generator=rng, dtype=torch.float64) * torch.tensor([0.31, 0.27, 0.08])
    R = rotate(turn, torch.eye(3, dtype=torch.float64).expand(count, 3, 3))
    spread = torch.tensor([0.022, 0.049, 0.065], dtype=torch.float64)
    T = torch.randn(count, 3, generator=rng, dtype=torch.float64) * spread + torch.tensor([0.0, 0.0, -0.55])
    return R, T


def image(verts: torch.Tensor, R: torch.Tensor, T: torch.Tensor, K: torch.Tensor = K) -> torch.Tensor:
    camera = (verts @ R + T.unsqueeze(1)) * TO_OPENGL
    pixels = camera @ K.transpose(-1, -2)
    return pixels[..., :2] / pixels[..., 2:]


def degrees(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Angle between rotations, precise near zero."""
    chord = (a - b).square().sum((-1, -2)).sqrt() / 8**0.5
    return torch.rad2deg(2 * torch.asin(chord.clamp(max=1)))


def test_pnp_recovers_a_known_pose():
    verts, (R, T) = faces(200), poses(200)
    found_R, found_T = solve_pnp(verts, image(verts, R, T), K)
    assert degrees(found_R, R).max() < 1e-8
    assert (found_T - T).abs().max() < 1e-10


def test_derivatives_of_the_error_equal_automatic_differentiation():
    rng = torch.Generator().manual_seed(3)
    shape = torch.randn(1, 3, 40, generator=rng, dtype=torch.float64)
    rays = torch.randn(1, 2, 40, generator=rng, dtype=torch.float64) * 0.3
    weight = torch.tensor([[[1.3, 0.2], [0.2, 0.8]]], dtype=torch.float64)
    rotation = rotate(torch.tensor([[0.3, -0.5, 0.2]]).double(), torch.eye(3, dtype=torch.float64)[None])
    shift = torch.tensor([[0.4, -0.3, 6.0]], dtype=torch.float64)

    def half_error(step):
        camera = rotate(step[None, :3], rotation)[0] @ shape[0] + (shift[0] + step[3:])[:, None]
        d = camera[:2] / camera[2] - rays[0]
        return 0.5 * torch.einsum("iv,ij,jv->", d, weight[0], d)

    model = expand(Views(shape, rays, weight), rotation, shift)
    zero = torch.zeros(6, dtype=torch.float64)
    torch.testing.assert_close(model.value[0], 2 * half_error(zero))
    torch.testing.assert_close(model.gradient[0], torch.autograd.functional.jacobian(half_error, zero))
    torch.testing.assert_close(model.hessian[0], torch.autograd.functional.hessian(half_error, zero))


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf"), -3.0])
def test_bad_input_gives_the_failed_pose_and_leaves_the_rest_alone(value):
    verts, (R, T) = faces(3), poses(3)
    points = image(verts, R, T)
    verts[1], points[1] = value, value
    pose = solve_pnp_checked(verts, points, K)
    assert pose.ok.tolist() == [True, False, True]
    assert pose.R[1].equal(torch.eye(3).double())
    assert pose.T[1].tolist() == [0.0, 0.0, -1.0]
    assert (pose.T[[0, 2]] - T[[0, 2]]).abs().max() < 1e-10
    assert np.isinf(pose.rms_px[1].item())
