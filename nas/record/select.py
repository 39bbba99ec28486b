"""What a search found, with its error bars: the best architectures, the control, and who is tied.

Two runs of one architecture differ by their seeds, and near the best that
difference is as large as the one between architectures. So nothing is said
from single runs (nas/record/estimates.py), and who may be the best is told by
comparisons with the best, over common seeds (nas/record/compare.py). The ends of the
gain over the control are the same comparisons turned round: its low end lies above 0
exactly where the best rules the control out, its high end below 0 where the control
rules out the best, and each holds with 95 %.
tests/test_record_select.py checks the claims by simulation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from nas.record.compare import ALPHA, AT_A_LOOK, Comparison, compare
from nas.record.estimates import Estimate, Noise, estimates, t_quantile
from nas.record.store import TrialRecord
from nas.record.verdict import sentence
from space import ArchSpec


@dataclass(frozen=True, slots=True)
class Selection:
    """The answer of a search. `winner` is named only where it stands alone."""

    best: Estimate | None  # of the proposals: lowest mean, re-run ones first
    winner: Estimate | None  # the best, where nothing else is tied with it
    interval: tuple[float, float] | None  # 95 % of the best's mean, mm
    control: Estimate | None
    gain: tuple[float, float, float] | None  # control minus best and its 95 % bounds, mm
    noise_sd_mm: float | None  # from one seed to the next
    paired_sd_mm: float | None  # what is left of it on common seeds; None where they are not what compares
    tied: tuple[ArchSpec, ...]  # with the best, itself first; the control where it is among them
    control_is_tied: bool
    rows: tuple[Estimate, ...]  # every architecture that completed, ranked; the control among them
    verdict: str
    chances: dict[str, float] = field(default_factory=dict)  # of being the best, by id; {} for no noise known


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
    tied = compare(done, fidelity, estimates(again, fidelity), AT_A_LOOK).may_be_best()
    return {e.arch.id for e in tied}


ONLY_THE_CONTROL = (
    "the only architecture that was proposed and completed is the control itself, so there is nothing to "
    "compare it with: raise --trials"
)


def select(records: Sequence[TrialRecord], fidelity: str | None = None) -> Selection:
    """Read the answer off the records alone."""
    fidelity = fidelity or final_fidelity(records)
    comparison = compare(records, fidelity, estimates(records, fidelity) if fidelity else [])
    rows, noise, blocks = comparison.rows, comparison.noise, comparison.blocks
    sd = noise.sd_mm if noise else None
    control = next((e for e in rows if e.role == "control"), None)
    best = next((e for e in rows if e.role != "control"), None)
    if best is None:
        proposed = any(r.role == "proposal" and r.state == "complete" for r in records)
        verdict = ONLY_THE_CONTROL if proposed else "no proposal has completed yet"
        return Selection(None, None, None, control, None, sd, None, (), False, rows, verdict)
    members = _members(comparison.may_be_best(), best, control)
    alone = noise is not None and members == [best]
    return Selection(
        best=best,
        winner=best if alone else None,
        interval=_interval(best, noise),
        control=control,
        gain=_gain(best, control, comparison),
        noise_sd_mm=sd,
        paired_sd_mm=blocks.sd_mm if blocks else None,
        tied=tuple(e.arch for e in members),
        control_is_tied=control in members,
        rows=rows,
        verdict=sentence(best, control, sd, members),
        chances=comparison.chances(),
    )


def _members(tied: Sequence[Estimate], best: Estimate, control: Estimate | None) -> list[Estimate]:
    """The tied in the order in which they are told: the best, others, and the control, which may lead."""
    proposals = sorted((e for e in tied if e.role != "control"), key=lambda e: e is not best)
    if control is None or control not in tied:
        return proposals
    leads = all(control.mean < e.mean for e in tied if e.rerun and e is not control)
    return [control, *proposals] if leads else [*proposals, control]


def _interval(best: Estimate, noise: Noise | None) -> tuple[float, float] | None:
    if noise is None:
        return None
    half = t_quantile(1 - ALPHA / 2, noise.freedom) * noise.sd_mm / math.sqrt(len(best.values))
    return best.mean - half, best.mean + half


def _gain(
    best: Estimate, control: Estimate | None, comparison: Comparison
) -> tuple[float, float, float] | None:
    if control is None or comparison.noise is None:
        return None
    gain = control.mean - best.mean
    return gain, gain - comparison.margin(control, best), gain + comparison.margin(best, control)
