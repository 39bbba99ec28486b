"""Reprojection error of a batch of poses with its gradient and full Hessian, in one pass over the points.

Camera frame of this file: x right, y down, z forward. A point v of the shape lies at P = R v + t and is seen
at (x, y) = (X / Z, Y / Z). The error is the sum of d' W d, d = (x, y) - ray and W the focal matrix squared.

With w = 1 / Z, a turn o about the camera centre and a shift s move (x, y) by J (o, s), whose two rows

    Jx = (-xy, 1 + x^2, -y, w, 0, -xw)      Jy = (-1 - y^2, xy, x, 0, w, -yw)

are linear in the nine monomials m = (1, x, y, x^2, xy, y^2, w, xw, yw). So one Gram matrix of
(m, d, d times x, y and w) with (m, d) holds everything; the rest is 6 x 6 arithmetic. The second derivative
of (x, y) along (o, s) is

    -2 zeta J(o, s) + (o . (x, y, 1)) ((ox, oy) - oz (x, y)),      zeta = ox y - oy x + w sz.

tests/test_pnp_solve.py checks gradient and Hessian against automatic differentiation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from proxy_tasks.jmlr.pnp.rotations import hat, rotate

# Rows of the Jacobian as combinations of the monomials, and zeta as one of (1, x, y, w).
JX = ((0, 0, 0, 0, -1, 0, 0, 0, 0), (1, 0, 0, 1, 0, 0, 0, 0, 0), (0, 0, -1, 0, 0, 0, 0, 0, 0),
      (0, 0, 0, 0, 0, 0, 1, 0, 0), (0, 0, 0, 0, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0, 0, -1, 0))  # fmt: skip
JY = ((-1, 0, 0, 0, 0, -1, 0, 0, 0), (0, 0, 0, 0, 1, 0, 0, 0, 0), (0, 1, 0, 0, 0, 0, 0, 0, 0),
      (0, 0, 0, 0, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0, 1, 0, 0), (0, 0, 0, 0, 0, 0, 0, 0, -1))  # fmt: skip
ZETA = ((0, 0, 1, 0), (0, -1, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 1))
# Points at a time on a CPU: their 17 rows of float64 stay in a core's cache from operation to operation.
CPU_POINTS = 16_000


@dataclass(frozen=True, slots=True)
class Views:
    """Shapes and the rays that their points should lie on.

    shape (B, 3, V), zero mean and unit radius;  rays (B, 2, V): image points at unit depth
    weight (B, 2, 2): squared pixels per squared unit of ray, scaled to a mean diagonal of one
    """

    shape: Tensor
    rays: Tensor
    weight: Tensor

    def __len__(self) -> int:
        return len(self.shape)

    def __getitem__(self, index: Tensor) -> Views:
        return Views(self.shape[index], self.rays[index], self.weight[index])

    def thinned(self, stride: int) -> Views:
        """Every stride-th point."""
        return Views(
            self.shape[..., ::stride].contiguous(), self.rays[..., ::stride].contiguous(), self.weight
        )


@dataclass(frozen=True, slots=True)
class Expansion:
    """The error, value (B,), with half its gradient (B, 6) and half its hessian (B, 6, 6).

    gauss_newton (B, 6, 6) is its positive semi-definite part, without second derivatives of the projection.
    """

    value: Tensor
    gradient: Tensor
    hessian: Tensor
    gauss_newton: Tensor

    def __getitem__(self, index: Tensor) -> Expansion:
        return Expansion(
            self.value[index], self.gradient[index], self.hessian[index], self.gauss_newton[index]
        )

    def where(self, take: Tensor, other: Expansion) -> Expansion:
        """Rows of self where take (B,) holds, rows of other elsewhere."""
        return Expansion(
            torch.where(take, self.value, other.value),
            torch.where(take[:, None], self.gradient, other.gradient),
            torch.where(take[:, None, None], self.hessian, other.hessian),
            torch.where(take[:, None, None], self.gauss_newton, other.gauss_newton),
        )


def move(rotation: Tensor, shift: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
    """The pose after a step (B, 6): a turn about the shape's origin, then (a, b, c) that shift the origin.

    The origin at z (p, q, 1) goes to z / (1 - c) (p + a, q + b, 1). Seen from afar, a face's error is
    quadratic in these but not in z, and no step leads behind the camera. c is at most 0.9.
    """
    turn, side, size = step[:, :3], step[:, 3:5], step[:, 5:].clamp(max=0.9)
    depth = shift[:, 2:] / (1.0 - size)
    moved = torch.cat(((shift[:, :2] / shift[:, 2:] + side) * depth, depth), 1)
    return rotate(turn, rotation), moved


def expand(views: Views, rotation: Tensor, shift: Tensor) -> Expansion:
    """The error and its derivatives by the step that `move` takes.

    rotation (B, 3, 3), shift (B, 3);  value is infinite where a point is not in front of the camera
    """
    gram, nearest = _gram(views, rotation, shift)
    weight = views.weight
    jacobian, zeta = _coefficients(shift)
    # Sums of products of monomials with monomials, and of (1, x, y, w) times W d with monomials:
    squares = (weight[:, :, None, :, None] * gram[:, None, :9, None, :9]).flatten(3, 4).flatten(1, 2)
    pulls = (weight.unsqueeze(1) @ gram[:, 9:, :9].unflatten(1, (4, 2))).flatten(2)
    gauss_newton = jacobian @ squares @ jacobian.transpose(1, 2)
    slopes = pulls @ jacobian.transpose(1, 2)
    gradient = slopes[:, 0]
    bent = zeta @ slopes
    hessian = gauss_newton - bent - bent.transpose(1, 2)
    hessian[:, :3, :3] += _turned_twice(pulls, shift)
    hessian[:, 5, 3:] += gradient[:, 3:]
    hessian[:, 3:, 5] += gradient[:, 3:]
    value = (gram[:, 9:11, 9:11] * weight).sum((1, 2))
    value = torch.where((nearest > 0) & value.isfinite(), value, torch.inf)
    return Expansion(value, gradient, hessian, gauss_newton)


def _coefficients(shift: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients of J (B, 6, 18) and zeta (B, 6, 4) by the variables of `move`."""
    table = _table(shift.dtype, shift.device)
    moved = (table[0] + shift @ table[1:]).unflatten(1, (6, 22))
    return moved[:, :, :18], moved[:, :, 18:]


@cache
def _table(dtype: torch.dtype, device: torch.device) -> Tensor:
    """What 1, tx, ty and tz contribute to the coefficients (4, 6 x 22).

    To first order a turn o about the shape's origin t is one about the camera and the shift t x o, and
    (a, b, c) is the shift (tz a + tx c, tz b + ty c, tz c).
    """
    rows = torch.cat([torch.tensor(table, dtype=dtype) for table in (JX, JY, ZETA)], 1)
    change = torch.zeros(4, 6, 6, dtype=dtype)
    change[0, :3, :3] = torch.eye(3)
    change[1:, :3, 3:] = -hat(torch.eye(3, dtype=dtype))
    change[1, 5, 3] = change[2, 5, 4] = 1
    change[3, (3, 4, 5), (3, 4, 5)] = 1
    return (change @ rows).flatten(1).to(device)


def _turned_twice(pulls: Tensor, shift: Tensor) -> Tensor:
    """The part of the turns' second derivative that is not -2 zeta J: (B, 3, 3).

    For turns about the camera it is the symmetric part of the sum of (x, y, 1)' (q, -(x, y) . q), q = W d. A
    turn about the shape's origin is one about the camera and a shift with second-order part -o x (o x t) / 2.
    """
    q = pulls.unflatten(2, (2, 9))
    inward = -(q[:, 1, 0, :3] + q[:, 2, 1, :3])
    outer = torch.stack((q[:, 0, 0, :3], q[:, 0, 1, :3], inward), 2)[:, (1, 2, 0)]
    slope = torch.stack((q[:, 0, 0, 6], q[:, 0, 1, 6], -(q[:, 0, 0, 7] + q[:, 0, 1, 8])), 1)  # by the shift
    outer = outer - shift.unsqueeze(2) * slope.unsqueeze(1)
    along = (shift * slope).sum(1)[:, None, None] * torch.eye(3, dtype=shift.dtype, device=shift.device)
    return 0.5 * (outer + outer.transpose(1, 2)) + along


def _gram(views: Views, rotation: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Gram matrix (B, 17, 11) of (m, d, d x, d y, d w) with (m, d), and the least depth (B,)."""
    batch, _, count = views.shape.shape
    block = max(1, CPU_POINTS // count) if shift.device.type == "cpu" else max(1, batch)
    rows = shift.new_empty(min(block, batch), 17, count)
    rows[:, 0] = 1.0
    gram = shift.new_empty(batch, 17, 11)
    nearest = shift.new_empty(batch)
    for first in range(0, batch, block):
        part = slice(first, first + block)
        camera = torch.baddbmm(shift[part].unsqueeze(2), rotation[part], views.shape[part])
        used = rows[: len(camera)]
        _fill(used, camera, views.rays[part])
        torch.bmm(used, used[:, :11].transpose(1, 2), out=gram[part])
        torch.amin(camera[:, 2], 1, out=nearest[part])
    return gram, nearest


def _fill(rows: Tensor, camera: Tensor, rays: Tensor) -> None:
    """Write the rows after the first: x, y, x^2, xy, y^2, w, xw, yw, then d, d x, d y and d w in pairs."""
    xy, w = rows[:, 1:3], rows[:, 6:7]
    x, y = rows[:, 1:2], rows[:, 2:3]
    torch.reciprocal(camera[:, 2:], out=w)
    torch.mul(camera[:, :2], w, out=xy)
    torch.mul(xy, x, out=rows[:, 3:5])
    torch.mul(y, y, out=rows[:, 5:6])
    torch.mul(xy, w, out=rows[:, 7:9])
    residual = torch.sub(xy, rays, out=rows[:, 9:11])
    torch.mul(residual, x, out=rows[:, 11:13])
    torch.mul(residual, y, out=rows[:, 13:15])
    torch.mul(residual, w, out=rows[:, 15:17])
