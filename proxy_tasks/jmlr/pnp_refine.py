"""Reprojection error of a batch of poses, and its minimisation by damped Newton steps.

Camera frame of this file: x right, y down, z forward. A point v of the shape lies at P = R v + t and is seen
at (x, y) = (X / Z, Y / Z). The error is the sum of d' W d, d = (x, y) - ray and W the focal matrix squared.

With w = 1 / Z, a turn o about the camera centre and a shift s move (x, y) by J (o, s), whose two rows

    Jx = (-xy, 1 + x^2, -y, w, 0, -xw)      Jy = (-1 - y^2, xy, x, 0, w, -yw)

are linear in the nine monomials m = (1, x, y, x^2, xy, y^2, w, xw, yw). So one Gram matrix of
(m, d, d times x, y and w) with (m, d) holds the error, its gradient and its full Hessian: an iteration is one
pass over the points and 6 x 6 arithmetic. The second derivative along (o, s) is

    -2 zeta J(o, s) + (o . (x, y, 1)) ((ox, oy) - oz (x, y)),      zeta = ox y - oy x + w sz.

tests/test_proxy_jmlr_pnp.py checks gradient and Hessian against automatic differentiation.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from proxy_tasks.jmlr.rotations import hat, rotate

MONOMIALS = 9
JX = ((0, 0, 0, 0, -1, 0, 0, 0, 0), (1, 0, 0, 1, 0, 0, 0, 0, 0), (0, 0, -1, 0, 0, 0, 0, 0, 0),
      (0, 0, 0, 0, 0, 0, 1, 0, 0), (0, 0, 0, 0, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0, 0, -1, 0))  # fmt: skip
JY = ((-1, 0, 0, 0, 0, -1, 0, 0, 0), (0, 0, 0, 0, 1, 0, 0, 0, 0), (0, 1, 0, 0, 0, 0, 0, 0, 0),
      (0, 0, 0, 0, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0, 1, 0, 0), (0, 0, 0, 0, 0, 0, 0, 0, -1))  # fmt: skip


@dataclass(slots=True)
class Expansion:
    """Second-order model of the error: value (B,), gradient (B, 6), hessian and gauss_newton (B, 6, 6)."""

    value: Tensor
    gradient: Tensor
    hessian: Tensor
    gauss_newton: Tensor

    def where(self, take: Tensor, other: Expansion) -> Expansion:
        """Rows of self where take (B,) holds, rows of other elsewhere."""
        return Expansion(
            torch.where(take, self.value, other.value),
            torch.where(take[:, None], self.gradient, other.gradient),
            torch.where(take[:, None, None], self.hessian, other.hessian),
            torch.where(take[:, None, None], self.gauss_newton, other.gauss_newton),
        )


def expand(shape: Tensor, rays: Tensor, weight: Tensor, rotation: Tensor, shift: Tensor) -> Expansion:
    """The error and its derivatives at poses; value is infinite where a point is not in front of the camera.

    shape (B, 3, V), rays (B, 2, V), weight (B, 2, 2), rotation (B, 3, 3), shift (B, 3)
    Derivatives are by a turn about the shape's origin and a shift, in camera axes, half the error's.
    """
    gram, nearest = _gram(shape, rays, rotation, shift)
    value, gradient, hessian, gauss_newton = _assemble(gram, weight)
    value = torch.where((nearest > 0) & value.isfinite(), value, torch.inf)
    return _about_shape(Expansion(value, gradient, hessian, gauss_newton), shift)


def _gram(shape: Tensor, rays: Tensor, rotation: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Gram matrix (B, 17, 11) of (m, d, d x, d y, d w) with (m, d), and the least depth (B,)."""
    batch, _, count = shape.shape
    camera = torch.baddbmm(shift.unsqueeze(2), rotation, shape)
    nearest = camera[:, 2].amin(-1)
    rows = shape.new_empty(batch, 17, count)
    one, x, y, xx, xy, yy, w, xw, yw = rows[:, :9].unbind(1)
    one.fill_(1.0)
    torch.reciprocal(camera[:, 2], out=w)
    torch.mul(camera[:, :2], w.unsqueeze(1), out=rows[:, 1:3])
    torch.mul(x, x, out=xx)
    torch.mul(x, y, out=xy)
    torch.mul(y, y, out=yy)
    torch.mul(x, w, out=xw)
    torch.mul(y, w, out=yw)
    torch.sub(rows[:, 1:3], rays, out=rows[:, 9:11])
    torch.mul(rows[:, 9:11], x.unsqueeze(1), out=rows[:, 11:13])
    torch.mul(rows[:, 9:11], y.unsqueeze(1), out=rows[:, 13:15])
    torch.mul(rows[:, 9:11], w.unsqueeze(1), out=rows[:, 15:17])
    return rows @ rows[:, :11].transpose(1, 2), nearest


def _assemble(gram: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Error, half gradient, half Hessian and its Gauss-Newton part, for turns about the camera centre."""
    jacobian = gram.new_tensor((JX, JY))
    jw = torch.einsum("bij,jkm->bikm", weight, jacobian)
    mm = gram[:, :9, :9]
    gauss_newton = torch.einsum("ikm,bmn,biln->bkl", jacobian, mm, jw)
    # bent[f, k]: sum over points of f times W d . J_k, for f in (1, x, y, w)
    residual = gram[:, 9:, :9].unflatten(1, (4, 2))
    bent = torch.einsum("bfin,bikn->bfk", residual, jw)
    value = (gram[:, 9:11, 9:11] * weight).sum((1, 2))
    gradient = bent[:, 0]
    by_one, by_x, by_y, by_w = bent.unbind(1)
    o = torch.zeros_like(by_one)
    zeta = torch.stack((by_y, -by_x, o, o, o, by_w), 1)
    hessian = gauss_newton - zeta - zeta.transpose(1, 2)
    # radial[k, l]: sum of (x, y, 1)_k times (W d, -(x, y) . W d)_l
    wd = torch.einsum("bij,bfjn->bfin", weight, residual[..., :3])
    planar = wd[:, 0].transpose(1, 2)
    inward = -(wd[:, 1, 0] + wd[:, 2, 1])
    radial = torch.cat((planar, inward.unsqueeze(2)), 2)[:, (1, 2, 0)]
    hessian[:, :3, :3] += 0.5 * (radial + radial.transpose(1, 2))
    return value, gradient, hessian, gauss_newton


def _about_shape(model: Expansion, shift: Tensor) -> Expansion:
    """Change variables from turns about the camera centre to turns about the shape's origin.

    A turn o about the origin is one about the camera and the shift -o x t - o x (o x t) / 2 to second order.
    """
    change = torch.eye(6, dtype=shift.dtype, device=shift.device).repeat(len(shift), 1, 1)
    change[:, 3:, :3] = hat(shift)
    back = change.transpose(1, 2)
    slope = model.gradient[:, 3:]
    outer = 0.5 * (shift.unsqueeze(2) * slope.unsqueeze(1) + slope.unsqueeze(2) * shift.unsqueeze(1))
    inner = (shift * slope).sum(1)[:, None, None] * torch.eye(3, dtype=shift.dtype, device=shift.device)
    hessian = back @ model.hessian @ change
    hessian[:, :3, :3] -= outer - inner
    return Expansion(
        model.value,
        (back @ model.gradient.unsqueeze(2)).squeeze(2),
        hessian,
        back @ model.gauss_newton @ change,
    )


@dataclass(slots=True)
class Refined:
    """Poses at which the descent ended: rotation (B, 3, 3), shift (B, 3), error (B,), converged (B,) bool."""

    rotation: Tensor
    shift: Tensor
    error: Tensor
    converged: Tensor


def refine(
    shape: Tensor, rays: Tensor, weight: Tensor, rotation: Tensor, shift: Tensor, iterations: int = 50
) -> Refined:
    """Descend the reprojection error from poses in front of the camera; never ends above where it began."""
    out = Refined(rotation.clone(), shift.clone(), shift[:, 0].clone(), torch.zeros_like(shift[:, 0]).bool())
    index = torch.arange(len(shift), device=shift.device)
    model = expand(shape, rays, weight, rotation, shift)
    damping = torch.zeros_like(model.value)
    for _ in range(iterations):
        step, damping = _step(model, damping)
        small = _is_small(step, shift)
        new_rotation, new_shift = rotate(step[:, :3], rotation), shift + step[:, 3:]
        trial = expand(shape, rays, weight, new_rotation, new_shift)
        better = trial.value <= model.value * (1 + 1e-14)
        rotation = torch.where(better[:, None, None], new_rotation, rotation)
        shift = torch.where(better[:, None], new_shift, shift)
        model = trial.where(better, model)
        damping = _next_damping(damping, better)
        out.rotation[index], out.shift[index], out.error[index] = rotation, shift, model.value
        out.converged[index] = small
        active = (~small).nonzero().squeeze(1)
        if len(active) == 0:
            break
        if len(active) < len(index):
            index, rotation, shift, damping = (a[active] for a in (index, rotation, shift, damping))
            shape, rays, weight = shape[active], rays[active], weight[active]
            model = Expansion(model.value[active], model.gradient[active], model.hessian[active],
                              model.gauss_newton[active])  # fmt: skip
    return out


def _step(model: Expansion, damping: Tensor) -> tuple[Tensor, Tensor]:
    """Newton's step where the damped Hessian is positive definite, else a damped Gauss-Newton step."""
    scale = model.gauss_newton.diagonal(dim1=1, dim2=2).clamp(min=1e-300)
    eye = torch.eye(6, dtype=scale.dtype, device=scale.device)
    newton, failed = torch.linalg.cholesky_ex(model.hessian + (damping[:, None] * scale)[:, None] * eye)
    fallback = torch.where(failed > 0, damping.clamp(min=1e-3), damping)
    gauss, _ = torch.linalg.cholesky_ex(
        model.gauss_newton + ((fallback + 1e-15)[:, None] * scale)[:, None] * eye
    )
    factor = torch.where((failed > 0)[:, None, None], gauss, newton)
    step = torch.cholesky_solve(-model.gradient.unsqueeze(2), factor).squeeze(2)
    return torch.nan_to_num(step, 0.0, 0.0, 0.0), fallback


def _is_small(step: Tensor, shift: Tensor) -> Tensor:
    """Turn under 1e-9 radians and shift under 1e-9 of the distance."""
    return (step[:, :3].norm(dim=1) < 1e-9) & (step[:, 3:].norm(dim=1) < 1e-9 * shift.norm(dim=1))


def _next_damping(damping: Tensor, better: Tensor) -> Tensor:
    eased = torch.where(damping < 1e-5, 0.0, 0.1 * damping)
    return torch.where(better, eased, (10 * damping).clamp(min=1e-4))
