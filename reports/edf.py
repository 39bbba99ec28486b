"""Error distributions of a population of architectures, and what is known about them.

A design space is judged by the distribution of its models' errors, not by one run: Radosavovic et al., "On
Network Design Spaces for Visual Recognition" (ICCV 2019), and RegNet after it. Everything here is a pure
function of a list of errors; tests/test_reports_edf.py checks each against a closed form and a second method.

Notation   n  trials of the population     x_(1) <= .. <= x_(n)  their errors, mm     F  the true distribution
           censored  trials known only to lie above every error given (a rung stopped them): they count in n
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

LEVEL = 0.95
_SIMULATED = 2_000_000  # uniform numbers behind one calibration: about a second, coverage within half a point


@dataclass(frozen=True, slots=True)
class Band:
    """A step function with a simultaneous band: on [x[i], x[i + 1]) it is share[i], F in low[i] .. high[i].

    x (k,) distinct errors, ascending;  share, low, high (k,) in [0, 1];  before x[0], F <= high_before.
    """

    x: NDArray[np.float64]
    share: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    high_before: float
    n: int
    level: float


def _sorted(errors: ArrayLike) -> NDArray[np.float64]:
    x = np.sort(np.asarray(errors, dtype=np.float64))
    if x.ndim != 1 or x.size == 0 or not np.isfinite(x).all():
        raise ValueError("a distribution needs at least one finite error in a flat list")
    return x


def edf(errors: ArrayLike, *, censored: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Empirical distribution: distinct errors (k,), and the share of trials at or below each (k,).

    RegNet (CVPR 2020), eq. 1. Censored trials stand in the denominator only.
    """
    x = _sorted(errors)
    values, counts = np.unique(x, return_counts=True)
    return values, np.cumsum(counts) / (x.size + censored)


@lru_cache(maxsize=64)
def _local_level(n: int, level: float) -> float:
    """Pointwise miss rate at which all n order statistics hold at once with probability `level`."""
    rng = np.random.default_rng(n)  # a function of n alone, so that a report rebuilds to the same numbers
    rounds = int(min(20_000, max(500, _SIMULATED // n)))
    rank = np.arange(1, n + 1)
    worst = np.empty(rounds)
    for start in range(0, rounds, 100):  # keeps n = 10,000 within a few tens of MB
        block = np.sort(rng.random((min(100, rounds - start), n)), axis=1)
        below = special.betainc(rank, n - rank + 1, block)  # U_(i) ~ Beta(i, n - i + 1)
        worst[start : start + len(block)] = 2 * np.minimum(below, 1 - below).min(axis=1)
    return float(np.quantile(worst, 1 - level))


def bootstrap_band(errors: ArrayLike, *, censored: int = 0, level: float = LEVEL) -> Band:
    """Simultaneous band whose width follows the spread of the EDF: narrow in the tails, where one decides.

    A parametric bootstrap of the order statistics: F(x_(i)) has the law of a uniform sample's U_(i), whatever
    the continuous F, so resampling uniforms calibrates equal local levels: Owen (JASA 1995); Aldor-Noiman et
    al. (Am. Stat. 2013). Resampling the errors themselves (Bickel and Krieger, JASA 1989) covers in 84 % of
    cases instead of 95 % at n = 8 (tests/test_reports_edf.py), so it is not what we draw. Ties only widen it.
    """
    x = _sorted(errors)
    n = x.size + censored
    miss = _local_level(n, level) / 2
    rank = np.arange(1, n + 1)
    lower = stats.beta.ppf(miss, rank, n - rank + 1)
    upper = np.append(stats.beta.ppf(1 - miss, rank, n - rank + 1), 1.0)
    values, counts = np.unique(x, return_counts=True)
    last = np.cumsum(counts)  # rank of the last trial at each distinct error
    return Band(values, last / n, lower[last - 1], upper[last], float(upper[0]), n, level)


def quantile_interval(
    errors: ArrayLike, share: float = 0.5, *, censored: int = 0, level: float = LEVEL
) -> tuple[float, float, float]:
    """A population quantile with its distribution-free interval: (low, estimate, high), mm.

    Order statistics whose ranks enclose the binomial count with probability >= level: David and Nagaraja,
    Order Statistics (2003), sec. 7.1. An end that too few trials support, or that is censored, is infinite.
    """
    x = np.append(_sorted(errors), np.full(censored, np.inf))
    n = x.size
    inside = stats.binom(n, share)
    low_rank = int(inside.ppf((1 - level) / 2))  # P(B < low_rank) <= (1 - level) / 2
    high_rank = int(inside.ppf((1 + level) / 2)) + 1  # P(B >= high_rank) <= (1 - level) / 2
    low = x[low_rank - 1] if low_rank >= 1 else -np.inf
    high = x[high_rank - 1] if high_rank <= n else np.inf
    middle = np.sort(x)[[math.ceil(share * n) - 1, math.floor(share * n)]].mean() if share < 1 else x[-1]
    return float(low), float(middle), float(high)


def area(errors: ArrayLike, ceiling: float, *, censored: int = 0) -> float:
    """Normalised area under the EDF up to `ceiling`: 1 - mean(min(1, x / ceiling)), 1 is perfect, 0 is none.

    The EDF's AUC of Radosavovic et al. (ICCV 2019). Censored trials count as the ceiling.
    """
    x = _sorted(errors)
    return float(np.clip(1 - x / ceiling, 0, None).sum() / (x.size + censored))


def expected_gain(errors: ArrayLike, reference: float, *, censored: int = 0) -> float:
    """Area under the EDF below `reference`, mm: E[max(0, reference - X)], what one draw gains on the control.

    The integral of F up to the reference, by parts; the expected improvement of Bayesian optimisation.
    """
    x = _sorted(errors)
    return float(np.clip(reference - x, 0, None).sum() / (x.size + censored))


def best_of(errors: ArrayLike, draws: ArrayLike, *, replace: bool = False, censored: int = 0):
    """Expected least error among `draws` random trials, mm; draws an int or (k,) ints, the result alike.

    Without replacement: sum_i x_(i) C(n - i, m - 1) / C(n, m), unbiased for the population: Tang et al.
    (ACL 2020). With: sum_i x_(i) [((n - i + 1) / n)^m - ((n - i) / n)^m]: Dodge et al. (EMNLP 2019).
    Censored trials count as the largest error seen: the value is a bound from below where they matter.
    """
    x = _sorted(errors)
    x = np.append(x, np.full(censored, x[-1]))
    n = x.size
    m = np.atleast_1d(np.asarray(draws, dtype=np.int64))
    if (m < 1).any() or (not replace and (m > n).any()):
        raise ValueError(f"the best of {m.max()} needs at least that many trials; there are {n}")
    rank = np.arange(1, n + 1)
    if replace:
        weights = ((n - rank + 1) / n) ** m[:, None] - ((n - rank) / n) ** m[:, None]
    else:
        log = special.gammaln
        left = n - rank - (m[:, None] - 1)  # trials left over above rank i once m - 1 are taken
        safe = np.maximum(left, 0)
        ways = log(n - rank + 1) - log(m[:, None]) - log(safe + 1)
        total = log(n + 1) - log(m[:, None] + 1) - log(n - m[:, None] + 1)
        weights = np.where(left >= 0, np.exp(ways - total), 0.0)
    expected = weights @ x
    return float(expected[0]) if np.ndim(draws) == 0 else expected
