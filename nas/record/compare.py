"""Which architectures may be the best, by their runs: by common seeds where these tell more, else by means.

Comparisons with the best (nas/record/best.py): the set holds the truly best of the compared architectures
with probability 0.95 at least. Those that were run again judge; a single run can be judged, and judges only
where the best has no more. What was run again is compared by least squares over common seeds
(nas/record/blocks.py) where the layout of the runs lets one expect that to be the sharper way; single runs,
whose seed nobody was run again with, by means and the pooled seed noise. Each architecture is in the set or
not by a test of its own, so the two ways can stand side by side.
tests/test_record_compare.py
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nas.record import best as among
from nas.record.blocks import Blocks, Run, fit, sharper
from nas.record.estimates import Estimate, Noise, pooled_noise, seed_groups
from nas.record.store import TrialRecord

ALPHA = among.ALPHA


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of some architectures at one fidelity. `noise` is None where it is unknown: all are tied then."""

    rows: tuple[Estimate, ...]
    noise: Noise | None
    blocks: Blocks | None = None  # where what was run again is compared by common seeds
    alpha: float = ALPHA

    def may_be_best(self) -> list[Estimate]:
        """Those that no other is shown to be better than."""
        if self.noise is None:
            return list(self.rows)
        means, counts = [e.mean for e in self.rows], [len(e.values) for e in self.rows]
        sd, freedom = self.noise.sd_mm, self.noise.freedom
        may = among.may_be_best(means, counts, self._judging(), sd, freedom, self.alpha)
        by_means = [e for e, can in zip(self.rows, may, strict=True) if can]
        return [e for e in self.rows if (self._keeps(e) if self._by_seeds(e) else e in by_means)]

    def difference(self, a: Estimate, b: Estimate) -> float:
        """What L_error a has above b, mm."""
        if self.blocks and self._by_seeds(a) and self._by_seeds(b):
            return self.blocks.difference(a.arch.id, b.arch.id)
        return a.mean - b.mean

    def margin(self, a: Estimate, b: Estimate) -> float:
        """What that difference must exceed for b to rule a out; mm."""
        if self.noise is None:
            return math.inf
        judges = self._judges_of(a)
        judges = judges if b in judges else [*judges, b]
        if self.blocks and self._by_seeds(a) and all(self._by_seeds(e) for e in judges):
            d = self.blocks.critical(a.arch.id, [e.arch.id for e in judges], self.alpha)
            return d * self.blocks.sd_mm * self.blocks.deviation(a.arch.id, b.arch.id)
        d = among.critical(len(a.values), [len(e.values) for e in judges], self.noise.freedom, self.alpha)
        return d * self.noise.sd_mm * math.sqrt(1 / len(a.values) + 1 / len(b.values))

    def _keeps(self, e: Estimate) -> bool:
        return all(self.difference(e, judge) <= self.margin(e, judge) for judge in self._judges_of(e))

    def _by_seeds(self, e: Estimate) -> bool:
        return self.blocks is not None and e.rerun

    def _judging(self) -> list[bool]:
        """Who can rule another out: what was run again, or everybody where no proposal was."""
        again = any(e.rerun and e.role != "control" for e in self.rows)
        return [e.rerun or not again for e in self.rows]

    def _judges_of(self, a: Estimate) -> list[Estimate]:
        return [e for e, can in zip(self.rows, self._judging(), strict=True) if can and e is not a]


def compare(records: Iterable[TrialRecord], fidelity: str | None, rows: Sequence[Estimate]) -> Comparison:
    """Of `rows`, by all runs of the records at that fidelity."""
    records = list(records)
    noise = pooled_noise(seed_groups(records, fidelity))
    return Comparison(tuple(rows), noise, _by_common_seeds(records, fidelity, rows, noise))


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
            # its known runs are in the control's mean, and in no other's: nas/record/estimates.py
            apart = r.role == "known" and r.arch.id not in controls
            runs.append((("known", r.arch.id) if apart else r.arch.id, r.seed, r.l_error_mm))
    blocks = fit(runs, list(again))
    return blocks if blocks and sharper(blocks, again, noise.freedom) else None
