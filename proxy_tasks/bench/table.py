"""The complete runs of a table at one length, by architecture: curves, seed noise, seconds.

Runs of one architecture differ by their seed alone, so what they deviate from their own mean is the noise,
the whole curve at a time: an error early in a run and one at its end go together. A part of it is the
seed's own and falls on every architecture that is run with it (proxy_tasks/blocks.py): it is taken out of the
means, so that architectures that were run with unlike seeds can be compared, and what is left is the noise
between runs of one seed. The run by which an architecture was chosen to be run again was lucky, and tells of
neither. A seed's effect is known where two architectures that were run again share it; any other counts as 0,
so the single runs of a table, all of one seed, may lie higher or lower together by what seeds do.

What disturbs a time makes it longer (other work, a pause), so a run counts as its intervals times the least
of them, and of several runs the least counts. tests/test_bench_table.py
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from proxy_tasks.bench.rows import Row
from proxy_tasks.blocks import Blocks, fit
from space.arch import ArchSpec

SCORE = "l_error_mm"
CONTROL = "control"
UNIFORM = "uniform"  # what an architecture is once it was drawn, whatever it was run for later
PROPOSAL = "proposal"  # of a search's strategy
CANDIDATE = "candidate"  # of a run on fresh seeds: proxy_tasks/bench/confirm.py
FIRST = {UNIFORM, PROPOSAL}  # runs by which architectures are chosen
AGAIN = {CANDIDATE, "repeat"}  # runs of those that were; a search calls its own repeats
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RunTable:
    """n architectures, in the order of the rows; v validations of a run."""

    proxy: str
    data: str
    length: float
    archs: tuple[ArchSpec, ...]
    roles: tuple[str, ...]
    curves: dict[str, dict[int, Floats]]  # by architecture's id and seed: (v,) mm
    chosen_by: frozenset[tuple[str, int]]  # runs by which someone was chosen: lucky ones, and no fair sample
    epochs: Floats  # (v,)
    seconds: Floats  # (n,) of a whole undisturbed run

    @classmethod
    def of(cls, rows: Iterable[Row], length: float = 1.0) -> RunTable:
        """ValueError where no run is complete at `length`, or runs of two proxies or data sets are mixed."""
        rows = list(rows)
        done = _whole(r for r in rows if r["length"] == length and is_complete(r))
        if not done:
            lengths = sorted({r["length"] for r in rows if is_complete(r)})
            there = ", ".join(f"{each:g}" for each in lengths) or "none"
            raise ValueError(f"the table has no complete run of {length:g} times its proxy's length: {there}")
        for name in ("proxy", "data"):
            if len(kinds := sorted({r[name] for r in done})) > 1:
                raise ValueError(f"the table mixes runs of different {name}: {', '.join(kinds)}")
        archs: dict[str, ArchSpec] = {}
        roles: dict[str, list[str]] = {}
        for r in done:
            arch = ArchSpec.from_dict(r["arch"])
            archs[arch.id] = arch
            roles.setdefault(arch.id, []).append(r["role"])
        if len(blocks := sorted({arch.block for arch in archs.values()})) > 1:
            raise ValueError(f"the table mixes blocks: {', '.join(blocks)}")
        order = list(archs)
        chosen = {key for key in order if FIRST & set(roles[key]) and AGAIN & set(roles[key])}
        chosen_by = set()
        curves: dict[str, dict[int, Floats]] = {key: {} for key in order}
        seconds: dict[str, list[float]] = {key: [] for key in order}
        for r in done:
            key = ArchSpec.from_dict(r["arch"]).id
            curves[key][r["seed"]] = np.array([point[SCORE] for point in r["curve"]], dtype=np.float64)
            seconds[key].append(_undisturbed(r))
            if key in chosen and r["role"] in FIRST:
                chosen_by.add((key, r["seed"]))
        return cls(
            proxy=done[0]["proxy"],
            data=done[0]["data"],
            length=length,
            archs=tuple(archs[key] for key in order),
            roles=tuple(_origin(roles[key]) for key in order),
            curves=curves,
            chosen_by=frozenset(chosen_by),
            epochs=np.array([point["epochs"] for point in done[0]["curve"]]),
            seconds=np.array([min(seconds[key]) for key in order]),
        )

    @property
    def rows(self) -> NDArray[np.int64]:
        """(n, 8) depths and widths."""
        return np.array([[*a.depths, *a.widths] for a in self.archs], dtype=np.int64)

    @cached_property
    def blocks(self) -> Blocks | None:
        """What each seed does to all architectures; None where no two have two seeds in common."""
        return fit((key, seed, curve) for key, runs in self._fair().items() for seed, curve in runs.items())

    def _fair(self) -> dict[str, dict[int, Floats]]:
        """The curves of runs that nobody was chosen by."""
        return {
            key: {seed: curve for seed, curve in runs.items() if (key, seed) not in self.chosen_by}
            for key, runs in self.curves.items()
        }

    def first_seed(self, arch: str) -> int:
        """The first by which an architecture was not chosen; the first of all where there is no other."""
        return min(self._fair()[arch] or self.curves[arch])

    def effect(self, seed: int) -> Floats:
        """(v,) mm that a seed adds to every architecture's curve; 0 where that is not known."""
        known = self.blocks.effects if self.blocks else {}
        return known.get(seed, np.zeros(len(self.epochs)))

    @cached_property
    def means(self) -> Floats:
        """(n, v) mean curve of each architecture, mm, what its seeds do to all taken out."""
        return np.array(
            [
                np.mean([v - self.effect(seed) for seed, v in self.curves[a.id].items()], axis=0)
                for a in self.archs
            ]
        )

    @property
    def counts(self) -> NDArray[np.int64]:
        """(n,) seeds of each architecture."""
        return np.array([len(self.curves[a.id]) for a in self.archs])

    def deviations(self) -> Floats:
        """(m, v) what each run of several deviates from its architecture's mean, scaled to one run.

        What its seed does to all is taken out.
        """
        if self.blocks:
            left = self.blocks.residuals
            return left * math.sqrt(len(left) / self.blocks.freedom)
        found = [_deviations(list(each.values())) for each in self._fair().values() if len(each) > 1]
        return np.concatenate(found) if found else np.zeros((0, len(self.epochs)))

    def seed_effects(self) -> Floats:
        """(seeds, v) what seeds add to all, with the variance that is the seeds' own: less what runs add."""
        if not self.blocks:
            return np.zeros((0, len(self.epochs)))
        effects = np.array(list(self.blocks.effects.values()))
        seen = float(effects[:, -1].std())
        own = max(0.0, self.seed_sd()[0] ** 2 - self.run_sd()[0] ** 2)
        return effects * (math.sqrt(own) / seen if seen else 0.0)

    def seed_sd(self) -> tuple[float, int]:
        """Standard deviation from seed to seed of the final error, mm, pooled; and its degrees of freedom."""
        several = [c for c in self._fair().values() if len(c) > 1]
        freedom = sum(len(c) - 1 for c in several)
        if not freedom:
            return math.nan, 0
        squares = sum(np.var([v[-1] for v in c.values()]) * len(c) for c in several)
        return float(np.sqrt(squares / freedom)), freedom

    def run_sd(self) -> tuple[float, int]:
        """The same between runs of one seed: how far single runs of a table can be trusted.

        That from seed to seed where no two architectures have two seeds in common.
        """
        return (self.blocks.sd_mm, self.blocks.freedom) if self.blocks else self.seed_sd()

    def own_sd(self) -> float:
        """Standard deviation between the uniform draws themselves, mm: their spread less what runs add.

        By moments, 0 where seeds alone would spread them as much. ValueError below two draws or without a
        repeated run.
        """
        ends, seeds = self._drawn()
        return math.sqrt(max(0.0, float(ends.var(ddof=1) - seeds.mean())))

    def shrunken(self) -> Floats:
        """(n,) final error of each architecture, mm, drawn towards the draws' mean as far as it is noise.

        Empirical Bayes: normal errors about a normal population. ValueError as own_sd.
        """
        ends, _ = self._drawn()
        own, seeds = self.own_sd() ** 2, self.run_sd()[0] ** 2 / self.counts
        weight = np.divide(own, own + seeds, out=np.ones_like(seeds), where=own + seeds > 0)
        shrunk: Floats = weight * self.means[:, -1] + (1 - weight) * ends.mean()
        return shrunk

    def ranking(self) -> NDArray[np.int64]:
        """(n,) the architectures by shrunken error; by what was seen where shrinking leaves no difference."""
        return np.lexsort((self.means[:, -1], self.shrunken().round(9)))

    def _drawn(self) -> tuple[Floats, Floats]:
        """Final errors of the uniform draws, and the variance that the noise of runs adds to each."""
        noise, freedom = self.run_sd()
        drawn = np.array([role == UNIFORM for role in self.roles])
        if drawn.sum() < 2 or not freedom:
            raise ValueError("shrinking needs two uniform draws and a repeated run or more")
        return self.means[drawn, -1], noise**2 / self.counts[drawn]


def _origin(roles: Sequence[str]) -> str:
    """What an architecture is by the roles of its runs: the control, a draw or a proposal stays that."""
    return next((each for each in (CONTROL, UNIFORM, PROPOSAL) if each in roles), roles[0])


def _whole(rows: Iterable[Row]) -> list[Row]:
    """Without those that lack a validation of the others: a search keeps none that was not finite."""
    rows = list(rows)
    most = max((len(r["curve"]) for r in rows), default=0)
    return [r for r in rows if len(r["curve"]) == most]


def is_complete(row: Row) -> bool:
    """Whether it is a whole run of one network: an ensemble's has no curve."""
    value = row.get(SCORE)
    whole = row.get("status") == "complete" and value is not None and math.isfinite(value)
    return whole and bool(row["curve"])


def _undisturbed(row: Row) -> float:
    """Seconds of a run: of its intervals, which are equally many steps, the least counts for each.

    A search's rows have no seconds of their intervals, and count as they are.
    """
    intervals = [float(point["seconds"]) for point in row["curve"] if "seconds" in point]
    return len(intervals) * min(intervals) if intervals else float(row["seconds"])


def _deviations(curves: Sequence[Floats]) -> Floats:
    values = np.array(curves)
    return (values - values.mean(axis=0)) * math.sqrt(len(values) / (len(values) - 1))
