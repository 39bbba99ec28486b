"""`--strategy predictor`: a model of what was trained screens many draws, and the most promising is trained.

A Gaussian process over the logarithms of depths and widths (proxy_tasks/bench/surrogate.py) rather than over
the unit cube's coordinates, whose meaning shifts from place to place. It screens 100,000 exactly uniform
draws; of the 2,000 of the lowest expected error the one of the greatest expected improvement is taken, so
that what is unknown is tried too. Runs that rungs stopped count as their last validation and what complete
runs won from there to their end; runs that are still going as what the model expects of them.
tests/test_search_predictor.py
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from proxy_tasks.bench.surrogate import expected_with_sd, gaussian_process, log_sizes
from space import FeasibleSet
from space.arrays import Floats, Ints

SCREENED = 100_000
SHORTLIST = 2_000


def most_promising(
    feasible: FeasibleSet,
    rows: Ints,
    errors: Floats,
    pending: Ints,
    rng: np.random.Generator,
    screened: int = SCREENED,
) -> Ints:
    """rows (n, 8) with their errors (n,), pending (m, 8) -> (8,) depths and widths to train next."""
    seen, at = np.unique(rows, axis=0, return_inverse=True)
    runs = np.bincount(at.ravel())
    mean = np.bincount(at.ravel(), errors) / runs
    x, noise = log_sizes(seen), np.zeros(len(seen))
    model = gaussian_process(x, mean[:, None], noise, seed=int(rng.integers(2**31)), restarts=0)
    if len(pending):
        waiting = log_sizes(pending)
        believed = np.concatenate([mean, np.ravel(model.predict(waiting))])
        kernel, x = model[-1].kernel_, np.concatenate([x, waiting])
        model = gaussian_process(x, believed[:, None], np.zeros(len(x)), kernel=kernel)
    draws = feasible.draw_array(screened, rng)
    drawn = log_sizes(draws)
    shortlist = np.argsort(np.ravel(model.predict(drawn)), kind="stable")[:SHORTLIST]
    expected, sd = (np.ravel(each) for each in expected_with_sd(model, drawn[shortlist]))
    best = float(np.ravel(model.predict(x)).min())
    return draws[shortlist[np.argmax(improvement(best - expected, sd))]]


def expected_ends(
    complete: Sequence[tuple[float, Mapping[int, float]]], stopped: Sequence[Mapping[int, float]]
) -> Floats:
    """Errors at the end: of complete runs (error, validations by number) theirs, then of `stopped` ones.

    A stopped run is expected to win from its last validation what complete runs won from there, in the mean;
    that is a little too much error for it, as those that went on had been lucky there. NaN where there is no
    such validation to tell it by.
    """
    ends = [error for error, _ in complete]
    for validations in stopped:
        last = max(validations, default=0)
        won = [error - seen[last] for error, seen in complete if math.isfinite(seen.get(last, math.nan))]
        ends.append(validations[last] + float(np.mean(won)) if won else math.nan)
    return np.array(ends)


def improvement(gain: Floats, sd: Floats) -> Floats:
    """Expected improvement of normal variables with mean `gain` over the best (Jones et al. 1998)."""
    from scipy.stats import norm

    z = gain / np.maximum(sd, 1e-12)
    return gain * norm.cdf(z) + sd * norm.pdf(z)
