"""Descent of the reprojection error by damped Newton steps, for a batch of poses at once.

In units of the Gauss-Newton diagonal (Marquardt's scaling) a step is Newton's where the Hessian plus damping
is positive definite. Elsewhere it is Newton's with the absolute values of the curvatures, which leads away
from saddles (Dauphin et al., "Identifying and attacking the saddle point problem in high-dimensional
non-convex optimization", NeurIPS 2014). A step that raises the error is taken back and damped more, so none
ends above its start or with a point behind the camera. Newton's steps shrink quadratically: after steps of
length a, then b, the next is near b^3 / a^2, and once that is negligible it is not computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from proxy_tasks.jmlr.pnp.error import Expansion, Views, expand, move

# Of a step: radians, and parts of the distance; 1e-4 degrees is 1.7e-6 radians.
TOLERANCE = 1e-8
# A Newton step b that follows none is taken to lead to one of 100 b^2; every such estimate counts tenfold.
FIRST_RATE, CAUTION = 100.0, 10.0
TINY = 1e-150  # a scale that can be divided by, squared


@dataclass(frozen=True, slots=True)
class Descent:
    """Where poses ended: rotation (B, 3, 3), shift (B, 3), error (B,), converged (B,)."""

    rotation: Tensor
    shift: Tensor
    error: Tensor
    converged: Tensor

    @classmethod
    def unsolved(cls, count: int, like: Tensor) -> Descent:
        """Poses of infinite error, for `put` to fill."""
        rotation = torch.eye(3, dtype=like.dtype, device=like.device).repeat(count, 1, 1)
        error = like.new_full((count,), torch.inf)
        return cls(rotation, like.new_zeros(count, 3), error, torch.zeros_like(error, dtype=torch.bool))

    def __getitem__(self, index: Tensor) -> Descent:
        return Descent(self.rotation[index], self.shift[index], self.error[index], self.converged[index])

    def put(self, rows: Tensor, other: Descent) -> None:
        """Overwrite the rows with those of other."""
        self.rotation[rows], self.shift[rows] = other.rotation, other.shift
        self.error[rows], self.converged[rows] = other.error, other.converged


@dataclass(slots=True)
class _State:
    """The poses still moving: their rows in the batch, model, damping, and the last step's length."""

    rows: Tensor
    views: Views
    rotation: Tensor
    shift: Tensor
    model: Expansion
    damping: Tensor
    last: Tensor

    def keep(self, index: Tensor) -> _State:
        return _State(*(getattr(self, name)[index] for name in self.__slots__))


def refine(views: Views, rotation: Tensor, shift: Tensor, iterations: int = 60) -> Descent:
    """Descend from rotation (B, 3, 3) and shift (B, 3), every point in front of the camera."""
    end = Descent.unsolved(len(views), like=shift)
    model = expand(views, rotation, shift)
    rows = torch.arange(len(views), device=shift.device)
    zero = torch.zeros_like(model.value)
    state = _State(rows, views, rotation, shift, model, zero, zero + torch.inf)
    for _ in range(iterations):
        step, sure = _step(state)
        length = torch.linalg.vector_norm(step, dim=1)
        after = torch.where(state.last.isfinite(), length / state.last**2, FIRST_RATE) * length**2
        done = (length < TOLERANCE) | (sure & (CAUTION * after < TOLERANCE))
        moving = (~done).nonzero().squeeze(1)
        if len(moving) < len(done):
            _finish(end, state, step, done.nonzero().squeeze(1))
        if len(moving) == 0:
            return end
        if len(moving) < len(done):
            state, step, length = state.keep(moving), step[moving], length[moving]
        _advance(state, step, length)
    unfinished = torch.zeros_like(state.rows, dtype=torch.bool)
    end.put(state.rows, Descent(state.rotation, state.shift, state.model.value, unfinished))
    return end


def _finish(end: Descent, state: _State, step: Tensor, done: Tensor) -> None:
    """Take the last step of the poses that are done, without looking at the points again."""
    step = step[done]
    rotation, shift = move(state.rotation[done], state.shift[done], step)
    gain = (state.model.gradient[done] * step).sum(1)
    error = (state.model.value[done] + gain).clamp(min=0)
    end.put(state.rows[done], Descent(rotation, shift, error, torch.ones_like(done, dtype=torch.bool)))


def _advance(state: _State, step: Tensor, length: Tensor) -> None:
    """Try the steps, keep those that do not raise the error, and set the damping of the next ones."""
    rotation, shift = move(state.rotation, state.shift, step)
    trial = expand(state.views, rotation, shift)
    better = trial.value <= state.model.value * (1 + 1e-14)
    state.rotation = torch.where(better[:, None, None], rotation, state.rotation)
    state.shift = torch.where(better[:, None], shift, state.shift)
    state.model = trial.where(better, state.model)
    eased = torch.where(state.damping < 5e-3, 0.0, 0.1 * state.damping)
    state.damping = torch.where(better, eased, (10 * state.damping).clamp(min=1e-1))
    state.last = torch.where(better, length, torch.inf)


def _step(state: _State) -> tuple[Tensor, Tensor]:
    """The step (B, 6), and whether it is Newton's with no damping (B,)."""
    model = state.model
    scale = model.gauss_newton.diagonal(dim1=1, dim2=2).sqrt().clamp(min=TINY)
    hessian = model.hessian / (scale.unsqueeze(1) * scale.unsqueeze(2))
    slope = -(model.gradient / scale).unsqueeze(2)
    damping = torch.diag_embed(state.damping.unsqueeze(1).expand_as(scale))
    factor, failed = torch.linalg.cholesky_ex(hessian + damping)
    step = torch.cholesky_solve(slope, factor)
    saddle = failed.nonzero().squeeze(1)
    if len(saddle) > 0:
        step[saddle] = _downhill(hessian[saddle], slope[saddle], state.damping[saddle])
    step = torch.nan_to_num(step.squeeze(2) / scale, 0.0, 0.0, 0.0)
    return step, (failed == 0) & (state.damping == 0)


def _downhill(hessian: Tensor, slope: Tensor, damping: Tensor) -> Tensor:
    """Newton's step with the absolute values of the Hessian's curvatures (B, 6, 1)."""
    curvature, axes = torch.linalg.eigh(torch.nan_to_num(hessian, 0.0, 0.0, 0.0))
    curvature = curvature.abs().clamp(min=1e-3) + damping.unsqueeze(1)
    return axes @ (axes.transpose(1, 2) @ slope / curvature.unsqueeze(2))
