"""Is one population of architectures better than another, and how sure is that?

The effect size is theta = P(X < Y) + P(X = Y) / 2, the probability that a random draw of the first beats
one of the second (lower error is better): the Mann-Whitney statistic over m n. Pure functions of two lists
of errors, an infinite one where a rung stopped the run (worse than all that finished, equal to its like);
tests/test_reports_contrast.py checks them against closed forms, scipy, and simulation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

LEVEL = 0.95
POWER = 0.8
_PAIRED = 2_000  # trials of each side in a median of differences
_PERMUTED = 400  # pooled trials up to which the test permutes; above, the normal limit is exact enough


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two populations side by side; every probability is that of the first beating the second."""

    n: tuple[int, int]
    wins: float  # P(X < Y) + P(X = Y) / 2
    wins_low: float
    wins_high: float
    median_difference: float  # Hodges-Lehmann shift of the first against the second, mm
    p_value: float  # two-sided, before correction
    needed: float  # trials of each for the wanted power at this effect; inf where there is no effect


def probability_of_beating(a: ArrayLike, b: ArrayLike) -> float:
    """P(X < Y) + P(X = Y) / 2 over all pairs; a (m,), b (n,). O((m + n) log n)."""
    a, b = np.asarray(a, dtype=np.float64), np.sort(np.asarray(b, dtype=np.float64))
    above = b.size - np.searchsorted(b, a, side="right")
    level = np.searchsorted(b, a, side="right") - np.searchsorted(b, a, side="left")
    return float((above + level / 2).sum() / (a.size * b.size))


def beating_interval(theta: float, m: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Interval of `probability_of_beating`, never empty at 0 or 1.

    Score interval with the Hanley-McNeil variance and m - 1, n - 1 replaced by their mean: Newcombe (Stat.
    Med. 2006, part 2), method 5. Solves (theta - t)^2 = z^2 V(t) on either side.
    """
    z = stats.norm.ppf((1 + level) / 2)
    mean = (m + n) / 2 - 1

    def excess(t: float) -> float:
        variance = t * (1 - t) * (1 + mean * ((1 - t) / (2 - t) + t / (1 + t))) / (m * n)
        return (theta - t) ** 2 - z * z * variance

    edge = 1e-9  # V is 0 at 0 and 1, so a clean sweep has a second root there
    low = 0.0 if theta <= edge else optimize.brentq(excess, 0.0, min(theta, 1 - edge))
    high = 1.0 if theta >= 1 - edge else optimize.brentq(excess, max(theta, edge), 1.0)
    return float(low), float(high)


def mann_whitney_p(a: ArrayLike, b: ArrayLike, rng: np.random.Generator, resamples: int = 9_999) -> float:
    """Two-sided p-value of the rank-sum test: permutations for small samples, else the normal limit.

    Ties are kept as mid-ranks. Mann and Whitney (1947); Phipson and Smyth (2010) for the 1 that keeps a
    permutation p-value above 0.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.size + b.size > _PERMUTED:
        return float(stats.mannwhitneyu(a, b, method="asymptotic").pvalue)
    ranks = stats.rankdata(np.concatenate([a, b]))
    centre = a.size * (ranks.size + 1) / 2
    found = stats.permutation_test(
        (ranks[: a.size], ranks[a.size :]),
        lambda first, second, axis: np.abs(first.sum(axis) - centre),
        vectorized=True,
        n_resamples=resamples,
        alternative="greater",  # of the distance, so two-sided of the sum
        rng=rng,
    )
    return float(found.pvalue)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """p-values (k,) corrected for k comparisons, family-wise, never below the raw: Holm (1979)."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate((p.size - np.arange(p.size)) * p[order])
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


def sample_size(theta: float, *, power: float = POWER, level: float = LEVEL, comparisons: int = 1) -> float:
    """Trials of each population that the rank-sum test needs to see an effect of this size.

    (z_{1 - alpha / 2} + z_power)^2 / (6 (theta - 1/2)^2): Noether (JASA 1987) with equal groups; alpha is
    divided by the number of comparisons. inf for theta = 1/2.
    """
    alpha = (1 - level) / comparisons
    z = stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power)
    return math.inf if theta == 0.5 else max(2.0, math.ceil(z * z / (6 * (theta - 0.5) ** 2)))


def shift(a: ArrayLike, b: ArrayLike) -> float:
    """Median of all differences x - y, mm: Hodges and Lehmann (1963), the shift of a rank-sum test.

    Of the finite errors alone: how much worse a run is that a rung stopped is not known.
    """
    a, b = (_thinned(np.asarray(x, dtype=np.float64)) for x in (a, b))
    return float(np.median(a[:, None] - b[None, :]))


def _thinned(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Finite values, sorted; of very many an even selection, as all pairs of them would not fit in memory."""
    x = np.sort(x[np.isfinite(x)])
    return x if x.size <= _PAIRED else x[np.linspace(0, x.size - 1, _PAIRED).round().astype(int)]


def contrast(a: ArrayLike, b: ArrayLike, rng: np.random.Generator, *, comparisons: int = 1) -> Contrast:
    """Everything above for one pair; `comparisons` is how many pairs are looked at together."""
    m, n = np.asarray(a).size, np.asarray(b).size
    theta = probability_of_beating(a, b)
    low, high = beating_interval(theta, m, n)
    return Contrast(
        n=(m, n),
        wins=theta,
        wins_low=low,
        wins_high=high,
        median_difference=shift(a, b),
        p_value=mann_whitney_p(a, b, rng),
        needed=sample_size(theta, comparisons=comparisons),
    )
