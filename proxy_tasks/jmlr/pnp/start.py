"""Where the descent of the reprojection error starts: rotations of least object-space error.

A point v seen along the ray (nx, ny, 1) lies off it by X - nx Z and Y - ny Z. The sum of their squares is
quadratic in the pose; without the translation, which a rotation determines, it is r' M r for the nine entries
r of the rotation matrix (Terzakis and Lourakis, "A Consistently Fast and Globally Optimal Solution to the
Perspective-n-Point Problem", ECCV 2020, eqs. 6-11). One pass over the points gives M. Every search after that
costs 9 x 9 arithmetic: starts all over SO(3) are affordable, and planar shapes are no special case.

The object-space minimum is the pose to start from unless a second one is nearly as low (a flat or noisy shape
looks alike from two sides) or the fit is poor; `Start.clear` says which faces need several descents.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from proxy_tasks.jmlr.pnp.error import Views
from proxy_tasks.jmlr.pnp.rotations import hat, octahedral, rotate

# A face is clear if no other minimum has less than RIVAL times the least object-space error, and that error
# is less than POOR times its mean over all rotations (a third of the form's trace).
RIVAL = 4.0
POOR = 0.1
SAME_TRACE = 2.98  # rotations whose relative trace exceeds this, 8 degrees, are one minimum


@dataclass(frozen=True, slots=True)
class ObjectSpace:
    """Object-space error as a function of rotation: r' form r, r the rows of R; its translation is shift r.

    form (B, 9, 9), shift (B, 3, 9)
    """

    form: Tensor
    shift: Tensor


@dataclass(frozen=True, slots=True)
class Start:
    """rotation (B, 3, 3) and shift (B, 3), in front of the camera; clear (B,): it needs no rival start."""

    rotation: Tensor
    shift: Tensor
    clear: Tensor

    def __getitem__(self, index: Tensor) -> Start:
        return Start(self.rotation[index], self.shift[index], self.clear[index])


def object_space(views: Views) -> ObjectSpace:
    """Eliminate the translation from the object-space error."""
    batch, _, count = views.shape.shape
    rows = views.shape.new_empty(batch, 3, 4, count)
    rows[:, 0, :3] = views.shape
    rows[:, 0, 3] = 1.0
    torch.mul(rows[:, :1], views.rays.unsqueeze(2), out=rows[:, 1:])
    flat = rows.flatten(1, 2)
    # moments[a, i, b, j]: mean over points of n_a v_i n_b v_j, n = (1, nx, ny), v homogeneous
    moments = (flat @ flat.transpose(1, 2)).unflatten(2, (3, 4)).unflatten(1, (3, 4)) / count
    normal = _normal(moments, views.weight)
    rotations = normal[:, :, :3, :, :3].reshape(batch, 9, 9)
    mixed = normal[:, :, 3, :, :3].reshape(batch, 3, 9)
    shift = -torch.linalg.solve_ex(normal[:, :, 3, :, 3], mixed).result
    return ObjectSpace(form=rotations + mixed.transpose(1, 2) @ shift, shift=shift)


def _normal(moments: Tensor, weight: Tensor) -> Tensor:
    """Sum over points of A' W A, A = [[1, 0, -nx], [0, 1, -ny]], times products of the points' components.

    moments (B, 3, 4, 3, 4);  returns (B, 3, 4, 3, 4), axes (row of pose, component, row of pose, component)
    """
    one, nx, ny = moments[:, 0, :, 0], moments[:, 0, :, 1], moments[:, 0, :, 2]
    a, b, c = (weight[:, i, j, None, None] for i, j in ((0, 0), (0, 1), (1, 1)))
    xz, yz = -(a * nx + b * ny), -(b * nx + c * ny)
    zz = a * moments[:, 1, :, 1] + 2 * b * moments[:, 1, :, 2] + c * moments[:, 2, :, 2]
    blocks = (a * one, b * one, xz, b * one, c * one, yz, xz, yz, zz)
    return torch.stack(blocks, 1).unflatten(1, (3, 3)).transpose(2, 3)


def descend(problem: ObjectSpace, rotation: Tensor, iterations: int) -> Tensor:
    """Gauss-Newton steps on the object-space error from rotations (B, S, 3, 3)."""
    form = problem.form.unsqueeze(1)
    tangents = _tangents(form.device)
    for _ in range(iterations):
        # rows: the nine entries' derivatives by a turn about each camera axis, then the entries
        r = (rotation.flatten(-2) @ tangents).unflatten(-1, (4, 9))
        model = r @ form @ r.transpose(-1, -2)
        rotation = rotate(_damped_step(model[..., :3, :3], model[..., 3:, :3]), rotation)
    return rotation


@cache
def _tangents(device: torch.device) -> Tensor:
    """The matrix (9, 36) that takes the entries of R to those of hat(e_k) R, k = 1, 2, 3, and of R."""
    units = torch.eye(9, dtype=torch.float64).reshape(9, 3, 3)
    turned = [hat(axis) @ units for axis in torch.eye(3, dtype=torch.float64)]
    return torch.stack((*turned, units), 1).flatten(1).to(device)


def _damped_step(normal: Tensor, slope: Tensor) -> Tensor:
    """Solve (normal + damping) step = -slope by the adjugate, for steps of at most a radian.

    normal (..., 3, 3), slope (..., 1, 3);  returns (..., 3)
    """
    damping = 1e-4 * normal.diagonal(dim1=-2, dim2=-1).sum(-1)
    matrix = normal + damping[..., None, None] * torch.eye(3, dtype=normal.dtype, device=normal.device)
    adjugate = torch.linalg.cross(matrix.roll(-1, -2), matrix.roll(-2, -2))
    determinant = (matrix[..., 0, :] * adjugate[..., 0, :]).sum(-1, keepdim=True)
    step = torch.nan_to_num(-(slope @ adjugate).squeeze(-2) / determinant, 0.0, 0.0, 0.0)
    return step / torch.linalg.vector_norm(step, dim=-1, keepdim=True).clamp(min=1.0)


def error_in_front(problem: ObjectSpace, rotation: Tensor) -> tuple[Tensor, Tensor]:
    """Object-space error (B, S), infinite where the shape is behind the camera, and translation (B, S, 3)."""
    r = rotation.flatten(-2)
    shift = r @ problem.shift.transpose(1, 2)
    error = ((r @ problem.form) * r).sum(-1)
    return torch.where(shift[..., 2] > 0, error, torch.inf), shift


def in_front(views: Views, rotation: Tensor, shift: Tensor) -> Tensor:
    """The shift (B, 3), moved away where it must be so that every point is in front of the camera."""
    nearest = (rotation[:, 2:] @ views.shape).amin(2).squeeze(1)
    needed = torch.where(nearest + shift[:, 2] > 0.01, shift[:, 2], 0.5 - nearest)
    return torch.cat((shift[:, :2], needed.unsqueeze(1)), 1)


@cache
def _grid(device: torch.device) -> tuple[Tensor, Tensor]:
    """648 rotations, 27 about each of the cube's 24: (24, 27, 3, 3), and entry products (81, 648)."""
    cube = octahedral(device)
    axis = torch.tensor((-0.45, 0.0, 0.45), dtype=torch.float64, device=device)
    turns = torch.cartesian_prod(axis, axis, axis)
    grid = rotate(turns.unsqueeze(0), cube.unsqueeze(1).expand(-1, 27, -1, -1))
    r = grid.flatten(0, 1).flatten(1)
    return grid, (r.unsqueeze(2) * r.unsqueeze(1)).flatten(1).T.contiguous()


def best_start(views: Views, starts: int = 4, iterations: int = 5) -> Start:
    """Scan a grid of rotations, descend from the best of the cube's cells, and judge the outcome."""
    problem = object_space(views)
    grid, products = _grid(views.shape.device)
    error = problem.form.flatten(1) @ products
    typical = problem.form.diagonal(dim1=1, dim2=2).sum(1) / 3
    error = torch.where(problem.shift[:, 2] @ grid.flatten(0, 1).flatten(1).T > 0, error, torch.inf)
    in_cell, place = error.unflatten(1, grid.shape[:2]).min(2)
    cell = in_cell.topk(starts, dim=1, largest=False).indices
    rotation = descend(problem, grid[cell, place.gather(1, cell)], iterations)
    error, shift = error_in_front(problem, rotation)
    least, best = error.min(1)
    row = torch.arange(len(views), device=best.device)
    chosen, shift = rotation[row, best], shift[row, best]
    other = (rotation * chosen.unsqueeze(1)).sum((2, 3)) < SAME_TRACE
    rival = torch.where(other, error, torch.inf).amin(1)
    clear = (least * RIVAL < rival) & (least < POOR * typical)
    return Start(chosen, in_front(views, chosen, shift), clear)


def many_starts(views: Views, starts: int = 4, iterations: int = 12) -> tuple[Tensor, Tensor]:
    """Distinct object-space minima in front of the camera, best first.

    returns rotation (B, starts, 3, 3), shift (B, starts, 3); with fewer minima the best is repeated
    """
    problem = object_space(views)
    cube = octahedral(views.shape.device)
    rotation = descend(problem, cube.expand(len(views), -1, -1, -1), iterations)
    error, shift = error_in_front(problem, rotation)
    shift = _no_nearer_than_its_size(views, rotation, shift)
    row = torch.arange(len(views), device=error.device)
    first = error.argmin(1)
    chosen = []
    for _ in range(starts):
        least, best = error.min(1)
        best = torch.where(least.isfinite(), best, first)
        chosen.append((rotation[row, best], in_front(views, rotation[row, best], shift[row, best])))
        same = (rotation * rotation[row, best].unsqueeze(1)).sum((2, 3)) >= SAME_TRACE
        error = torch.where(same, torch.inf, error)
    return torch.stack([c[0] for c in chosen], 1), torch.stack([c[1] for c in chosen], 1)


def _no_nearer_than_its_size(views: Views, rotation: Tensor, shift: Tensor) -> Tensor:
    """The shift (B, S, 3), or where it is twice as far the one that fits the face's size in the image.

    Object-space error is the less the nearer the face, so noise pulls its minimum far too near. The other
    estimate is the least-squares scale of the turned shape, seen without perspective.
    """
    transposed = views.shape.transpose(1, 2)
    image = (views.rays @ transposed).unsqueeze(1)
    scatter = (views.shape @ transposed).unsqueeze(1)
    planar = rotation[..., :2, :]
    scale = (planar * image).sum((2, 3)) / ((planar @ scatter) * planar).sum((2, 3))
    depth = torch.where(scale > 0, 1 / scale, 0.0).unsqueeze(2)
    middle = torch.cat((views.rays.mean(2), torch.ones_like(depth[:, 0])), 1).unsqueeze(1)
    return torch.where(depth > 2 * shift[..., 2:], middle * depth, shift)
