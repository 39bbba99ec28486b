"""Candidates against the control on fresh seeds: the runs that decide, and what they say.

Nothing was chosen by these seeds, nor by the test people that they are scored on. Gains are differences of
mean errors with Dunnett's simultaneous intervals, the runs as units; or, where a plan says so, means of the
differences of runs with one seed, which see the same samples in the same order, with Student's intervals
(Bonferroni's for several candidates). tests/test_proxy_confirm.py
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from proxy_tasks.bench.rows import Row
from proxy_tasks.bench.run import Entry
from proxy_tasks.bench.table import CANDIDATE, Floats
from proxy_tasks.proxy import Proxy
from space import ArchSpec

FIRST_SEED = 1000
SCORE = "test_l_error_mm"
FEWEST = 8
FEWEST_PAIRS = 4  # with fewer there is no correlation to speak of


@dataclass(frozen=True, slots=True)
class Gain:
    """How much less a candidate's mean error is than the control's, mm, with its simultaneous interval."""

    arch: ArchSpec
    runs: int
    mean_mm: float
    sd_mm: float
    gain_mm: float
    low_mm: float
    high_mm: float


@dataclass(frozen=True, slots=True)
class ConfirmPlan:
    """`runs` runs each of the control and of the candidates, at `length` times the recipe's.

    `level` is the chance that all intervals hold at once. Where the number of runs was `fixed` before them,
    fewer decide nothing: who looks on the way and stops when it suits him is wrong more often than he says.
    """

    proxy: Proxy
    control: ArchSpec
    candidates: tuple[ArchSpec, ...]
    runs: int = FEWEST
    length: float = 1.0
    level: float = 0.95
    first_seed: int = FIRST_SEED
    paired: bool = False  # by seed
    fixed: bool = True  # else as many as there is time for, `runs` at most

    def of(self, named: Iterable[ArchSpec]) -> ConfirmPlan:
        """The same of these candidates, if any; ValueError where there is none then."""
        found = tuple(dict.fromkeys(arch for arch in named if arch != self.control)) or self.candidates
        if not found:
            raise ValueError("there is nobody to compare with the control: name --candidates")
        return replace(self, candidates=found)

    def entries(self) -> Iterator[Entry]:
        """Every run, seed by seed, so that what is there at any moment can be compared."""
        for seed in range(self.first_seed, self.first_seed + self.runs):
            for arch in (self.control, *self.candidates):
                role = "control" if arch == self.control else CANDIDATE
                yield Entry(arch, role, seed, self.proxy, self.length)

    def text(self, rows: Iterable[Row]) -> str:
        """One line a network; a sentence where a network has fewer than two runs."""
        rows = list(rows)
        found = self.gains(rows)
        if not found:
            there = self._scores(rows)
            others = ", ".join(str(len(there[arch.id])) for arch in self.candidates)
            counts = f"{len(there[self.control.id])} of the control, {others}"
            return f"too few runs to compare ({counts} of the candidates): two of each at least"
        lost, scores = self._lost(rows), self._compared(rows)
        control = scores[self.control.id]
        kind = "pairs" if self.paired else "runs of each"
        early = "they decide nothing before all have" if self.is_unfinished(rows) else ""
        lines = [
            *([f"{lost} of its runs diverged and are left out"] if lost else []),
            *(
                [f"unfinished: {self.ended(rows)} of {self.runs} {kind} have ended, and {early}"]
                if early
                else []
            ),
            f"L_error on the test people, mm, at x{self.length:g}; gains over the control"
            f"{' by pairs of one seed' if self.paired else ''} hold together with {self.level:.1%}",
            f"{'control':<10}{self.control.id:<36}{len(control):>3} runs {_mean_sd(control)}",
        ]
        for gain in found:
            interval = f"gain {gain.gain_mm:+.2f} ({gain.low_mm:+.2f} to {gain.high_mm:+.2f})"
            score = f"{gain.runs:>3} runs {gain.mean_mm:.2f} ± {gain.sd_mm:.2f}"
            lines.append(f"{'candidate':<10}{gain.arch.id:<36}{score}   {interval}")
            if self.paired and gain.runs >= FEWEST_PAIRS:
                lines.append(f"{'':<10}{pairing(control, scores[gain.arch.id])}")
        return "\n".join(lines)

    def is_unfinished(self, rows: Iterable[Row]) -> bool:
        """Whether runs are still to come before these decide anything."""
        return self.fixed and self.ended(rows) < self.runs

    def ended(self, rows: Iterable[Row]) -> int:
        """Runs that every network has; or pairs."""
        return min(map(len, self._compared(rows).values()))

    def gains(self, rows: Iterable[Row]) -> list[Gain]:
        """Each candidate's; none where a network has fewer than two runs (or pairs) yet."""
        listed = self._compared(rows)
        control = listed.pop(self.control.id)
        if not listed or min(map(len, (control, *listed.values()))) < 2:
            return []
        return (paired_gains if self.paired else gains)(control, listed, self.candidates, self.level)

    def _compared(self, rows: Iterable[Row]) -> dict[str, list[float]]:
        """Scores by architecture's id, mm; of pairs, those of the seeds that all were run with, in order."""
        scores = self._scores(rows)
        if self.paired:
            both = set.intersection(*(set(each) for each in scores.values()))
            scores = {arch: {s: each[s] for s in sorted(both)} for arch, each in scores.items()}
        return {arch: list(each.values()) for arch, each in scores.items()}

    def _scores(self, rows: Iterable[Row]) -> dict[str, dict[int, float]]:
        """By architecture's id and seed, mm."""
        planned = {entry.key: entry for entry in self.entries()}
        scores: dict[str, dict[int, float]] = {arch.id: {} for arch in (self.control, *self.candidates)}
        ours = [row for row in rows if row["key"] in planned and math.isfinite(row.get(SCORE) or math.nan)]
        for name in ("data", "test_data"):
            if len(kinds := sorted({str(row[name]) for row in ours if name in row})) > 1:
                raise ValueError(
                    f"its runs are of different {name} and cannot be compared: {', '.join(kinds)}"
                )
        for row in ours:
            entry = planned[row["key"]]
            scores[entry.arch.id][entry.seed] = row[SCORE]
        return scores

    def _lost(self, rows: Iterable[Row]) -> int:
        planned = {entry.key for entry in self.entries()}
        return sum(row["key"] in planned and row.get("status", "complete") != "complete" for row in rows)


def gains(
    control: list[float],
    scores: dict[str, list[float]],
    candidates: Iterable[ArchSpec],
    level: float = 0.95,
) -> list[Gain]:
    """Each candidate's gain by its runs' scores (mm, by architecture id; two or more of each)."""
    order = list(scores)
    low, high = _dunnett(control, list(scores.values()), level)
    return [
        Gain(
            arch=arch,
            runs=len(scores[arch.id]),
            mean_mm=float(np.mean(scores[arch.id])),
            sd_mm=float(np.std(scores[arch.id], ddof=1)),
            gain_mm=float(np.mean(control) - np.mean(scores[arch.id])),
            low_mm=-float(high[order.index(arch.id)]),
            high_mm=-float(low[order.index(arch.id)]),
        )
        for arch in candidates
    ]


def _dunnett(control: list[float], others: list[list[float]], level: float) -> tuple[Floats, Floats]:
    """Ends of Dunnett's intervals of the others' means less the control's; of one alone they are Student's.

    scipy searches them by a noisy integral, and of few runs of one it does not always find them.
    """
    from scipy.stats import dunnett, ttest_ind

    found = (
        ttest_ind(others[0], control).confidence_interval(level)
        if len(others) == 1
        else dunnett(*others, control=control, rng=np.random.default_rng(0)).confidence_interval(level)
    )
    return np.atleast_1d(found.low), np.atleast_1d(found.high)


def paired_gains(
    control: list[float],
    scores: dict[str, list[float]],
    candidates: Iterable[ArchSpec],
    level: float = 0.95,
) -> list[Gain]:
    """As `gains`, where the n-th scores of all are of runs with one seed."""
    from scipy.stats import t

    reach = t.ppf(1 - (1 - level) / (2 * len(scores)), len(control) - 1)
    found = []
    for arch in candidates:
        theirs = np.array(scores[arch.id])
        differences = np.array(control) - theirs
        gain, half = differences.mean(), reach * differences.std(ddof=1) / len(differences) ** 0.5
        found.append(
            Gain(
                arch=arch,
                runs=len(theirs),
                mean_mm=float(theirs.mean()),
                sd_mm=float(theirs.std(ddof=1)),
                gain_mm=float(gain),
                low_mm=float(gain - half),
                high_mm=float(gain + half),
            )
        )
    return found


def pairing(control: Sequence[float], candidate: Sequence[float]) -> str:
    """What running both with one seed is worth, from the n-th scores of both, mm."""
    theirs = np.array([control, candidate])
    apart, together = theirs.var(axis=1, ddof=1).sum(), np.subtract(*theirs).var(ddof=1)
    needed = [runs_needed(math.sqrt(variance / 2)) for variance in (apart, together)]
    return (
        f"errors of one seed go together with a correlation of {np.corrcoef(theirs)[0, 1]:.2f}; a difference "
        f"has {together / apart:.2f} of the variance of two seeds' (0.5 mm: {needed[0]} runs of each, "
        f"{needed[1]} pairs)"
    )


def runs_needed(seed_sd_mm: float, gain_mm: float = 0.5) -> int:
    """Runs of each side that show a gain with power 0.8 at 5 % (two-sided, normal), FEWEST at least.

    Of pairs: that of the seed noise whose differences vary as theirs do, over the square root of 2.
    """
    return max(FEWEST, math.ceil(2 * (1.959964 + 0.841621) ** 2 * seed_sd_mm**2 / gain_mm**2))


def _mean_sd(values: list[float]) -> str:
    return f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}"
