"""Descent of the reprojection error by damped Newton steps, for a batch of poses at once.

Where the Hessian plus damping is positive definite the step is Newton's, elsewhere Gauss-Newton's with
damping (Marquardt's scaling: the Gauss-Newton diagonal). A step that raises the error is taken back and
damped more, so no pose ends above its start or with a point behind the camera. Newton's steps shrink
quadratically: after steps of length a, then b, the next is near b^3 / a^2, and once that is negligible it is
not computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from proxy_tasks.jmlr.pnp_error import Expansion, Views, expand
from proxy_tasks.jmlr.rotations import rotate

# Of a turn in radians and of a shift relative to the distance; 1e-4 degrees is 1.7e-6 radians.
TOLERANCE = 1e-8


@dataclass(frozen=True, slots=True)
class Descent:
    """Where poses ended: rotation (B, 3, 3), shift (B, 3), error (B,), converged (B,)."""

    rotation: Tensor
    shift: Tensor
    error: Tensor
    converged: Tensor


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
    device = shift.device
    model = expand(views, rotation, shift)
    still = torch.zeros_like(model.value, dtype=torch.bool)
    end = Descent(torch.empty_like(rotation), torch.empty_like(shift), torch.empty_like(model.value), still)
    zero = torch.zeros_like(model.value)
    state = _State(
        torch.arange(len(views), device=device), views, rotation, shift, model, zero, zero + torch.inf
    )
    for _ in range(iterations):
        step, sure = _step(state)
        length = _length(step, state.shift)
        after = torch.where(state.last.isfinite(), length / state.last, 100.0) ** 2 * length
        done = (length < TOLERANCE) | (sure & (10 * after < TOLERANCE))
        moving = (~done).nonzero().squeeze(1)
        if len(moving) < len(done):
            _finish(end, state, step, done.nonzero().squeeze(1))
            if len(moving) == 0:
                return end
            state, step, length = state.keep(moving), step[moving], length[moving]
        _advance(state, step, length)
    end.rotation[state.rows], end.shift[state.rows] = state.rotation, state.shift
    end.error[state.rows] = state.model.value
    return end


def _length(step: Tensor, shift: Tensor) -> Tensor:
    """The larger of the turn in radians and the shift relative to the distance: (B,)."""
    turn, move = torch.linalg.vector_norm(step.unflatten(1, (2, 3)), dim=2).unbind(1)
    return torch.maximum(turn, move / torch.linalg.vector_norm(shift, dim=1))


def _finish(end: Descent, state: _State, step: Tensor, done: Tensor) -> None:
    """Take the last step of the poses that are done, without looking at the points again."""
    rows, step = state.rows[done], step[done]
    gain = (state.model.gradient[done] * step).sum(1)
    end.rotation[rows] = rotate(step[:, :3], state.rotation[done])
    end.shift[rows] = state.shift[done] + step[:, 3:]
    end.error[rows] = (state.model.value[done] + gain).clamp(min=0)
    end.converged[rows] = True


def _advance(state: _State, step: Tensor, length: Tensor) -> None:
    """Try the steps, keep those that do not raise the error, and set the damping of the next ones."""
    rotation, shift = rotate(step[:, :3], state.rotation), state.shift + step[:, 3:]
    trial = expand(state.views, rotation, shift)
    better = trial.value <= state.model.value * (1 + 1e-14)
    state.rotation = torch.where(better[:, None, None], rotation, state.rotation)
    state.shift = torch.where(better[:, None], shift, state.shift)
    state.model = trial.where(better, state.model)
    eased = torch.where(state.damping < 1e-5, 0.0, 0.1 * state.damping)
    state.damping = torch.where(better, eased, (10 * state.damping).clamp(min=1e-4))
    state.last = torch.where(better, length, torch.inf)


def _step(state: _State) -> tuple[Tensor, Tensor]:
    """The step (B, 6), and whether it is Newton's, undamped (B,); raises the damping where Newton's fails."""
    model, damping = state.model, state.damping
    scale = torch.diag_embed(model.gauss_newton.diagonal(dim1=1, dim2=2))
    safe = model.gauss_newton + damping.clamp(min=1e-3)[:, None, None] * scale
    factor, failed = torch.linalg.cholesky_ex(
        torch.stack((model.hessian + damping[:, None, None] * scale, safe), 1)
    )
    newton = failed[:, 0] == 0
    state.damping = torch.where(newton, damping, damping.clamp(min=1e-3))
    factor = torch.where(newton[:, None, None], factor[:, 0], factor[:, 1])
    step = torch.cholesky_solve(-model.gradient.unsqueeze(2), factor).squeeze(2)
    return torch.nan_to_num(step, 0.0, 0.0, 0.0), newton & (damping == 0)
