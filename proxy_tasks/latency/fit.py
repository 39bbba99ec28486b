"""A table of block times out of the times of whole networks.

A block alone costs otherwise than in its network (caches, dispatch, fusion), and a compiled network has no
blocks to time. So whole networks are timed, and the table is what explains them: with n_ip parts of kind p in
network i, at widths x_ip,

    t_i = sum_p n_ip c_p(x_ip) (1 + g_p(x_ip)),     measured with a relative noise

c_p is what a part is expected to cost: its counts (parts.py) times coefficients of at least 0, the same
for all kinds, by least squares of relative errors (NNLS; Lawson and Hanson 1974). g_p is a Gaussian process
of mean 0 for each kind: a constant, a smooth function of the logarithms of the widths, and one of the power
of two that divides the width, as kernels depend on it. t is linear in g, so every entry of the table has a
posterior mean in closed form, and entries that no network came near keep their expected cost.

The process's few settings are those with the least mean error of networks left out one at a time, which
has a closed form too (Rasmussen and Williams 2006, eq. 5.12). Times far from what all others say, as when
the machine had something else to do, are dropped, and the rest is fitted again. tests/test_latency_fit.py

Notation   n  networks     y  (n,) relative residual of the expected cost     K  (n, n) covariance of y
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.optimize import nnls

from proxy_tasks.latency.parts import KINDS, Part, Parts, numbers_of
from space.arrays import Floats, Ints
from space.design import Space
from space.latency import Conditions, LatencyTable
from space.plan import STAGES, STEM_OUT

PADS = (1, 16, 32, 64)
LEAST = 0.02  # of its expected cost: no part is free
FEWEST = 6  # networks that say anything
HICCUP = 6.0  # times the median error left out, beyond which a time is not believed: 4 standard deviations
MOST_DROPPED = 0.1  # of the networks
ENOUGH_TO_DROP = 20  # networks, before one is


@dataclass(frozen=True, slots=True)
class Prior:
    """Relative standard deviations of g's three terms and of the noise; the smooth term's length, octaves."""

    constant: float
    smooth: float
    length: float
    aligned: float
    noise: float


def priors() -> Iterator[Prior]:
    """All that are tried."""
    grid = itertools.product((0.1, 0.4), (0.05, 0.15, 0.4), (0.4, 1.2), (0.0, 0.1), (0.01, 0.03))
    return (Prior(*values) for values in grid)


@dataclass(frozen=True, slots=True)
class Fit:
    """A table, the settings behind it, and its mean relative error on networks left out one at a time."""

    table: LatencyTable
    pad: int
    prior: Prior
    left_out_error: float
    dropped: int  # networks that something else on the machine slowed down


def fit(space: Space, conditions: Conditions, rows: Ints, milliseconds: Floats) -> Fit:
    """The table of `space` that explains the times of these networks; ValueError where they are too few.

    rows          (n, 8) architectures: d_1..d_4, w_1..w_4
    milliseconds  (n,) of a forward pass
    """
    rows, times = np.asarray(rows, np.int64), np.asarray(milliseconds, np.float64)
    if len(rows) < FEWEST:
        raise ValueError(
            f"{len(rows)} networks are too few for a table, {FEWEST} the fewest: raise --seconds"
        )
    process, prior = _best(conditions, rows, times)
    errors = np.abs(process.left_out_errors(prior))
    kept = errors <= np.maximum(HICCUP * np.median(errors), np.quantile(errors, 1 - MOST_DROPPED))
    if not kept.all() and len(rows) >= ENOUGH_TO_DROP:
        process, prior = _best(conditions, rows[kept], times[kept])
        errors = np.abs(process.left_out_errors(prior))
    return Fit(
        process.table(space, prior), process.parts.pad, prior, float(errors.mean()), int((~kept).sum())
    )


def _best(conditions: Conditions, rows: Ints, times: Floats) -> tuple[Process, Prior]:
    """The way to count and the settings with the least mean error of networks left out."""
    tried = [
        (float(np.abs(process.left_out_errors(prior)).mean()), process, prior)
        for process in (Process(Parts(conditions, pad), rows, times) for pad in PADS)
        for prior in priors()
    ]
    _, process, prior = min(tried, key=lambda each: each[0])
    return process, prior


class Process:
    """Timed networks, seen through one way to count their parts."""

    def __init__(self, parts: Parts, rows: Ints, times: Floats) -> None:
        self.parts = parts
        self._known = parts.of(rows)
        numbers = numbers_of(parts.conditions.block, rows)
        counts = sum(numbers[kind][:, None] * self._known[kind].counts for kind in KINDS)
        relative = counts / times[:, None]
        scale = relative.max(axis=0)  # layers and multiply-adds lie eight orders apart
        self.coefficients: Floats = nnls(relative / scale, np.ones(len(times)))[0] / scale
        self._shares = {  # (n,) of a network's time that parts of a kind are expected to take
            kind: numbers[kind] * (self._known[kind].counts @ self.coefficients) / times for kind in KINDS
        }
        self._residual: Floats = 1 - np.sum(list(self._shares.values()), axis=0)

    def left_out_errors(self, prior: Prior) -> Floats:
        """(n,) relative error of each network predicted from all others; infinite for impossible settings."""
        try:
            inverse = cho_solve(cho_factor(self._covariance(prior)), np.eye(len(self._residual)))
        except LinAlgError:
            return np.full(len(self._residual), np.inf)
        found: Floats = inverse @ self._residual / np.diag(inverse)
        return found

    def table(self, space: Space, prior: Prior) -> LatencyTable:
        """The posterior mean at all widths of `space`."""
        alpha = cho_solve(cho_factor(self._covariance(prior)), self._residual)

        def times(kind: str, part: Part) -> Floats:
            g = _kernel(prior, part, self._known[kind]) @ (self._shares[kind] * alpha)
            found: Floats = np.maximum(1 + g, LEAST) * (part.counts @ self.coefficients)
            return found

        widths = [np.array(choices) for choices in space.width_choices]
        before = [np.array([STEM_OUT]), *widths[:-1]]
        first = []
        for stage in range(STAGES):
            pairs = np.meshgrid(before[stage], widths[stage], indexing="ij")
            part = self.parts.first(stage, pairs[0].ravel(), pairs[1].ravel())
            first.append(times(f"first{stage + 1}", part).reshape(pairs[0].shape))
        return LatencyTable(
            self.parts.conditions,
            stem=float(times("stem", self.parts.stem())[0]),
            widths=tuple(widths),
            before=tuple(before),
            first=tuple(first),
            further=tuple(
                times(f"further{stage + 1}", self.parts.further(stage, widths[stage]))
                for stage in range(STAGES)
            ),
            head=times("head", self.parts.head(widths[-1])),
        )

    def _covariance(self, prior: Prior) -> Floats:
        total: Floats = prior.noise**2 * np.eye(len(self._residual))
        for kind, shares in self._shares.items():
            distance, same = self._apart[kind]
            total += np.outer(shares, shares) * _covariance(prior, distance, same)
        return total

    @cached_property
    def _apart(self) -> dict[str, tuple[Floats, Floats]]:
        return {kind: _distances(part, part) for kind, part in self._known.items()}


def _kernel(prior: Prior, a: Part, b: Part) -> Floats:
    return _covariance(prior, *_distances(a, b))


def _distances(a: Part, b: Part) -> tuple[Floats, Floats]:
    """(n, m) squared distances of the widths, octaves^2, and whether the same power of two divides them."""
    apart = ((a.where[:, None] - b.where[None]) ** 2).sum(-1)
    return apart, (a.aligned[:, None] == b.aligned[None]).astype(np.float64)


def _covariance(prior: Prior, distance: Floats, same: Floats) -> Floats:
    smooth = prior.smooth**2 * np.exp(-distance / (2 * prior.length**2))
    found: Floats = prior.constant**2 + smooth + prior.aligned**2 * same
    return found
