"""Pose of least reprojection error (PnP), batched, for predicted shapes and their predicted landmarks.

The pose minimises the sum of squared pixel distances between the projected vertices and the points, over all
rotations and translations with every vertex in front of the camera; float64 throughout. A rotation search in
object space (pnp_init.py) gives the start, damped Newton steps on the error itself (pnp_refine.py) follow.

Frames: input points and K are OpenCV's (y down); the pose returned is DESIGN.md's, V_cam = V R + T with row
vectors and an OpenGL camera (y up, looking along -z, so T_z < 0).

A pose fails where there is none to find: non-finite input or a shape without extent. It is then the identity
at 1 m, and `ok` says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from proxy_tasks.jmlr.pnp_init import starting_pose
from proxy_tasks.jmlr.pnp_refine import refine

FAILED_TRANSLATION = (0.0, 0.0, -1.0)
CHUNK = 64


@dataclass(frozen=True, slots=True)
class Pose:
    """R (B, 3, 3) and T (B, 3) metres, float64;  ok (B,) bool;  rms_px (B,) residual, inf unless ok."""

    R: Tensor
    T: Tensor
    ok: Tensor
    rms_px: Tensor


def solve_pnp(verts: Tensor, points: Tensor, K: Tensor) -> tuple[Tensor, Tensor]:
    """Pose of least reprojection error with every vertex in front of the camera.

    verts (B, V, 3) metres, points (B, V, 2) full-image pixels, K (B, 3, 3) or (3, 3) OpenCV intrinsics
    returns R (B, 3, 3), T (B, 3) metres, float64 on the inputs' device; V_cam = V R + T, OpenGL camera
    """
    pose = solve_pnp_checked(verts, points, K)
    return pose.R, pose.T


@torch.no_grad()
def solve_pnp_checked(verts: Tensor, points: Tensor, K: Tensor) -> Pose:
    """`solve_pnp` that also says which poses failed and how well the others fit."""
    _check_shapes(verts, points, K)
    K = K.to(verts.device).expand(len(verts), 3, 3)
    chunk = CHUNK if verts.device.type == "cpu" else 4096
    parts = [
        _solve(*rows) for rows in zip(verts.split(chunk), points.split(chunk), K.split(chunk), strict=True)
    ]
    if not parts:
        return _solve(verts, points, K)
    return Pose(*(torch.cat([getattr(p, name) for p in parts]) for name in ("R", "T", "ok", "rms_px")))


def _check_shapes(verts: Tensor, points: Tensor, K: Tensor) -> None:
    batch, count = verts.shape[0], verts.shape[1] if verts.ndim == 3 else -1
    if verts.shape != (batch, count, 3) or points.shape != (batch, count, 2):
        raise ValueError(
            "solve_pnp needs verts (B, V, 3) and points (B, V, 2), "
            f"got {tuple(verts.shape)} and {tuple(points.shape)}"
        )
    if K.shape not in ((batch, 3, 3), (3, 3)):
        raise ValueError(f"solve_pnp needs K ({batch}, 3, 3) or (3, 3), got {tuple(K.shape)}")


def _solve(verts: Tensor, points: Tensor, K: Tensor) -> Pose:
    verts, points, K = verts.double(), points.double(), K.double()
    focal = K[:, :2, :2] / K[:, 2:, 2:]
    inverse = torch.linalg.inv_ex(focal).inverse
    rays = inverse @ (points - (K[:, :2, 2] / K[:, 2:, 2]).unsqueeze(1)).transpose(1, 2)
    centre = verts.mean(1)
    shape = (verts - centre.unsqueeze(1)).transpose(1, 2)
    radius = shape.square().sum(1).mean(1).sqrt()
    usable = (shape.isfinite().flatten(1).all(1) & rays.isfinite().flatten(1).all(1) & (radius > 0)
              & focal.isfinite().flatten(1).all(1))  # fmt: skip
    shape = torch.where(usable[:, None, None], shape / radius[:, None, None], 0.0)
    rays = torch.where(usable[:, None, None], rays, 0.0)
    weight = torch.where(usable[:, None, None], focal.transpose(1, 2) @ focal, torch.eye(2).to(focal))
    unit = weight.diagonal(dim1=1, dim2=2).mean(1)
    weight = weight / unit[:, None, None]
    rotation, shift = starting_pose(shape, rays, weight)
    best = refine(shape, rays, weight, rotation, shift)
    shift = best.shift * radius[:, None] - (best.rotation @ centre.unsqueeze(2)).squeeze(2)
    ok = usable & best.error.isfinite() & shift.isfinite().all(1)
    rms = torch.where(ok, (best.error * unit / verts.shape[1]).sqrt(), torch.inf)
    return _to_opengl(best.rotation, shift, ok, rms)


def _to_opengl(rotation: Tensor, shift: Tensor, ok: Tensor, rms: Tensor) -> Pose:
    """R = R_cv' with columns 1 and 2 negated, T = (tx, -ty, -tz); the failed pose where not ok."""
    sign = shift.new_tensor((1.0, -1.0, -1.0))
    R = torch.where(ok[:, None, None], rotation.transpose(1, 2) * sign, torch.eye(3).to(shift))
    T = torch.where(ok[:, None], shift * sign, shift.new_tensor(FAILED_TRANSLATION))
    return Pose(R, T, ok, rms)
