"""Where the best lie, and the space narrowed to it: RegNet's empirical bootstrap without Monte Carlo noise.

Radosavovic et al., "Designing Network Design Spaces" (CVPR 2020), sec. 3.2, and after it SCRFD (Guo et
al., ICLR 2022): draw 25 % of the n pairs (value, error) with replacement, keep the value of the least
error, repeat 10,000 times, and read the median and the central 95 % of what was kept.

That procedure has a limit in closed form, so nothing is drawn here. With the errors in ascending order, the
best of m draws has rank k or worse with probability ((n - k + 1) / n)^m, hence rank k itself with

    P(k) = ((n - k + 1) / n)^m - ((n - k) / n)^m,        k = 1 .. n

which is the answer of infinitely many resamples, the same on every machine. Equal errors share theirs.

tests/test_record_narrow.py holds this equal to the published resampling. `--rounds 2` narrows the space by
`narrowed`, and the report shows the same ranges from the same function.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.record.store import TrialRecord
from space import Budget, FeasibleSet, Space
from space.caps import Caps

FRACTION = 0.25  # of the pairs in a resample: RegNet, sec. 3.2
LEVEL = 0.95  # central mass of the interval
ENOUGH_TO_NARROW = 8  # complete trials of the first round


def best_weights(errors: ArrayLike, *, fraction: float = FRACTION) -> NDArray[np.float64]:
    """Probability of each trial to be the best of a resample of `fraction` of them, drawn with replacement.

    errors (n,) finite, lower is better;  returns (n,), sums to 1. Tied errors have equal probabilities.
    """
    errors = np.asarray(errors, dtype=np.float64)
    if errors.ndim != 1 or errors.size == 0 or not np.isfinite(errors).all():
        raise ValueError("the bootstrap needs at least one finite error in a flat list")
    if not 0.0 < fraction <= 1.0:
        raise ValueError(f"a resample takes a share of the trials in (0, 1], not {fraction}")
    n = errors.size
    draws = max(1, int(fraction * n))
    at_least = ((n - np.arange(n + 1)) / n) ** draws  # P(best has rank > k), k = 0 .. n
    by_rank = -np.diff(at_least)
    _, group, size = np.unique(errors, return_inverse=True, return_counts=True)
    mass = np.bincount(np.sort(group), weights=by_rank)  # per distinct error
    return (mass / size)[group]


def best_range(
    values: ArrayLike, errors: ArrayLike, *, fraction: float = FRACTION, level: float = LEVEL
) -> tuple[float, float, float]:
    """Range in which the best trials' `values` fall: (low, median, high).

    values (n,) of one property (a depth, a width, a share of the FLOPs), errors (n,) lower is better.
    Returns the (1 - level) / 2, 0.5 and (1 + level) / 2 quantiles of the best one's value, always values of
    a trial: RegNet (CVPR 2020), sec. 3.2. Linear in n but for one sort.
    """
    values = np.asarray(values, dtype=np.float64)
    weights = best_weights(errors, fraction=fraction)
    if values.shape != weights.shape or not np.isfinite(values).all():
        raise ValueError(f"the bootstrap needs one finite value for each of {weights.size} errors")
    if not 0.0 < level < 1.0:
        raise ValueError(f"the level of an interval lies between 0 and 1, not {level}")
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    reached[-1] = 1.0  # rounding must not push a quantile past the largest value
    at = np.searchsorted(reached, [(1 - level) / 2, 0.5, (1 + level) / 2])
    low, best, high = values[order][at]
    return float(low), float(best), float(high)


def narrowed(
    space: Space, budget: Budget, records: Sequence[TrialRecord], caps: Caps | None = None
) -> FeasibleSet | None:
    """The part of `space` with each depth and width within the bootstrap of the best of `records`.

    SCRFD's redistribution (Guo et al. 2022) with RegNet's estimator (`best_range`). None where too few
    trials completed, or where nothing would be left. `--rounds 2` draws from it, and the report shows it.
    """
    done = [r for r in records if r.l_error_mm is not None]
    if len(done) < ENOUGH_TO_NARROW:
        return None
    errors = [r.l_error_mm for r in done if r.l_error_mm is not None]
    depths = [best_range([r.arch.depths[i] for r in done], errors) for i in range(4)]
    widths = [best_range([r.arch.widths[i] for r in done], errors) for i in range(4)]
    try:
        part = space.narrowed(
            min_depth=tuple(int(low) for low, _, _ in depths),
            max_depth=tuple(int(high) for _, _, high in depths),
            min_width=tuple(int(low) for low, _, _ in widths),
            max_width=tuple(int(high) for _, _, high in widths),
        )
        return FeasibleSet(part, budget, caps)
    except ValueError:
        return None
