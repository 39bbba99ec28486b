"""How much each property of an architecture matters for its error, and how sure that is.

Permutation importance (Breiman, Machine Learning 2001) of a forest on held-out trials: the rise of the mean
squared error when one property is shuffled, as a share of the variance of the errors. 0 is no use, 1 is as
much as there is to explain. Two properties that carry the same information share it between them, and within
a budget all are dependent. The uncertainty is that of the trials, not of the forest: each repeat fits on a
random half and scores on the other, and the spread over halves estimates the standard error of the whole (the
delete-half jackknife: Shao and Wu, Annals of Statistics 1989; for forests Ishwaran and Lu, Stat. Med. 2019).

tests/test_reports_importance.py checks it against functions whose importance is known in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.ensemble import ExtraTreesRegressor

LEAF = 5  # trials; below, a split follows noise
FEWEST = 20  # trials; below, half of them say nothing about eight properties
_MOST = 1_500  # trials that a repeat looks at: keeps the cost of 5,000 trials to that of 1,500


@dataclass(frozen=True, slots=True)
class Importance:
    """Importances (p,) with the central 95 %, and the share of variance that the forest explains held out."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    explained: float  # held-out R^2; at or below 0 nothing was learnt and the importances mean nothing
    n: int


def permutation_importance(
    x: ArrayLike, y: ArrayLike, rng: np.random.Generator, *, repeats: int = 16, trees: int = 16
) -> Importance:
    """x (n, p) properties, y (n,) errors; ValueError below 20 trials. About 3 s for n = 1,000, p = 8."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if len(y) < FEWEST:
        raise ValueError(f"importance needs at least {FEWEST} complete trials; there are {len(y)}")
    rises, explained = np.empty((repeats, x.shape[1])), np.empty(repeats)
    for repeat in range(repeats):
        rows = rng.permutation(len(y))[:_MOST]
        fit, held = rows[: len(rows) // 2], rows[len(rows) // 2 :]
        rises[repeat], explained[repeat] = _rise(x, y, fit, held, rng, trees)
    value = rises.mean(axis=0)
    reach = stats.t.ppf(0.975, repeats - 1) * rises.std(axis=0, ddof=1)
    return Importance(value, value - reach, value + reach, float(explained.mean()), len(y))


def _rise(
    x: NDArray, y: NDArray, fit: NDArray, held: NDArray, rng: np.random.Generator, trees: int
) -> tuple[NDArray[np.float64], float]:
    """Rise of the held-out squared error on shuffling each feature, and R^2, as shares of the variance."""
    seed = int(rng.integers(2**31))
    forest = ExtraTreesRegressor(trees, min_samples_leaf=LEAF, random_state=seed).fit(x[fit], y[fit])
    stacked = np.concatenate([x[held]] * (x.shape[1] + 1))  # the rows as they are, then once for each feature
    for feature in range(x.shape[1]):
        block = slice((feature + 1) * len(held), (feature + 2) * len(held))
        stacked[block, feature] = rng.permutation(x[held, feature])
    wrong = (forest.predict(stacked).reshape(-1, len(held)) - y[held]) ** 2
    variance = y[held].var() or 1.0  # all errors alike: every rise is 0
    error = wrong.mean(axis=1) / variance
    return error[1:] - error[0], 1 - float(error[0])
