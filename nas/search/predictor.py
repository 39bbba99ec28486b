"""`--strategy predictor`: a model of what was trained screens many draws, and the most promising is trained.

A Gaussian process over how an architecture spends its budget (the features of proxy_tasks/bench/surrogate.py:
depths, widths, stage shares, parameters, activations) rather than over the unit cube's coordinates, whose
meaning shifts from place to place. It screens 100,000 exactly uniform draws; of the 2,000 of the lowest
expected error the one of the greatest expected improvement is taken, so that what is unknown is tried too.
Runs that are still going count as what the model expects of them. tests/test_search_predictor.py
"""

from __future__ import annotations

import numpy as np

from proxy_tasks.bench.surrogate import expected_with_sd, features, gaussian_process
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
    block = feasible.space.block
    seen, at = np.unique(rows, axis=0, return_inverse=True)
    runs = np.bincount(at.ravel())
    mean = np.bincount(at.ravel(), errors) / runs
    x, noise = features(seen, block), np.zeros(len(seen))
    model = gaussian_process(x, mean[:, None], noise, seed=int(rng.integers(2**31)), restarts=0)
    if len(pending):
        waiting = features(pending, block)
        believed = np.concatenate([mean, np.ravel(model.predict(waiting))])
        kernel, x = model[-1].kernel_, np.concatenate([x, waiting])
        model = gaussian_process(x, believed[:, None], np.zeros(len(x)), kernel=kernel)
    draws = feasible.draw_array(screened, rng)
    drawn = features(draws, block)
    shortlist = np.argsort(np.ravel(model.predict(drawn)), kind="stable")[:SHORTLIST]
    expected, sd = (np.ravel(each) for each in expected_with_sd(model, drawn[shortlist]))
    best = float(np.ravel(model.predict(x)).min())
    return draws[shortlist[np.argmax(improvement(best - expected, sd))]]


def improvement(gain: Floats, sd: Floats) -> Floats:
    """Expected improvement of normal variables with mean `gain` over the best (Jones et al. 1998)."""
    from scipy.stats import norm

    z = gain / np.maximum(sd, 1e-12)
    return gain * norm.cdf(z) + sd * norm.pdf(z)
