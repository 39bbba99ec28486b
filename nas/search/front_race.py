"""The race where two objectives are sought: among the members of the front, one seed at a time.

Called as nas/search/race.py is. A contender drops out once another of at most its cost is shown to have a
lower L_error (nas/record/front.py); so what remains is the front, as far as the noise lets it be told.
tests/test_search_objectives.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nas.record.estimates import estimates, pooled_noise
from nas.record.front import alive, nondominated
from nas.record.objectives import Cost
from nas.record.seeds import free_seeds
from nas.record.store import TrialRecord
from nas.search.race import GIVE_UP, Repeat
from space import ArchSpec


@dataclass(frozen=True, slots=True)
class FrontRace:
    """The race among a front; `cost` is the second objective."""

    cost: Cost

    def finalists(
        self, records: Sequence[TrialRecord], fidelity: str, control: ArchSpec, count: int
    ) -> list[ArchSpec]:
        """Up to `count` proposals: the front of first L_errors, then the front of the rest, and so on.

        What was known before counts as a proposal. Of a front that is too large, members spread evenly along
        it, both ends among them.
        """
        first: dict[ArchSpec, float] = {}
        for r in records:
            if r.role in ("proposal", "known") and r.fidelity == fidelity and r.l_error_mm is not None:
                first[r.arch] = min(r.l_error_mm, first.get(r.arch, r.l_error_mm))
        first.pop(control, None)
        left = [(self.cost.of(arch), error, arch) for arch, error in sorted(first.items(), key=_by_id)]
        chosen: list[ArchSpec] = []
        while left and len(chosen) < count:
            on = nondominated([(cost, error) for cost, error, _ in left])
            chosen += [left[i][2] for i in _spread(on, count - len(chosen))]
            left = [point for i, point in enumerate(left) if i not in set(on)]
        return chosen

    def still_tied(
        self, records: Sequence[TrialRecord], fidelity: str, contenders: Sequence[ArchSpec]
    ) -> list[ArchSpec]:
        """The contenders that re-runs have not shown to lie behind the front."""
        again = [r for r in records if r.role != "proposal" and r.fidelity == fidelity]
        rows = {e.arch: e for e in estimates(again, fidelity)}
        noise = pooled_noise([e.values for e in rows.values()])
        known = [rows[arch] for arch in contenders if arch in rows]
        kept = {e.arch for e in alive(known, self.cost.of, noise)}
        return [arch for arch in contenders if arch in kept or arch not in rows]

    def next_repeats(
        self,
        records: Sequence[TrialRecord],
        fidelity: str,
        contenders: Sequence[ArchSpec],
        *,
        seeds: int,
        seed: int,
        slots: int = 1,
        **_: Any,
    ) -> list[Repeat]:
        """One more seed for each that is still on the front and has the fewest; [] when the race is over.

        As many each as fill `slots`; [] also while a round is still running.
        """
        runs = [r for r in records if r.role == "repeat" and r.fidelity == fidelity]
        if any(r.state == "running" and r.arch in contenders for r in runs):
            return []
        done = {a: sum(r.arch == a and r.state == "complete" for r in runs) for a in contenders}
        lost = {a: sum(r.arch == a and r.state == "failed" for r in runs) for a in contenders}
        left = [a for a in self.still_tied(records, fidelity, contenders) if lost[a] < GIVE_UP]
        fewest = min((done[a] for a in left), default=seeds)
        if fewest >= seeds:
            return []
        chosen = [a for a in left if done[a] == fewest]
        count = min(seeds - fewest, max(1, slots // len(chosen)))
        wanted = {a: free_seeds(records, fidelity, a, seed, count) for a in chosen}
        return [Repeat("repeat", a, "", wanted[a][i]) for i in range(count) for a in chosen]


def _by_id(item: tuple[ArchSpec, float]) -> str:
    return item[0].id


def _spread(positions: Sequence[int], count: int) -> list[int]:
    """`count` of them at even distances, first and last among them; all where there are no more."""
    if len(positions) <= count:
        return list(positions)
    if count == 1:
        return [positions[-1]]  # the lowest error
    step = (len(positions) - 1) / (count - 1)
    return [positions[round(i * step)] for i in range(count)]
