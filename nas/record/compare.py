"""Which architectures may be the best, by their runs: by common seeds where these tell more, else by means.

Comparisons with the best (nas/record/best.py): of a fixed set of runs, the set holds the truly best of the
compared architectures with probability 0.95 at least. Those that were run again judge; a single run can be
judged, and judges only where the best has no more. What was run again is compared by least squares over
common seeds (proxy_tasks/blocks.py) where the layout of the runs lets one expect that to be the sharper way:
its `mean` is then its level, at the average seed. Single runs are compared by means and the pooled seed
noise. Each architecture is in the set or not by a test of its own, so the two ways can stand side by side.

Runs that were known before tell of the noise by seeds of their own, since they may have been made elsewhere;
those of the control are in its mean, and are taken for runs like all others.
tests/test_record_compare.py
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

from nas.record import best as among
from nas.record.estimates import Estimate, Noise, pooled_noise, ranked, seed_groups
from nas.record.store import TrialRecord
from proxy_tasks.blocks import Blocks, Run, fit, sharper

ALPHA = among.ALPHA
AT_A_LOOK = (
    0.01  # while runs are still handed out: who looks often and drops at 5 % each time errs more often
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of architectures at one fidelity, best first. `noise` is None where it is unknown: all are tied."""

    rows: tuple[Estimate, ...]
    noise: Noise | None
    blocks: Blocks | None = None  # where what was run again is compared by common seeds
    alpha: float = ALPHA

    def may_be_best(self) -> list[Estimate]:
        """Those that no other is shown to be better than."""
        if self.noise is None:
            return list(self.rows)
        if self.blocks and all(e.rerun for e in self.rows):
            return [e for e in self.rows if self._keeps(e)]
        means, counts = [e.mean for e in self.rows], [len(e.values) for e in self.rows]
        sd, freedom = self.noise.sd_mm, self.noise.freedom
        by_means = among.may_be_best(means, counts, self._judging(), sd, freedom, self.alpha)
        return [
            e
            for e, can in zip(self.rows, by_means, strict=True)
            if (self._keeps(e) if self.blocks and e.rerun else can)
        ]

    def margin(self, a: Estimate, b: Estimate) -> float:
        """What a's mean must exceed b's by for b to rule a out; mm."""
        if self.noise is None:
            return math.inf
        judges = self._judges_of(a)
        judges = judges if b in judges else [*judges, b]
        if self.blocks and a.rerun and all(e.rerun for e in judges):
            d = self.blocks.critical(a.arch.id, [e.arch.id for e in judges], self.alpha)
            return d * self.blocks.sd_mm * self.blocks.deviation(a.arch.id, b.arch.id)
        d = among.critical(len(a.values), [len(e.values) for e in judges], self.noise.freedom, self.alpha)
        return d * self.noise.sd_mm * math.sqrt(1 / len(a.values) + 1 / len(b.values))

    def chances(self) -> dict[str, float]:
        """Of being the best, by id, as nas/record/best.py models it; {} where the noise is unknown.

        By common seeds a level counts as so many more runs as it is surer than a mean, without the run that
        made it a finalist; else every run counts.
        """
        if self.noise is None:
            return {}
        surer = (self.noise.sd_mm / max(self.blocks.sd_mm, 1e-9)) ** 2 if self.blocks else 1.0
        levels = [self.blocks is not None and e.rerun for e in self.rows]
        y = [e.mean if level else e.mean_of_all for e, level in zip(self.rows, levels, strict=True)]
        n = [
            len(e.values) * surer if level else len(e.every)
            for e, level in zip(self.rows, levels, strict=True)
        ]
        drawn = [e.role != "control" for e in self.rows]
        found = among.chances(y, n, drawn, self.noise.sd_mm, self.noise.freedom)
        return {e.arch.id: float(chance) for e, chance in zip(self.rows, found, strict=True)}

    def _keeps(self, e: Estimate) -> bool:
        return all(e.mean - judge.mean <= self.margin(e, judge) for judge in self._judges_of(e))

    def _judging(self) -> list[bool]:
        """Who can rule another out: what was run again, or everybody where no proposal was."""
        again = any(e.rerun and e.role != "control" for e in self.rows)
        return [e.rerun or not again for e in self.rows]

    def _judges_of(self, a: Estimate) -> list[Estimate]:
        return [e for e, can in zip(self.rows, self._judging(), strict=True) if can and e is not a]


def compare(
    records: Iterable[TrialRecord], fidelity: str | None, rows: Sequence[Estimate], alpha: float = ALPHA
) -> Comparison:
    """Of `rows`, by all runs of the records at that fidelity."""
    records = list(records)
    noise = pooled_noise(seed_groups(records, fidelity))
    blocks = _by_common_seeds(records, fidelity, rows, noise)
    if blocks:
        rows = [replace(e, level=blocks.level(e.arch.id)) if e.rerun else e for e in rows]
    return Comparison(tuple(ranked(rows)), noise, blocks, alpha)


def _by_common_seeds(
    records: Sequence[TrialRecord], fidelity: str | None, rows: Sequence[Estimate], noise: Noise | None
) -> Blocks | None:
    again = {e.arch.id: len(e.values) for e in rows if e.rerun}
    if noise is None or len(again) < 2:
        return None
    controls = {r.arch.id for r in records if r.role == "control"}
    runs: list[Run] = []
    for r in records:
        if r.fidelity == fidelity and r.role != "proposal" and r.l_error_mm is not None:
            apart = r.role == "known" and r.arch.id not in controls
            name: Hashable = ("known", r.arch.id) if apart else r.arch.id
            runs.append((name, ("known", r.seed) if apart else r.seed, r.l_error_mm))
    blocks = fit(runs, list(again))
    return blocks if blocks and sharper(blocks, again, noise.freedom) else None
