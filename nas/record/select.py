"""What a search found, with its error bars: the best architectures, the control, and who is tied.

Two runs of one architecture differ by their seeds, and near the best that
difference is as large as the one between architectures. So nothing is said
from single runs. With n_a runs y_a of architecture a at one fidelity,

    s^2 = sum_a (n_a - 1) s_a^2 / nu,   nu = sum_a (n_a - 1)        the pooled seed noise

over every architecture that was run again there, in this search or before it (the role
`known`: nas/search/known.py), and who may be the best is told by
comparisons with the best (nas/record/best.py): the set holds the truly best of the
compared architectures with probability 0.95 at least. Those that were run again judge;
a single run can be judged, and judges only where the best has no more. The ends of the
gain over the control are the same comparisons turned round: its low end lies above 0
exactly where the best rules the control out, its high end below 0 where the control
rules out the best, and each holds with 95 %.

The run that made an architecture a finalist was the luckiest of many and is left out of
its mean: only re-runs count (the winner's curse). The chance to be best counts every
run, and shrinks instead.
tests/test_record_select.py checks the claims by simulation.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nas.record import best as among
from nas.record.store import TrialRecord
from nas.record.verdict import sentence
from space import ArchSpec

ALPHA = among.ALPHA


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

    @property
    def mean(self) -> float:
        """Mean of `values`, mm."""
        return statistics.fmean(self.values)

    @property
    def spread(self) -> float | None:
        """Standard deviation between its own seeds; None for one run."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True, slots=True)
class Selection:
    """The answer of a search. `winner` is named only where it stands alone."""

    best: Estimate | None  # of the proposals: lowest mean, re-run ones first
    winner: Estimate | None  # the best, where nothing else is tied with it
    interval: tuple[float, float] | None  # 95 % of the best's mean, mm
    control: Estimate | None
    gain: tuple[float, float, float] | None  # control minus best and its 95 % bounds, mm
    noise_sd_mm: float | None
    tied: tuple[ArchSpec, ...]  # with the best, itself first; the control where it is among them
    control_is_tied: bool
    rows: tuple[Estimate, ...]  # every architecture that completed, ranked; the control among them
    verdict: str
    chances: dict[str, float] = field(default_factory=dict)  # of being the best, by id; {} for no noise known


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


def tied_with_best(rows: Sequence[Estimate], noise: Noise | None, alpha: float = ALPHA) -> list[Estimate]:
    """Those of `rows` that may be the best; all of them where the noise is unknown."""
    if noise is None:
        return list(rows)
    means, counts = [e.mean for e in rows], [len(e.values) for e in rows]
    may = among.may_be_best(means, counts, _judges(rows), noise.sd_mm, noise.freedom, alpha)
    return [e for e, can in zip(rows, may, strict=True) if can]


def _judges(rows: Sequence[Estimate]) -> list[bool]:
    """Who can rule another out: what was run again, or everybody where no proposal was."""
    again = any(e.rerun and e.role != "control" for e in rows)
    return [e.rerun or not again for e in rows]


def margin(a: Estimate, b: Estimate, rows: Sequence[Estimate], noise: Noise, alpha: float = ALPHA) -> float:
    """What mean_a - mean_b must exceed for b to rule a out among `rows`; mm."""
    judges = [e for e, can in zip(rows, _judges(rows), strict=True) if can and e is not a]
    counts = [len(e.values) for e in (judges if b in judges else [*judges, b])]
    d = among.critical(len(a.values), counts, noise.freedom, alpha)
    return d * noise.sd_mm * math.sqrt(1 / len(a.values) + 1 / len(b.values))


def estimates(records: Iterable[TrialRecord], fidelity: str) -> list[Estimate]:
    """One estimate for each architecture with a complete run at `fidelity`, best first, re-run ones ahead."""
    groups: dict[str, list[TrialRecord]] = {}
    for record in records:
        if record.state == "complete" and record.fidelity == fidelity:
            groups.setdefault(record.arch.id, []).append(record)
    found = [_estimate(group) for group in groups.values()]
    return sorted(found, key=lambda e: (not e.rerun, e.mean, e.arch.id))


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


def final_fidelity(records: Sequence[TrialRecord]) -> str | None:
    """The fidelity that decides: the longest at which control and proposals were re-run, else the proposals'.

    A longer race decides once all that the first left tied have run there, or failed there: before, those
    that have not would drop out of the answer unheard.
    """
    done = [r for r in records if r.state == "complete"]
    proposed = [r.fidelity for r in done if r.role == "proposal"]
    controls = {r.fidelity for r in done if r.role == "control"}
    again = [r for r in done if r.role == "repeat" and r.fidelity in controls]
    if not again:
        known = proposed or [r.fidelity for r in done]
        return known[-1] if known else None
    longest = max(reversed(again), key=_epochs).fidelity
    base = proposed[-1] if proposed else longest
    waiting = _tied_when_rerun(done, base) - {r.arch.id for r in records if _has_ended(r, longest)}
    return base if longest != base and waiting else longest


def _epochs(record: TrialRecord) -> float:
    return record.curve[-1][0] if record.curve else 0.0


def _has_ended(record: TrialRecord, fidelity: str) -> bool:
    return record.role == "repeat" and record.fidelity == fidelity and record.state in ("complete", "failed")


def _tied_when_rerun(done: Sequence[TrialRecord], fidelity: str) -> set[str]:
    """Ids of the proposals that their re-runs at `fidelity` have not shown to be worse than the best."""
    again = [r for r in done if r.role == "repeat" and r.fidelity == fidelity]
    noise = pooled_noise(seed_groups(done, fidelity))
    return {e.arch.id for e in tied_with_best(estimates(again, fidelity), noise)}


ONLY_THE_CONTROL = (
    "the only architecture that was proposed and completed is the control itself, so there is nothing to "
    "compare it with: raise --trials"
)


def select(records: Sequence[TrialRecord], fidelity: str | None = None) -> Selection:
    """Read the answer off the records alone."""
    fidelity = fidelity or final_fidelity(records)
    rows = estimates(records, fidelity) if fidelity else []
    noise = pooled_noise(seed_groups(records, fidelity))
    control = next((e for e in rows if e.role == "control"), None)
    best = next((e for e in rows if e.role != "control"), None)
    if best is None:
        sd = noise.sd_mm if noise else None
        proposed = any(r.role == "proposal" and r.state == "complete" for r in records)
        verdict = ONLY_THE_CONTROL if proposed else "no proposal has completed yet"
        return Selection(None, None, None, control, None, sd, (), False, tuple(rows), verdict)
    members = _members(tied_with_best(rows, noise), best, control)
    alone = noise is not None and members == [best]
    return Selection(
        best=best,
        winner=best if alone else None,
        interval=_interval(best, noise),
        control=control,
        gain=_gain(best, control, rows, noise),
        noise_sd_mm=noise.sd_mm if noise else None,
        tied=tuple(e.arch for e in members),
        control_is_tied=control in members,
        rows=tuple(rows),
        verdict=sentence(best, control, noise.sd_mm if noise else None, members),
        chances=_chances(rows, noise),
    )


def _members(tied: Sequence[Estimate], best: Estimate, control: Estimate | None) -> list[Estimate]:
    """The tied in the order in which they are told: the best, others, and the control, which may lead."""
    proposals = sorted((e for e in tied if e.role != "control"), key=lambda e: e is not best)
    if control is None or control not in tied:
        return proposals
    leads = all(control.mean < e.mean for e in tied if e.rerun and e is not control)
    return [control, *proposals] if leads else [*proposals, control]


def _chances(rows: Sequence[Estimate], noise: Noise | None) -> dict[str, float]:
    if noise is None:
        return {}
    every = [e.every for e in rows]
    drawn = [e.role != "control" for e in rows]
    means, counts = [statistics.fmean(v) for v in every], [len(v) for v in every]
    found = among.chances(means, counts, drawn, noise.sd_mm, noise.freedom)
    return {e.arch.id: float(chance) for e, chance in zip(rows, found, strict=True)}


def seed_groups(records: Iterable[TrialRecord], fidelity: str | None) -> list[list[float]]:
    """Runs that differ by their seed alone: re-runs, and what was known before, by architecture.

    A first run is no fair draw: being low is why it was re-run.
    """
    groups: dict[tuple[str, bool], list[float]] = {}
    for r in records:
        if r.fidelity == fidelity and r.role != "proposal" and r.l_error_mm is not None:
            groups.setdefault((r.arch.id, r.role == "known"), []).append(r.l_error_mm)
    return list(groups.values())


def _interval(best: Estimate, noise: Noise | None) -> tuple[float, float] | None:
    if noise is None:
        return None
    half = t_quantile(1 - ALPHA / 2, noise.freedom) * noise.sd_mm / math.sqrt(len(best.values))
    return best.mean - half, best.mean + half


def _gain(
    best: Estimate, control: Estimate | None, rows: Sequence[Estimate], noise: Noise | None
) -> tuple[float, float, float] | None:
    if control is None or noise is None:
        return None
    gain = control.mean - best.mean
    return gain, gain - margin(control, best, rows, noise), gain + margin(best, control, rows, noise)
