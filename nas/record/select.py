"""What a search found, with its error bars: the best architectures, the control, and who is tied.

Two runs of one architecture differ by their seeds, and near the best that
difference is as large as the one between architectures. So nothing is said
from single runs. With n_a runs y_a of architecture a at one fidelity,

    s^2 = sum_a (n_a - 1) s_a^2 / nu,   nu = sum_a (n_a - 1)        the pooled seed noise
    a is tied with the best b  where  mean_a - mean_b <= t(nu, 1 - alpha / 2k) s sqrt(1/n_a + 1/n_b)

for k comparisons (Bonferroni), alpha 0.05: a subset selection that holds the
truly best of the compared architectures with probability 1 - alpha at least
(Gupta 1965; Hsu 1984). The interval of the gain over the control is the same test
turned round, so it covers 0 exactly where the two cannot be told apart. The run
that made an architecture a finalist was the luckiest of many and is left out of its
mean: only re-runs count (the winner's curse).
tests/test_record_select.py checks both claims by simulation.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nas.record.store import TrialRecord
from space import ArchSpec

ALPHA = 0.05


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
    gain: tuple[float, float, float] | None  # control minus best and its simultaneous 95 % interval, mm
    noise_sd_mm: float | None
    tied: tuple[ArchSpec, ...]  # with the best, itself first; the control where it is among them
    control_is_tied: bool
    rows: tuple[Estimate, ...]  # every architecture that completed, ranked; the control among them
    verdict: str


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


def tied_with_best(
    estimates: Sequence[Estimate], best: Estimate, noise: Noise | None, alpha: float = ALPHA
) -> list[Estimate]:
    """Those of `estimates` that cannot be told from `best`; all of them where the noise is unknown."""
    if noise is None:
        return list(estimates)
    half = [margin(e, best, noise, len(estimates) - 1, alpha) for e in estimates]
    return [e for e, h in zip(estimates, half, strict=True) if e is best or e.mean - best.mean <= h]


def margin(a: Estimate, b: Estimate, noise: Noise, comparisons: int, alpha: float = ALPHA) -> float:
    """Half the width of the interval of mean_a - mean_b, simultaneous over so many comparisons."""
    critical = t_quantile(1 - alpha / (2 * max(1, comparisons)), noise.freedom)
    return critical * noise.sd_mm * math.sqrt(1 / len(a.values) + 1 / len(b.values))


def estimates(records: Iterable[TrialRecord], fidelity: str) -> list[Estimate]:
    """One estimate for each architecture with a complete run at `fidelity`, best first, re-run ones ahead."""
    groups: dict[str, list[TrialRecord]] = {}
    for record in records:
        if record.state == "complete" and record.fidelity == fidelity:
            groups.setdefault(record.arch.id, []).append(record)
    found = [_estimate(group) for group in groups.values()]
    return sorted(found, key=lambda e: (not e.rerun, e.mean, e.arch.id))


def _estimate(group: list[TrialRecord]) -> Estimate:
    again = [r for r in group if r.role != "proposal"]
    first, used = group[0], again or group
    is_control = any(r.role == "control" for r in group)
    name = next((r.name for r in group if r.name), "")
    values = tuple(float(r.l_error_mm) for r in used if r.l_error_mm is not None)
    role = "control" if is_control else "proposal"
    return Estimate(first.arch, name, first.macs, first.fidelity, role, values, bool(again))


def final_fidelity(records: Sequence[TrialRecord]) -> str | None:
    """The fidelity that decides: the last at which control and proposals were re-run, else the proposals'."""
    done = [r for r in records if r.state == "complete"]
    proposed = [r.fidelity for r in done if r.role == "proposal"]
    controls = {r.fidelity for r in done if r.role == "control"}
    again = [r.fidelity for r in done if r.role == "repeat" and r.fidelity in controls]
    known = again or proposed or [r.fidelity for r in done]
    return known[-1] if known else None


def select(records: Sequence[TrialRecord], fidelity: str | None = None) -> Selection:
    """Read the answer off the records alone."""
    fidelity = fidelity or final_fidelity(records)
    rows = estimates(records, fidelity) if fidelity else []
    noise = pooled_noise(_seed_groups(records, fidelity))
    control = next((e for e in rows if e.role == "control"), None)
    best = next((e for e in rows if e.role != "control"), None)
    if best is None:
        verdict = "no proposal has completed yet"
        sd = noise.sd_mm if noise else None
        return Selection(None, None, None, control, None, sd, (), False, tuple(rows), verdict)
    leader = min((e for e in rows if e.rerun or e is best), key=lambda e: e.mean)
    tied = tied_with_best(rows, leader, noise)
    proposals = [e for e in tied if e.role != "control" and e is not best]
    control_is_tied = control in tied
    alone = noise is not None and best is leader and not proposals and not control_is_tied
    members = [best, *proposals] if best in tied else proposals
    if control is not None and control_is_tied:
        members = [control, *members] if leader is control else [*members, control]
    return Selection(
        best=best,
        winner=best if alone else None,
        interval=_interval(best, noise),
        control=control,
        gain=_gain(best, control, noise, len(rows) - 1),
        noise_sd_mm=noise.sd_mm if noise else None,
        tied=tuple(e.arch for e in members),
        control_is_tied=control_is_tied,
        rows=tuple(rows),
        verdict=_verdict(best, leader, control, noise, members, control_is_tied),
    )


def _seed_groups(records: Iterable[TrialRecord], fidelity: str | None) -> list[list[float]]:
    """Re-runs by architecture. A first run is no fair draw: being low is why it was re-run."""
    groups: dict[str, list[float]] = {}
    for r in records:
        if (
            r.state == "complete"
            and r.fidelity == fidelity
            and r.role != "proposal"
            and r.l_error_mm is not None
        ):
            groups.setdefault(r.arch.id, []).append(r.l_error_mm)
    return list(groups.values())


def _interval(best: Estimate, noise: Noise | None) -> tuple[float, float] | None:
    if noise is None:
        return None
    half = t_quantile(1 - ALPHA / 2, noise.freedom) * noise.sd_mm / math.sqrt(len(best.values))
    return best.mean - half, best.mean + half


def _gain(
    best: Estimate, control: Estimate | None, noise: Noise | None, comparisons: int
) -> tuple[float, float, float] | None:
    if control is None or noise is None:
        return None
    difference = control.mean - best.mean
    half = margin(best, control, noise, comparisons)
    return difference, difference - half, difference + half


def _verdict(
    best: Estimate,
    leader: Estimate,
    control: Estimate | None,
    noise: Noise | None,
    members: Sequence[Estimate],
    control_is_tied: bool,
) -> str:
    if noise is None:
        return "the seed noise is not known yet (no architecture has two runs), so no winner is named"
    name = f"{control.name or control.arch.id}, the control," if control else ""
    others = len([e for e in members if e.role != "control" and e is not best])
    if best is not leader and control_is_tied and best not in members:
        return f"no winner: {name} has the lowest mean, and every proposal is worse beyond the seed noise"
    if control_is_tied:
        also = f", nor from {others} other architecture{'s' if others > 1 else ''}" if others else ""
        return (
            f"no winner: within the seed noise ({noise.sd_mm:.2f} mm from one seed to the next) "
            f"{best.arch.id} cannot be told from {name.rstrip(',')}{also}"
        )
    if others:
        return f"no single winner: {others + 1} architectures are tied with the best" + (
            f", and {name.rstrip(',')} is not among them" if control else ""
        )
    return f"winner: {best.arch.id}" + (
        f", better than {name} beyond the seed noise" if control else ""
    ).rstrip(",")
