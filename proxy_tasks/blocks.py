"""Runs of several architectures on common seeds: what a seed does to all of them is taken out.

Runs with one seed see the same samples in the same order, and their errors go together: of the variance of a
difference between two architectures a quarter to a half is gone where both were run with the same seeds
(docs/findings.md). So the L_error of architecture a with seed s is taken as

    y_as = m_a + b_s + e_as

and fitted by least squares (two-way layout without interaction; Scheffe, "The Analysis of Variance", 1959,
ch. 4), with the seeds as fixed blocks: nothing is assumed of how much they share, and where they share
nothing the comparisons are still right, only less sharp. Any set of runs will do as long as the architectures
hang together by common seeds; a seed that only one was run with tells nothing. With the architectures swept
out, b = S+ (sums of the seeds - N'R sums of the architectures), and differences of levels have the covariance
s^2 (R + R N S+ N' R). Critical values are those of
comparisons with the best (nas/record/best.py), for differences of any covariance, by simulation.

Notation   y (n, v) errors in mm, one or the validations of a run     m (k, v) levels, b (seeds, v) effects
           N (k, seeds) runs of each, R = diag(1 / N 1)    S = diag(1'N) - N'RN, whose pseudo-inverse is S+
           s, nu  noise of the last column within seeds, its degrees of freedom
tests/test_proxy_blocks.py checks it against paired t tests, Dunnett's tables and by simulation.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

SHARED = 0.3  # of the variance of a difference, gone by common seeds: what docs/findings.md says
DRAWS = 2**14  # of a critical value; good to 0.5 %

Floats = NDArray[np.float64]
Run = tuple[Hashable, Hashable, ArrayLike]  # architecture, seed, L_error in mm or (v,) of them


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """A fit; `at` says where an architecture stands in `levels`.

    Of parts of the runs that no seed joins, the levels are those at the mean of their own seeds.
    """

    at: dict[Hashable, int]
    levels: Floats
    effects: dict[Hashable, Floats]  # (v,) of each seed: what it adds to all, 0 in the mean over the runs
    residuals: Floats  # (n, v)
    sd_mm: float
    freedom: int
    shares: Floats  # RN
    inverse: Floats  # S+
    runs: Floats  # (k,)

    def level(self, a: Hashable) -> float:
        """m_a, mm."""
        return float(self.levels[self.at[a], -1])

    def deviation(self, a: Hashable, b: Hashable) -> float:
        """Standard deviation of m_a - m_b in units of sd_mm."""
        return math.sqrt(self._covariance(a, [b])[0, 0])

    def critical(self, a: Hashable, others: Iterable[Hashable], alpha: float) -> float:
        """d_a of nas/record/best.py against `others`; 0 for none."""
        others = sorted(others, key=str)  # a simulation's last digits hang on the order
        if not others:
            return 0.0
        covariance = self._covariance(a, others)
        scale = np.sqrt(np.diag(covariance))
        shape = np.round(covariance / np.outer(scale, scale), 9)
        return _critical(tuple(map(tuple, shape.tolist())), self.freedom, alpha)

    def _covariance(self, a: Hashable, others: Sequence[Hashable]) -> Floats:
        """Of m_a less each of the others, in units of sd_mm squared."""
        i, j = self.at[a], [self.at[b] for b in others]
        apart = self.shares[i] - self.shares[j]
        found: Floats = 1 / self.runs[i] + np.diag(1 / self.runs[j]) + apart @ self.inverse @ apart.T
        return found


def fit(runs: Iterable[Run], compared: Sequence[Hashable] = ()) -> Blocks | None:
    """The fit of the runs; None where `compared` do not hang together by seeds, or no noise is left to see.

    Runs of other architectures help to tell what a seed does, and the noise.
    """
    used = _telling(list(runs), set(compared))
    at = {a: i for i, a in enumerate(dict.fromkeys(a for a, _, _ in used))}
    column = {s: i for i, s in enumerate(dict.fromkeys(s for _, s, _ in used))}
    if not set(compared) <= at.keys():
        return None
    rows, columns = [at[a] for a, _, _ in used], [column[s] for _, s, _ in used]
    layout = np.zeros((len(at), len(column)))
    np.add.at(layout, (rows, columns), 1.0)
    parts = _parts(layout)
    freedom = len(used) - len(at) - len(column) + len(set(parts))
    if len({parts[layout[at[a]].argmax()] for a in compared}) > 1 or freedom < 1:
        return None
    y = np.array([value for _, _, value in used], dtype=np.float64).reshape(len(used), -1)
    by_name, by_seed = np.zeros((len(at), y.shape[1])), np.zeros((len(column), y.shape[1]))
    np.add.at(by_name, rows, y)
    np.add.at(by_seed, columns, y)
    count = layout.sum(axis=1)
    shares = layout / count[:, None]
    inverse = np.linalg.pinv(np.diag(layout.sum(axis=0)) - layout.T @ shares, rcond=1e-10, hermitian=True)
    effects = _centred(inverse @ (by_seed - shares.T @ by_name), layout.sum(axis=0), parts)
    levels = by_name / count[:, None] - shares @ effects
    residuals = y - levels[rows] - effects[columns]
    sd = math.sqrt(float((residuals[:, -1] ** 2).sum()) / freedom)
    known = {s: effects[i] for s, i in column.items()}
    return Blocks(at, levels, known, residuals, sd, freedom, shares, inverse, count)


def _telling(runs: list[Run], compared: set[Hashable]) -> list[Run]:
    """Without those that say nothing: alone with their seed, or the only one of what is not compared."""
    while True:
        seeds, names = Counter(s for _, s, _ in runs), Counter(a for a, _, _ in runs)
        kept = [r for r in runs if seeds[r[1]] > 1 and (names[r[0]] > 1 or r[0] in compared)]
        if len(kept) == len(runs):
            return kept
        runs = kept


def _parts(layout: Floats) -> list[int]:
    """Of each seed, the part of the layout that it hangs together with."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    return [int(part) for part in connected_components(csr_array(layout.T @ layout), directed=False)[1]]


def _centred(effects: Floats, runs: Floats, parts: list[int]) -> Floats:
    """The same with 0 for the mean over the runs of each part."""
    shifted = effects.copy()
    for one in set(parts):
        inside = np.array(parts) == one
        shifted[inside] -= runs[inside] @ effects[inside] / runs[inside].sum()
    return shifted


def sharper(blocks: Blocks, runs: Mapping[str, int], freedom: int) -> bool:
    """Whether its comparisons are to be expected sharper than those of means on `freedom` degrees of freedom.

    By the layout and not by how the errors came out: who looked at them would take the kinder of two tests.
    `runs`: how many of each compared architecture.
    """
    from scipy.special import stdtrit

    pairs = [(a, b) for i, a in enumerate(runs) for b in list(runs)[:i]]
    inside = float(np.mean([blocks.deviation(a, b) for a, b in pairs])) * math.sqrt(1 - SHARED)
    apart = float(np.mean([math.sqrt(1 / runs[a] + 1 / runs[b]) for a, b in pairs]))
    level = 1 - 0.05 / max(1, len(runs) - 1)
    return bool(inside * stdtrit(blocks.freedom, level) < apart * stdtrit(freedom, level))


@lru_cache(maxsize=4096)
def _critical(correlation: tuple[tuple[float, ...], ...], freedom: int, alpha: float) -> float:
    """The 1 - alpha quantile of the largest of several t variables."""
    shape = np.array(correlation)
    root = np.linalg.cholesky(shape + 1e-9 * np.eye(len(shape)))
    room = 1 << (len(shape) - 1).bit_length()  # so that few sets of points serve all
    z = _points(room)[:, 1 : 1 + len(shape)]
    return float(np.quantile((z @ root.T).max(axis=1) / _scales(room, freedom), 1 - alpha))


@lru_cache(maxsize=8)
def _points(room: int) -> Floats:
    """(DRAWS, 1 + room) standard normal variables, evenly spread (Sobol)."""
    from scipy.special import ndtri
    from scipy.stats import qmc

    points = qmc.Sobol(1 + room, rng=np.random.default_rng(0)).random_base2(DRAWS.bit_length() - 1)
    return np.asarray(ndtri(points.clip(1e-12, 1 - 1e-12)))


@lru_cache(maxsize=64)
def _scales(room: int, freedom: int) -> Floats:
    """(DRAWS,) values of S, by the first of the points."""
    from scipy.special import gammaincinv, ndtr

    return np.asarray(np.sqrt(2 * gammaincinv(freedom / 2, ndtr(_points(room)[:, 0])) / freedom))
