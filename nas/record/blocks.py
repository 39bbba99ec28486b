"""Runs of several architectures on common seeds: what a seed does to all of them is taken out.

Runs with one seed see the same samples in the same order, and their errors go together: of the variance of a
difference between two architectures about half is gone where both were run with the same seeds
(docs/evidence.md). So the L_error of architecture a with seed s is taken as

    y_as = m_a + b_s + e_as

and fitted by least squares (two-way layout without interaction; Scheffe, "The Analysis of Variance", 1959,
ch. 4), with the seeds as fixed blocks: nothing is assumed of how much they share, and where they share
nothing the comparisons are still right, only less sharp. Any set of runs will do as long as the architectures
hang together by common seeds; a seed that only one was run with tells nothing. The critical values are those
of nas/record/best.py, for differences of any covariance, by simulation.

Notation   y (n,) errors in mm     m (k,) levels; only their differences mean anything
           V (k, k) their covariance in units of s^2     s, nu  noise within seeds, its degrees of freedom
tests/test_record_blocks.py checks it against paired t tests, Dunnett's tables and by simulation.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SHARED = 0.5  # of the variance of a difference, gone by common seeds: what docs/evidence.md found
DRAWS = 20_000  # of a critical value; good to 1 %

Floats = NDArray[np.float64]
Run = tuple[Hashable, int, float]  # architecture, seed, L_error in mm


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """A fit; `at` says where an architecture stands in `levels` and `covariance`."""

    at: dict[Hashable, int]
    levels: Floats
    covariance: Floats  # in units of sd_mm squared
    sd_mm: float
    freedom: int

    def difference(self, a: Hashable, b: Hashable) -> float:
        """m_a - m_b, mm."""
        return float(self.levels[self.at[a]] - self.levels[self.at[b]])

    def deviation(self, a: Hashable, b: Hashable) -> float:
        """Standard deviation of that difference in units of sd_mm."""
        i, j, v = self.at[a], self.at[b], self.covariance
        return math.sqrt(max(0.0, v[i, i] + v[j, j] - 2 * v[i, j]))

    def critical(self, a: Hashable, others: Sequence[Hashable], alpha: float) -> float:
        """d_a of nas/record/best.py against `others`; 0 for none."""
        if not others:
            return 0.0
        contrasts = np.zeros((len(others), len(self.levels)))
        contrasts[:, self.at[a]] = 1.0
        contrasts[range(len(others)), [self.at[b] for b in others]] -= 1.0
        covariance = contrasts @ self.covariance @ contrasts.T
        scale = np.sqrt(np.diag(covariance))
        shape = np.round(covariance / np.outer(scale, scale), 9)
        return _critical(tuple(map(tuple, shape.tolist())), self.freedom, alpha)


def fit(runs: Iterable[Run], compared: Sequence[Hashable]) -> Blocks | None:
    """The fit of the runs; None where `compared` do not hang together by seeds, or leave no noise to see.

    Runs of other architectures help to tell what a seed does, and the noise.
    """
    used = _telling(list(runs), set(compared))
    names, seeds = list(dict.fromkeys(a for a, _, _ in used)), list(dict.fromkeys(s for _, s, _ in used))
    at, column = {a: i for i, a in enumerate(names)}, {s: len(names) + i for i, s in enumerate(seeds)}
    if not set(compared) <= at.keys():
        return None
    design = np.zeros((len(used), len(names) + len(seeds)))
    for i, (a, s, _) in enumerate(used):
        design[i, at[a]] = design[i, column[s]] = 1.0
    parts = _parts(design)
    freedom = len(used) - design.shape[1] + len(set(parts))
    if len({parts[at[a]] for a in compared}) > 1 or freedom < 1:
        return None
    y = np.array([value for _, _, value in used])
    inverse = np.linalg.pinv(design, rcond=1e-10)
    found = inverse @ y
    sd = math.sqrt(float(((y - design @ found) ** 2).sum()) / freedom)
    k = len(names)
    return Blocks(at, found[:k], (inverse @ inverse.T)[:k, :k], sd, freedom)


def _telling(runs: list[Run], compared: set[Hashable]) -> list[Run]:
    """Without those that say nothing: alone with their seed, or the only one of what is not compared."""
    while True:
        seeds, names = Counter(s for _, s, _ in runs), Counter(a for a, _, _ in runs)
        kept = [r for r in runs if seeds[r[1]] > 1 and (names[r[0]] > 1 or r[0] in compared)]
        if len(kept) == len(runs):
            return kept
        runs = kept


def _parts(design: Floats) -> list[int]:
    """Of each column, the part of the layout that it hangs together with."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    return [int(part) for part in connected_components(csr_array(design.T @ design), directed=False)[1]]


def sharper(blocks: Blocks, runs: Mapping[str, int], freedom: int) -> bool:
    """Whether its comparisons are to be expected sharper than those of means on `freedom` degrees of freedom.

    By the design alone: who decided by the errors would take the kinder of two tests. `runs`: how many of
    each compared architecture.
    """
    from scipy.special import stdtrit

    pairs = [(a, b) for i, a in enumerate(runs) for b in list(runs)[:i]]
    inside = float(np.mean([blocks.deviation(a, b) for a, b in pairs])) * math.sqrt(1 - SHARED)
    apart = float(np.mean([math.sqrt(1 / runs[a] + 1 / runs[b]) for a, b in pairs]))
    return bool(inside * stdtrit(blocks.freedom, 0.975) < apart * stdtrit(freedom, 0.975))


@lru_cache(maxsize=4096)
def _critical(correlation: tuple[tuple[float, ...], ...], freedom: int, alpha: float) -> float:
    """The 1 - alpha quantile of the largest of several t variables."""
    values, vectors = np.linalg.eigh(np.array(correlation))
    root = vectors * np.sqrt(values.clip(0.0))
    z, scale = _draws(len(correlation), freedom)
    return float(np.quantile((z @ root.T).max(axis=1) / scale, 1 - alpha))


@lru_cache(maxsize=8)
def _draws(count: int, freedom: int) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(0)
    z = rng.standard_normal((DRAWS, count))
    return z, np.sqrt(rng.chisquare(freedom, DRAWS) / freedom)
