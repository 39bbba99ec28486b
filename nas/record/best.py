"""Which of several architectures may be the best, from a few runs of each.

With y_i the mean of n_i runs of architecture i, s the seed noise on nu degrees of freedom, and lower better,

    i may be the best  where  y_i - y_j <= d_i s sqrt(1/n_i + 1/n_j)  for every other j

holds the truly best with probability 1 - alpha at least, whatever the truth is: Hsu's multiple comparisons
with the best (Annals of Statistics 1984; "Multiple Comparisons", 1996, sec. 4.2 for unequal n). d_i is
Dunnett's one-sided value with i in the control's place, the 1 - alpha quantile of

    max_j ((Z_i / sqrt(n_i) - Z_j / sqrt(n_j)) / sqrt(1/n_i + 1/n_j)) / S,    S^2 = chi^2(nu) / nu

Given Z_i and S the terms are independent, so its distribution is an integral over two variables, taken by
Gauss's rules here: no tables, any n. The comparisons share i, and only one side can err: for 20 of them on 8
degrees of freedom d is 3.2 where Bonferroni's t is 4.3.

`chances` is the other answer, that of a model: architectures are draws of a normal population whose mean
and spread are as unsure as the runs leave them, so that a single run is worth little and is shrunk towards
that mean.

Notation   y, n  (k,) means and runs     s, nu  seed noise and its degrees of freedom
tests/test_record_best.py checks the values against Dunnett's tables and by simulation.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

ALPHA = 0.05
DRAWS = 20_000  # of the posterior; a chance is good to 0.4 points
_NODES = 48
_HOPEFUL = 200  # architectures that the draws look at; those behind them have no chance to speak of
_SPREADS = 200  # values of a population's spread that are tried

Floats = NDArray[np.float64]


def critical(runs: int, others: Sequence[int], freedom: float, alpha: float = ALPHA) -> float:
    """d_i: `runs` of architecture i against `others`, the runs of each it is compared with; 0 for none."""
    if not others:
        return 0.0
    return _critical(runs, tuple(sorted(Counter(others).items())), freedom, alpha)


@lru_cache(maxsize=4096)
def _critical(runs: int, others: tuple[tuple[int, int], ...], freedom: float, alpha: float) -> float:
    from scipy.optimize import brentq

    def shortfall(d: float) -> float:
        return _probability(d, runs, others, freedom) - (1 - alpha)

    high = 4.0
    while shortfall(high) < 0:  # few degrees of freedom
        high *= 2
    return float(brentq(shortfall, 0.0 if shortfall(0.0) < 0 else -high, high, xtol=1e-6))


def _probability(d: float, runs: int, others: tuple[tuple[int, int], ...], freedom: float) -> float:
    """P(max_j <= d) of the module's formula; `others` are (runs, how many have them)."""
    from scipy.special import ndtr

    z, weights = _hermite()
    inside = np.ones((_NODES, _NODES))
    for count, times in others:
        reach = d * _scales(freedom) * math.sqrt(1 / runs + 1 / count)
        inside *= ndtr(math.sqrt(count) * (reach[:, None] - z[None, :] / math.sqrt(runs))) ** times
    return float(_legendre()[1] / 2 @ inside @ weights)


@lru_cache(maxsize=1)
def _hermite() -> tuple[Floats, Floats]:
    """Nodes and weights of the expectation over a standard normal variable."""
    z, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    return z, weights / weights.sum()


@lru_cache(maxsize=1)
def _legendre() -> tuple[Floats, Floats]:
    """Nodes and weights of an integral from -1 to 1."""
    return np.polynomial.legendre.leggauss(_NODES)


@lru_cache(maxsize=256)
def _scales(freedom: float) -> Floats:
    """(nodes,) S at Gauss-Legendre's points of its own distribution."""
    from scipy.special import gammaincinv

    u = (_legendre()[0] + 1) / 2
    return np.asarray(np.sqrt(2 * gammaincinv(freedom / 2, u) / freedom))


def may_be_best(
    y: ArrayLike, n: Sequence[int], judges: Sequence[bool], s: float, nu: float, alpha: float = ALPHA
) -> list[bool]:
    """Whether each of k architectures may be the best; only `judges` can rule another out.

    The run that made an architecture a candidate must not be in its y, or a lucky one rules out the best.
    """
    y, judge = np.asarray(y, dtype=np.float64), np.asarray(judges, dtype=bool)
    counts = np.asarray(n, dtype=np.int64)
    found = np.ones(len(y), dtype=bool)
    for runs, judges_too in {(int(c), bool(j)) for c, j in zip(counts, judge, strict=True)}:
        others = Counter(counts[judge].tolist())
        others[runs] -= judges_too
        d = _critical(runs, tuple(sorted((+others).items())), nu, alpha) if others.total() else 0.0
        limits = y[judge] + d * s * np.sqrt(1 / runs + 1 / counts[judge])  # its own holds for itself
        alike = (counts == runs) & (judge == judges_too)
        found[alike] = y[alike] <= limits.min(initial=np.inf)
    return [bool(can) for can in found]


def spreads(y: ArrayLike, n: ArrayLike, s: float) -> tuple[Floats, Floats]:
    """How far architectures behind means y of n runs each may differ: standard deviations, and their weights.

    The posterior of a flat prior, their mean integrated out (Gelman, Bayesian Analysis 2006): few noisy means
    often have no spread as the likeliest, and are no proof that there is none.
    """
    y, noise = np.asarray(y, dtype=np.float64), s**2 / np.asarray(n, dtype=np.float64)
    most = 4 * max(float(y.std()), float(np.sqrt(noise.max())), 1e-9)  # means may lie close by chance
    grid = np.linspace(0.0, most, _SPREADS + 1)
    grid = (grid[1:] + grid[:-1]) / 2  # 0 itself has no mass, and no density where there is no noise
    precision = 1 / (noise + grid[:, None] ** 2)
    whole = precision.sum(axis=1)
    centre = precision @ y / whole
    misfit = (precision * (y - centre[:, None]) ** 2).sum(axis=1)
    log_weight = (np.log(precision).sum(axis=1) - np.log(whole) - misfit) / 2
    weight = np.exp(log_weight - log_weight.max())
    return grid, weight / weight.sum()


def chances(y: ArrayLike, n: ArrayLike, drawn: ArrayLike, s: float, nu: float, seed: int = 0) -> Floats:
    """(k,) the probability of each to be the best, by the model; they add up to 1.

    y and n are of all runs, the lucky one too: shrinking is what undoes its luck. `drawn` says which come
    from the population; the others (the control) are taken as they are.
    """
    y, n = np.asarray(y, dtype=np.float64), np.asarray(n, dtype=np.float64)
    drawn = np.asarray(drawn, dtype=bool)
    rng = np.random.default_rng(seed)
    known = n / max(s, 1e-12) ** 2
    middle = prior = np.zeros(DRAWS)
    if drawn.sum() > 2:  # two say nothing of a spread
        spread, middle = _populations(y[drawn], n[drawn], s, rng)
        prior = 1 / spread**2
    some = _hopeful(y, n, known, drawn, float(np.median(prior)), float(np.median(middle)))
    own = np.broadcast_to(known[some], (DRAWS, len(some)))
    pull = np.where(drawn[some], prior[:, None], 0.0)
    total = own + pull
    mean = (own * y[some] + pull * middle[:, None]) / total
    stretch = np.sqrt(nu / rng.chisquare(nu, (DRAWS, 1)))  # s is an estimate too
    drawn_means = mean + stretch * rng.standard_normal(mean.shape) / np.sqrt(total)
    return np.bincount(some[drawn_means.argmin(axis=1)], minlength=len(y)) / DRAWS


def _hopeful(
    y: Floats, n: Floats, known: Floats, drawn: NDArray[np.bool_], prior: float, middle: float
) -> NDArray[np.int64]:
    """The _HOPEFUL least by what shrinking leaves; whoever was run again is among them, and the control."""
    pull = np.where(drawn, prior, 0.0)
    bound = (known * y + pull * middle) / (known + pull) - 2 / np.sqrt(known + pull)
    return np.lexsort((bound, drawn & (n < 2)))[:_HOPEFUL]


def _populations(y: Floats, n: Floats, s: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """DRAWS of a population's spread and mean, given means of n runs of some of it."""
    grid, weight = spreads(y, n, s)
    spread = grid[rng.choice(len(grid), DRAWS, p=weight)]
    values, at = np.unique(spread, return_inverse=True)
    precision = 1 / (s**2 / n + values[:, None] ** 2)
    whole = precision.sum(axis=1)
    centre = precision @ y / whole
    return spread, centre[at] + rng.standard_normal(DRAWS) / np.sqrt(whole[at])
