"""What a run directory's records say of each architecture: runs, mean, spread, and the noise of seeds.

With n_a runs y_a of architecture a at one fidelity,

    s^2 = sum_a (n_a - 1) s_a^2 / nu,   nu = sum_a (n_a - 1)        the pooled seed noise

over every architecture that was run again there, in this search or before it (the role
`known`: nas/search/known.py).

The run that made an architecture a finalist was the luckiest of many and is left out of
its mean: only re-runs count (the winner's curse).
tests/test_record_select.py
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nas.record.store import TrialRecord
from space import ArchSpec


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviation between seeds, pooled over architectures, and its degrees of freedom."""

    sd_mm: float
    freedom: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """An architecture's L_error at one fidelity, millimetres."""

    arch: ArchSpec
    name: str
    macs: int
    fidelity: str
    role: str  # "control" or "proposal"
    values: tuple[float, ...]  # what the mean is of: re-runs where there are any, else the one run
    rerun: bool
    every: tuple[float, ...] = ()  # of all its runs, the lucky one that made it a finalist among them
    params: int = 0
    activations: int = 0
    level: float | None = None  # at the average seed, mm, where common seeds compare (nas/record/compare.py)

    @property
    def mean(self) -> float:
        """Its error, mm: the mean of `values`, less what their seeds do to all where that is known."""
        return statistics.fmean(self.values) if self.level is None else self.level

    @property
    def mean_of_all(self) -> float:
        """Of all its runs, mm."""
        return statistics.fmean(self.every or self.values)

    @property
    def spread(self) -> float | None:
        """Standard deviation between its own seeds; None for one run."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


def pooled_noise(groups: Iterable[Sequence[float]]) -> Noise | None:
    """Seed noise from groups of runs that differ by their seed alone; None where no group has two."""
    groups = [g for g in groups if len(g) > 1]
    freedom = sum(len(g) - 1 for g in groups)
    if not freedom:
        return None
    squares = sum(statistics.variance(g) * (len(g) - 1) for g in groups)
    return Noise(math.sqrt(squares / freedom), freedom)


def t_quantile(probability: float, freedom: int) -> float:
    """Quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


def estimates(records: Iterable[TrialRecord], fidelity: str) -> list[Estimate]:
    """One estimate for each architecture with a complete run at `fidelity`, best first, re-run ones ahead."""
    groups: dict[str, list[TrialRecord]] = {}
    for record in records:
        if record.state == "complete" and record.fidelity == fidelity:
            groups.setdefault(record.arch.id, []).append(record)
    return ranked(_estimate(group) for group in groups.values())


def ranked(rows: Iterable[Estimate]) -> list[Estimate]:
    """Best first, re-run ones ahead."""
    return sorted(rows, key=lambda e: (not e.rerun, e.mean, e.arch.id))


def _estimate(group: list[TrialRecord]) -> Estimate:
    is_control = any(r.role == "control" for r in group)
    fair = ("control", "repeat", "known") if is_control else ("control", "repeat")
    again = [r for r in group if r.role in fair]
    first, used = group[0], again or group
    name = next((r.name for r in group if r.name), "")
    values = tuple(float(r.l_error_mm) for r in used if r.l_error_mm is not None)
    role = "control" if is_control else "proposal"
    every = tuple(float(r.l_error_mm) for r in group if r.l_error_mm is not None)
    return Estimate(
        first.arch,
        name,
        first.macs,
        first.fidelity,
        role,
        values,
        bool(again),
        every,
        first.params,
        first.activations,
    )


def seed_groups(records: Iterable[TrialRecord], fidelity: str | None) -> list[list[float]]:
    """Runs that differ by their seed alone: re-runs, and what was known before, by architecture.

    A first run is no fair draw: being low is why it was re-run.
    """
    groups: dict[tuple[str, bool], list[float]] = {}
    for r in records:
        if r.fidelity == fidelity and r.role != "proposal" and r.l_error_mm is not None:
            groups.setdefault((r.arch.id, r.role == "known"), []).append(r.l_error_mm)
    return list(groups.values())
