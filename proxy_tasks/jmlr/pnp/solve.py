"""Pose of least reprojection error (PnP), batched, for predicted shapes and their predicted landmarks.

The pose minimises the sum of squared pixel distances between the projected vertices and the points, over all
rotations and translations with every vertex in front of the camera; float64 throughout. A rotation search in
object space (start.py) gives the start, damped Newton steps on the error itself (descent.py) follow.

Frames: input points and K are OpenCV's (y down); the pose returned is DESIGN.md's, V_cam = V R + T with row
vectors and an OpenGL camera (y up, looking along -z, so T_z < 0).

A pose fails where there is none to find: non-finite input, vertices on one line, points all in one place, or
points that no pose explains better than a face infinitely far away. It is then the identity at 1 m, and `ok`
says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from proxy_tasks.jmlr.pnp.descent import Descent, refine
from proxy_tasks.jmlr.pnp.error import Views
from proxy_tasks.jmlr.pnp.pieces import map_pieces
from proxy_tasks.jmlr.pnp.start import Start, best_start, in_front, many_starts

FAILED_TRANSLATION = (0.0, 0.0, -1.0)
# Twice the sum of products of pairs of the scatter's eigenvalues, whose sum is one: 0 for points on a line.
COLLINEAR = 1e-12
# Points closer together than this share of their distance from the corner are one point: a million times the
# rounding of their mean, a sixtieth of what float32 tells apart. Below it, two errors of pure rounding would
# be compared, and the processor's order of summation would say whether the face has a pose.
ONE_PLACE = 1e-9
# On a CPU the first descent looks at every fourth point of a dense shape.
THIN, THIN_FROM = 4, 800


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


def solve_pnp_checked(verts: Tensor, points: Tensor, K: Tensor) -> Pose:
    """`solve_pnp` that also says which poses failed and how well the others fit."""
    parts = map_pieces(solve_piece, verts, points, checked_cameras(verts, points, K))
    return Pose(*(torch.cat([getattr(part, name) for part in parts]) for name in Pose.__slots__))


def checked_cameras(verts: Tensor, points: Tensor, K: Tensor) -> Tensor:
    """K for each face (B, 3, 3), on the device of the faces; ValueError where shapes do not fit together."""
    batch, count = verts.shape[:2] if verts.ndim == 3 else (0, 0)
    if count == 0 or verts.shape[2] != 3 or points.shape != (batch, count, 2):
        raise ValueError(
            "solve_pnp needs verts (B, V, 3) and points (B, V, 2) with V > 0, "
            f"got {tuple(verts.shape)} and {tuple(points.shape)}"
        )
    if K.shape not in ((batch, 3, 3), (3, 3)):
        raise ValueError(f"solve_pnp needs K ({batch}, 3, 3) or (3, 3), got {tuple(K.shape)}")
    return K.to(verts.device).expand(batch, 3, 3)


@torch.no_grad()
def solve_piece(verts: Tensor, points: Tensor, K: Tensor) -> Pose:
    """`solve_pnp_checked` in one piece, K (B, 3, 3): for callers that cut the batch themselves."""
    problem = _normalise(verts, points, K.double())
    views = problem.views
    thin = verts.device.type == "cpu" and verts.shape[1] >= THIN_FROM
    coarse = views.thinned(THIN) if thin else views
    start = best_start(coarse)
    clear = (start.clear & problem.usable).nonzero().squeeze(1)
    best = Descent.unsolved(len(views), like=start.shift)
    some = (views, coarse, start)
    if len(clear) < len(views):
        some = (views[clear], coarse[clear], start[clear])
    best.put(clear, _descend_once(*some))
    hard = (problem.usable & ~best.converged).nonzero().squeeze(1)
    if len(hard) > 0:
        again = _descend_often(views[hard])
        lower = (again.error < best.error[hard]).nonzero().squeeze(1)
        best.put(hard[lower], again[lower])
    shift = best.shift * problem.radius[:, None] - (best.rotation @ problem.centre.unsqueeze(2)).squeeze(2)
    ok = problem.usable & (best.error < (1 - 1e-6) * problem.far) & shift.isfinite().all(1)
    rms = torch.where(ok, (best.error * problem.unit / verts.shape[1]).sqrt(), torch.inf)
    return _to_opengl(best.rotation, shift, ok, rms)


@dataclass(frozen=True, slots=True)
class _Problem:
    """Faces in units of their own size: a vertex is centre + radius * shape, unit is px^2 of weight one.

    far (B,): the error of the face seen from infinitely far away
    usable (B,): finite, and neither shape nor image in one place
    """

    views: Views
    centre: Tensor
    radius: Tensor
    unit: Tensor
    far: Tensor
    usable: Tensor


def _normalise(verts: Tensor, points: Tensor, K: Tensor) -> _Problem:
    """Faces in their own units, in float64; unusable ones become a point seen straight ahead."""
    count = verts.shape[1]
    shape = verts.transpose(1, 2).to(torch.float64, memory_format=torch.contiguous_format, copy=True)
    pixels = points.transpose(1, 2).to(torch.float64, memory_format=torch.contiguous_format, copy=True)
    centre, middle = shape.mean(2), pixels.mean(2)
    shape.sub_(centre.unsqueeze(2))
    pixels.sub_(middle.unsqueeze(2))
    radius = torch.linalg.vector_norm(shape, dim=(1, 2)) / count**0.5
    focal = K[:, :2, :2] / K[:, 2:, 2:]
    inverse = torch.linalg.inv_ex(focal).inverse
    offset = inverse @ (middle - K[:, :2, 2] / K[:, 2:, 2]).unsqueeze(2)
    rays = torch.baddbmm(offset, inverse, pixels)
    weight = focal.transpose(1, 2) @ focal
    unit = weight.diagonal(dim1=1, dim2=2).mean(1)
    far = torch.linalg.vector_norm(pixels, dim=(1, 2)).square() / unit
    shape.div_(radius[:, None, None])
    extent = 1.0 - torch.linalg.matrix_norm(shape @ shape.transpose(1, 2) / count).square()
    spread, corner = pixels.abs().amax((1, 2)), middle.abs().amax(1)
    usable = (extent > COLLINEAR) & (spread > ONE_PLACE * corner)
    usable &= (radius + far + offset.sum((1, 2))).isfinite()
    weight = weight / unit[:, None, None]
    broken = (~usable).nonzero().squeeze(1)
    shape[broken], rays[broken], weight[broken] = 0.0, 0.0, torch.eye(2).to(weight)
    return _Problem(Views(shape, rays, weight), centre, radius, unit, far, usable)


def _descend_once(views: Views, coarse: Views, start: Start) -> Descent:
    """Descend clear faces from their start; where `coarse` has fewer points, on those first."""
    rotation, shift = start.rotation, start.shift
    if coarse.shape.shape != views.shape.shape:
        near = refine(coarse, rotation, shift, iterations=2)
        rotation, shift = near.rotation, in_front(views, near.rotation, near.shift)
    return refine(views, rotation, shift)


def _descend_often(views: Views) -> Descent:
    """Descend each face from several distinct starts to the lowest error."""
    rotation, shift = many_starts(views)
    faces, starts = rotation.shape[:2]
    face = torch.arange(faces, device=shift.device)
    ends = refine(views[face.repeat_interleave(starts)], rotation.flatten(0, 1), shift.flatten(0, 1))
    return ends[starts * face + ends.error.unflatten(0, (faces, starts)).argmin(1)]


def _to_opengl(rotation: Tensor, shift: Tensor, ok: Tensor, rms: Tensor) -> Pose:
    """R = R_cv' with columns 1 and 2 negated, T = (tx, -ty, -tz); the failed pose where not ok."""
    sign = shift.new_tensor((1.0, -1.0, -1.0))
    R = torch.where(ok[:, None, None], rotation.transpose(1, 2) * sign, torch.eye(3).to(shift))
    T = torch.where(ok[:, None], shift * sign, shift.new_tensor(FAILED_TRANSLATION))
    return Pose(R, T, ok, rms)
