"""Where the pose refinement starts: rotations of least object-space error.

A point v seen along the ray (nx, ny, 1) lies off it by X - nx Z and Y - ny Z. The sum of their squares is
quadratic in the pose; without the translation, which a rotation determines, it is r' M r for the nine entries
r of the rotation matrix (Terzakis and Lourakis, "A Consistently Fast and Globally Optimal Solution to the
Perspective-n-Point Problem", ECCV 2020, eqs. 6-11). One pass over the points gives M. Every search after that
costs 9 x 9 arithmetic: 24 starts over all of SO(3) are affordable, and planar shapes are no special case.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from proxy_tasks.jmlr.rotations import octahedral, rotate

ITERATIONS = 8


@dataclass(frozen=True, slots=True)
class ObjectSpace:
    """The object-space error of a batch as a function of rotation alone.

    form (B, 9, 9): the error is r' form r, r the rows of R one after the other
    shift (B, 3, 9): the translation that goes with R is shift r
    """

    form: Tensor
    shift: Tensor


def object_space(shape: Tensor, rays: Tensor, weight: Tensor) -> ObjectSpace:
    """Moments of the object-space error.  shape (B, 3, V), rays (B, 2, V), weight (B, 2, 2)."""
    batch, _, count = shape.shape
    one = shape.new_ones(batch, 1, count)
    points = torch.cat((shape, one), 1)
    products = (points.unsqueeze(2) * points.unsqueeze(1)).flatten(1, 2)
    nx, ny = rays.unbind(1)
    image = torch.stack((one[:, 0], nx, ny, nx * nx, nx * ny, ny * ny), 1)
    moments = (image @ products.transpose(1, 2)).unflatten(2, (4, 4)) / count
    normal = _normal(moments, weight)
    # normal (B, 3, 3, 4, 4): rows and columns of [R t], then the components of the homogeneous point
    rr = normal[..., :3, :3].permute(0, 1, 3, 2, 4).reshape(batch, 9, 9)
    tr = normal[..., 3, :3].reshape(batch, 3, 9)
    tt = normal[..., 3, 3]
    shift = -torch.linalg.solve_ex(tt, tr).result
    return ObjectSpace(form=rr + tr.transpose(1, 2) @ shift, shift=shift)


def _normal(moments: Tensor, weight: Tensor) -> Tensor:
    """Sum over points of A' weight A, A = [[1, 0, -nx], [0, 1, -ny]], times each product of components."""
    one, nx, ny, xx, xy, yy = moments.unbind(1)
    a, b, c = (weight[:, i, j, None, None] for i, j in ((0, 0), (0, 1), (1, 1)))
    xz = -(a * nx + b * ny)
    yz = -(b * nx + c * ny)
    zz = a * xx + 2 * b * xy + c * yy
    rows = (a * one, b * one, xz, b * one, c * one, yz, xz, yz, zz)
    return torch.stack(rows, 1).unflatten(1, (3, 3))


def search(problem: ObjectSpace, starts: Tensor, iterations: int = ITERATIONS) -> tuple[Tensor, Tensor]:
    """Descend the object-space error from several rotations at once.

    starts (B, S, 3, 3);  returns the rotations reached (B, S, 3, 3) and their errors (B, S)
    """
    rotation = starts
    form = problem.form.unsqueeze(1)
    for _ in range(iterations):
        tangent = _tangent(rotation)
        image = tangent @ form
        normal = image @ tangent.transpose(-1, -2)
        slope = image @ rotation.flatten(-2).unsqueeze(-1)
        rotation = rotate(_damped_step(normal, slope.squeeze(-1)), rotation)
    r = rotation.flatten(-2)
    return rotation, ((r @ problem.form) * r).sum(-1)


def _tangent(rotation: Tensor) -> Tensor:
    """Derivatives of the nine entries by a rotation about each camera axis: (..., 3, 3) -> (..., 3, 9)."""
    a, b, c = rotation.unbind(-2)
    o = torch.zeros_like(a)
    rows = (torch.cat((o, -c, b), -1), torch.cat((c, o, -a), -1), torch.cat((-b, a, o), -1))
    return torch.stack(rows, -2)


def _damped_step(normal: Tensor, slope: Tensor) -> Tensor:
    """Solve (normal + damping) step = -slope for 3 x 3 systems in closed form; steps stay below a radian."""
    damping = 1e-4 * normal.diagonal(dim1=-2, dim2=-1).sum(-1) + torch.finfo(normal.dtype).tiny
    matrix = normal + damping[..., None, None] * torch.eye(3, dtype=normal.dtype, device=normal.device)
    a, b, c = matrix.unbind(-2)
    bc, ca, ab = torch.linalg.cross(b, c), torch.linalg.cross(c, a), torch.linalg.cross(a, b)
    determinant = (a * bc).sum(-1, keepdim=True)
    step = -(bc * slope[..., :1] + ca * slope[..., 1:2] + ab * slope[..., 2:]) / determinant
    step = torch.nan_to_num(step, 0.0, 0.0, 0.0)
    return step / step.norm(dim=-1, keepdim=True).clamp(min=1.0)


def starting_pose(shape: Tensor, rays: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The best start in front of the camera: rotation (B, 3, 3), translation (B, 3); y down, z forward."""
    problem = object_space(shape, rays, weight)
    cube = octahedral(shape.dtype, shape.device)
    rotation, error = search(problem, cube.expand(len(shape), -1, -1, -1))
    translation = rotation.flatten(-2) @ problem.shift.transpose(1, 2)
    error = torch.where(translation[..., 2] > 0, error, torch.inf)
    best = error.argmin(1)
    index = torch.arange(len(shape), device=shape.device)
    rotation, translation = rotation[index, best], translation[index, best]
    nearest = (rotation[:, 2:] @ shape).amin(-1).squeeze(1)
    depth = torch.maximum(translation[:, 2], 0.5 - nearest)
    return rotation, torch.cat((translation[:, :2], depth[:, None]), 1)
