"""Cheap views of a training run beside the longest one: do they rank architectures alike, and what is lost?

A view is one number for each architecture, lower taken for better: an earlier validation, a shorter run, the
error over fewer people, a count, a score at initialisation. The dear measure is the final error of the
longest training in the table, the mean over its seeds. For each view

    tau         Kendall's tau-b with the dear measure (Kendall 1945)
    regret@k    least dear error of the k architectures that the view puts first, less the least of all, mm

each with the central 95 % of a bootstrap over architectures. A resample holds fewer different ones, and its
favourites are the same share of them. Few architectures make a small regret cheap: that of an order by chance
stands beside, and what is recommended is a training that is shown to rank, not a lucky count. What seeds
allow: the tau that a view would have which knew every architecture's error without noise (the ceiling), and
that of one other run of the dear measure itself, which meets the noise twice. tests/test_bench_views.py
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy_tasks.bench.rows import Row
from proxy_tasks.bench.table import AGAIN, Floats, RunTable, is_complete
from space.arch import ArchSpec

KEPT = (1, 3, 5)  # how many a view's favourites are trained in full
RESAMPLES = 1_000
SECONDS = "seconds"  # among the scores of an untrained network: what they took
LATENCY = "latency_ms"  # among them too; less is better
FEWEST = 5  # architectures; with fewer there is no ranking to speak of

Interval = tuple[float, float, float]  # estimate and the ends of its 95 %


@dataclass(frozen=True, slots=True)
class View:
    """One cheap measurement of n architectures; `seconds` is what it costs for one of them."""

    name: str
    values: Floats  # (n,) NaN where it was not taken
    seconds: float
    same_run: bool = False  # a part of the very run that it is compared with: the seed is shared
    trained: bool = False  # by a training run: a proxy, which a count or a score at initialisation is not


@dataclass(frozen=True, slots=True)
class Judged:
    """What a view is worth."""

    view: View
    n: int
    tau: Interval
    regrets: tuple[Interval, ...]  # for each of KEPT, mm


@dataclass(frozen=True, slots=True)
class Study:
    """All views of a table's architectures that have the longest training."""

    archs: tuple[ArchSpec, ...]
    dear: Floats  # (n,) mm
    length: float
    seconds: float  # of the longest training, mean
    noise_mm: float  # SD between runs of one seed, NaN where no run was repeated
    noise_of: tuple[
        float, int
    ]  # its length (the short one where no long run was repeated), degrees of freedom
    judged: tuple[Judged, ...]
    ceiling: float  # tau of a view without noise that knows the truth; NaN where the noise is not known
    again: float  # tau of one other run of the dear measure; likewise
    chance: tuple[float, ...]  # for each of KEPT, regret of an order by chance, mm

    def recommended(self, bound_mm: float, k: int = 3) -> Judged | None:
        """The cheapest training that ranks, and whose regret@k stays within the bound, both by the interval.

        Only of views that all of the architectures have.
        """
        at = KEPT.index(k)
        good = [
            each
            for each in self.judged
            if each.view.trained
            and each.n == len(self.archs)
            and each.tau[1] > 0
            and each.regrets[at][2] <= bound_mm
        ]
        return min(good, key=lambda each: each.view.seconds, default=None)


def study(
    rows: Iterable[Row],
    scores: Callable[[ArchSpec], Mapping[str, float]] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    length: float | None = None,
) -> Study:
    """`scores` gives what an untrained network tells, or nothing of it (higher is taken for better, of
    latency less); `length`: the training that is asked about, by default the longest.

    ValueError below FEWEST.
    """
    rows = [r for r in rows if length is None or r["length"] <= length]
    lengths = sorted({float(r["length"]) for r in rows if is_complete(r)})
    if not lengths:
        raise ValueError("the table holds no complete run")
    dear, short = RunTable.of(rows, lengths[-1]), RunTable.of(rows, lengths[0])
    if len(dear.archs) < FEWEST and dear.length > short.length:
        dear = short  # the longest trainings have hardly begun
    if len(dear.archs) < FEWEST:
        raise ValueError(
            f"a ranking needs {FEWEST} architectures or more, and {len(dear.archs)} are complete"
        )
    final = dear.means[:, -1]
    repeated = dear if dear.run_sd()[1] else short
    noise, freedom = repeated.run_sd()
    views = [*_validations(short, dear, rows), *_counts(dear.archs)]
    if scores is not None:
        views += _untrained([scores(arch) for arch in dear.archs])
    rng = np.random.default_rng(seed)
    taken = [view for view in views if np.isfinite(view.values).sum() >= FEWEST]
    judged = tuple(judge(view, final, rng, resamples) for view in taken)
    at_best, again = ceiling(final, dear.counts, noise, rng)
    return Study(
        archs=dear.archs,
        dear=final,
        length=dear.length,
        seconds=float(dear.seconds.mean()),
        noise_mm=noise,
        noise_of=(repeated.length, freedom),
        judged=judged,
        ceiling=at_best,
        again=again,
        chance=tuple(by_chance(final, k) for k in KEPT),
    )


def _validations(short: RunTable, dear: RunTable, rows: Sequence[Row]) -> list[View]:
    """Validations along the short run, fewer people at its end, and validations along the longest."""
    found = []
    tables = [short] if short.length == dear.length else [short, dear]
    for table in tables:
        first = _seeds(table, dear)
        one = {key: table.curves[key][seed] - table.effect(seed) for key, seed in first.items()}
        seconds = float(table.seconds.mean())
        same = table is tables[-1]
        last = len(table.epochs) - 1 if same else len(table.epochs)
        for i in range(last):
            values = np.array([one[a.id][i] if a.id in one else math.nan for a in dear.archs])
            name = f"x{table.length:g} run, validation {i + 1} of {len(table.epochs)}"
            found.append(View(name, values, seconds * (i + 1) / len(table.epochs), same, trained=True))
    ends = {
        (ArchSpec.from_dict(r["arch"]).id, r["seed"]): r.get("people_mm")
        for r in rows
        if r["length"] == short.length
    }
    first = _seeds(short, dear)
    shift = {key: float(short.effect(seed)[-1]) for key, seed in first.items()}
    for share in (4, 16):
        values = np.array(
            [_fewer(ends.get((a.id, first.get(a.id))), share) - shift.get(a.id, 0.0) for a in dear.archs]
        )
        name = f"x{short.length:g} run, its end on a {share}th of the people"
        found.append(View(name, values, float(short.seconds.mean()), len(tables) == 1, trained=True))
    return found


def _seeds(table: RunTable, dear: RunTable) -> dict[str, int]:
    """Whose run is the view of each architecture: the first's.

    But not the one by which it was chosen to be trained longer: that it was low is why it is here.
    """
    chosen = {a.id for a, role in zip(dear.archs, dear.roles, strict=True) if role in AGAIN}
    return {
        key: table.first_seed(key) if key in chosen else min(seeds) for key, seeds in table.curves.items()
    }


def _fewer(people: Sequence[float] | None, share: int) -> float:
    """Mean error of every `share`-th validation person."""
    return float(np.mean(people[::share])) if people else math.nan


def _counts(archs: Sequence[ArchSpec]) -> list[View]:
    """What can be counted, more taken for better."""
    counted: dict[str, Callable[[ArchSpec], float]] = {
        "multiply-adds": lambda a: a.macs(),
        "parameters": lambda a: a.params(),
        "activations": lambda a: a.activations(),
        "few blocks": lambda a: -sum(a.depths),
    }
    return [View(name, -np.array([get(a) for a in archs], dtype=float), 0.0) for name, get in counted.items()]


def _untrained(found: Sequence[Mapping[str, float]]) -> list[View]:
    """Scores that some or all architectures have; `seconds` is what they cost where that is told."""
    names = dict.fromkeys(name for each in found for name in each if name not in (SECONDS, LATENCY))
    told = [each[SECONDS] for each in found if SECONDS in each]
    cost = float(np.mean(told)) if told else 0.0
    views = [View(name, -np.array([each.get(name, math.nan) for each in found]), cost) for name in names]
    if any(LATENCY in each for each in found):
        latency = np.array([each.get(LATENCY, math.nan) for each in found])
        views.append(View("short latency", latency, 0.0))
    return views


def judge(view: View, dear: ArrayLike, rng: np.random.Generator, resamples: int = RESAMPLES) -> Judged:
    """Tau and regrets of a view with their bootstrap over architectures."""
    kept = np.isfinite(view.values)
    every = np.asarray(dear, dtype=np.float64)
    cheap, dear, missed = view.values[kept], every[kept], every[~kept].min(initial=math.inf)
    picks = rng.integers(0, len(cheap), (resamples, len(cheap)))
    taus = [tau(cheap[at], dear[at]) for at in picks]
    different = [np.unique(at) for at in picks]
    regrets = []
    for k in KEPT:
        spread = [
            regret(cheap[at], dear[at], max(1, round(k * len(at) / len(cheap))), missed) for at in different
        ]
        regrets.append((regret(cheap, dear, k, missed), *_ends(spread)))
    return Judged(view, len(cheap), (tau(cheap, dear), *_ends(taus)), tuple(regrets))


def _ends(values: Sequence[float]) -> tuple[float, float]:
    known = np.asarray(values)[np.isfinite(values)]
    if not len(known):
        return math.nan, math.nan
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)


def tau(cheap: Floats, dear: Floats) -> float:
    """Kendall's tau-b; NaN where one of them is constant."""
    from scipy.stats import kendalltau

    if np.ptp(cheap) == 0 or np.ptp(dear) == 0:
        return math.nan
    return float(kendalltau(cheap, dear).statistic)


def regret(cheap: Floats, dear: Floats, k: int, missed: float = math.inf) -> float:
    """What the best of the k favourites of `cheap` lies above the best of all, one that it `missed` too."""
    favourites = np.argsort(cheap, kind="stable")[:k]
    return float(dear[favourites].min() - min(dear.min(), missed))


def by_chance(dear: Floats, k: int) -> float:
    """Expected regret@k of an order by chance.

    The i-th best of n is the best of k with the probability C(n - i, k - 1) / C(n, k).
    """
    n, k = len(dear), min(k, len(dear))
    weight = [math.comb(n - i, k - 1) / math.comb(n, k) for i in range(1, n + 1)]
    return float(np.dot(weight, np.sort(dear)) - dear.min())


def ceiling(
    dear: Floats, counts: NDArray[np.int64], noise: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Expected tau of the dear measure with the truth, and with one other run of itself.

    The architectures' own spread is what is left of the dear measure's after the noise; errors without
    noise are drawn with it about the mean, and measured twice. 0 where nothing is left of the spread.
    """
    if not math.isfinite(noise):
        return math.nan, math.nan
    own = math.sqrt(max(0.0, float(dear.var(ddof=1)) - float(np.mean(noise**2 / counts))))
    if own == 0:
        return 0.0, 0.0
    found = []
    for _ in range(1_000):
        truth = rng.normal(0, own, len(dear))
        first = truth + rng.normal(0, 1, len(dear)) * noise / np.sqrt(counts)
        found.append((tau(truth, first), tau(first, truth + rng.normal(0, noise, len(dear)))))
    known, again = np.mean(found, axis=0)
    return float(known), float(again)
