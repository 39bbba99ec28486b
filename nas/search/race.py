"""Which runs to repeat: seeds for the control, then for those that may be the best.

The control's seeds measure the noise. Each of the best few proposals is re-run once,
those that the noise no longer excuses are dropped (the racing of Maron & Moore 1994,
with comparisons with the best at 1 % in place of Hoeffding's bound: there are many
looks, and 5 % at each would cost the answer its 95 %), and what is left of
`seeds` runs for each goes where it separates most: every second run to the leader or
the control, whichever has fewer, the others to the tied one with the fewest. The
control takes the seeds that others were run again with, and all are compared by what
they have in common (proxy_tasks/blocks.py). Of 8 finalists with 3 seeds each, one 1 mm better than the
control at a noise of 0.64 mm, of whose variance runs of a seed share 0.3, is shown to
be so in 6 races of 10 (8 where they share half); by means it is in 5, and with 3 seeds
for each alike and Bonferroni's comparisons in 2 (tests/bench/bench_verdict.py).

A second race, at a higher fidelity, is run among those that the first left tied.

A function of the records alone, so a resumed search asks for exactly what the
interrupted one still lacked. tests/test_search_race.py
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import fmean

from nas.record.compare import AT_A_LOOK, compare
from nas.record.estimates import Estimate, estimates
from nas.record.seeds import free_seeds
from nas.record.store import TrialRecord
from space import ArchSpec

GIVE_UP = 2  # failed re-runs after which an architecture is left alone


@dataclass(frozen=True, slots=True)
class Repeat:
    """A run that the race wants: `role` is "control" or "repeat"."""

    role: str
    arch: ArchSpec
    name: str
    seed: int


def finalists(records: Sequence[TrialRecord], fidelity: str, control: ArchSpec, count: int) -> list[ArchSpec]:
    """The `count` architectures with the lowest first L_error, which are worth re-running.

    Of proposals and of what was known before; the mean where there are several such runs.
    """
    first: dict[ArchSpec, list[float]] = {}
    for r in records:
        if r.role in ("proposal", "known") and r.fidelity == fidelity and r.l_error_mm is not None:
            first.setdefault(r.arch, []).append(r.l_error_mm)
    first.pop(control, None)
    return sorted(first, key=lambda arch: (fmean(first[arch]), arch.id))[:count]


def control_repeats(
    records: Sequence[TrialRecord], fidelity: str, control: ArchSpec, name: str, *, seeds: int, seed: int
) -> list[Repeat]:
    """What the control still lacks of `seeds` runs at `fidelity`."""
    runs = _Runs(records, fidelity)
    if runs.failed(control, "control") >= GIVE_UP:
        return []
    own, known = runs.begun(control, "control"), runs.complete(control, "known")
    # one of its own at least, beside what was known before; the race may have given it more than `seeds`
    missing = max(0, 1 - own, seeds - own - known)
    return [
        Repeat("control", control, name, s) for s in free_seeds(records, fidelity, control, seed, missing)
    ]


def next_repeats(
    records: Sequence[TrialRecord],
    fidelity: str,
    contenders: Sequence[ArchSpec],
    *,
    seeds: int,
    seed: int,
    slots: int = 1,
    control: ArchSpec | None = None,
    control_name: str = "",
) -> list[Repeat]:
    """Runs for `slots` workers; [] when the race is over, or while a round of it still runs.

    First each contender's first re-runs, as many as fill the slots, which would stand idle otherwise; then
    what is left of `seeds` for each, where it separates most. The control's first `seeds` are not counted.
    """
    runs = _Runs(records, fidelity)
    if any(map(runs.running, contenders)) or (control and runs.running(control, "control")):
        return []
    alive = [a for a in still_tied(records, fidelity, contenders) if runs.failed(a) < GIVE_UP]
    if not alive:
        return []
    common = _common_seeds(records, fidelity, contenders, seed, seeds)
    untried = [a for a in alive if runs.complete(a) == 0]
    if untried:
        count = min(seeds, max(1, slots // len(untried)))
        chosen = [a for _ in range(count) for a in untried]
    else:
        spent = sum(runs.complete(a) for a in contenders)
        spent += max(0, runs.complete(control, "control") - seeds) if control else 0
        left = min(slots, seeds * len(contenders) - spent)
        rows, tied = _standing(records, fidelity, [*alive, *([control] if control else [])])
        counts = {a: len(rows[a.id].values) for a in alive}
        leader = min(alive, key=lambda a: rows[a.id].mean)
        pair = [leader]
        able = control is not None and runs.failed(control, "control") < GIVE_UP
        if control is not None and able and control.id in rows and control.id in tied:
            counts[control] = len(common & runs.seeds(control, "control", "known"))
            pair.append(control)
        chosen = _where_it_separates(counts, pair, spent, left, seeds)
    free = {
        a: iter(_free(records, fidelity, a, seed, chosen.count(a), common if a == control else set()))
        for a in dict.fromkeys(chosen)
    }
    kind = {a: ("control", control_name) if a == control else ("repeat", "") for a in chosen}
    return [Repeat(kind[a][0], a, kind[a][1], next(free[a])) for a in chosen]


def _common_seeds(
    records: Sequence[TrialRecord], fidelity: str, contenders: Sequence[ArchSpec], seed: int, seeds: int
) -> set[int]:
    """Seeds that re-runs have, or will have when each contender has `seeds`."""
    runs, found = _Runs(records, fidelity), set[int]()
    for arch in contenders:
        to_come = free_seeds(records, fidelity, arch, seed, max(0, seeds - runs.complete(arch)))
        found |= {*to_come, *runs.seeds(arch, "repeat")}
    return found


def _free(
    records: Sequence[TrialRecord], fidelity: str, arch: ArchSpec, seed: int, wanted: int, first: set[int]
) -> list[int]:
    """Seeds that `arch` was not trained with, those of `first` before others."""
    used = {r.seed for r in records if r.arch == arch and r.fidelity == fidelity}
    chosen = sorted(first - used)[:wanted]
    others = (s for s in free_seeds(records, fidelity, arch, seed, 2 * wanted) if s not in chosen)
    return [*chosen, *islice(others, wanted - len(chosen))]


def _where_it_separates(
    counts: dict[ArchSpec, int], pair: Sequence[ArchSpec], spent: int, left: int, seeds: int
) -> list[ArchSpec]:
    """Whom `left` runs go to: by turns one of `pair`, the leader and the control, and any of `counts`."""
    counts, chosen = dict(counts), []
    for turn in range(spent, spent + left):
        if len(counts) == 1 and counts[pair[0]] >= seeds:
            break  # nobody is left to tell it from
        one = min(pair if turn % 2 == 0 else counts, key=lambda a: counts[a])
        chosen.append(one)
        counts[one] += 1
    return chosen


def complete(records: Sequence[TrialRecord], fidelity: str, arch: ArchSpec) -> int:
    """Re-runs that `arch` has had at `fidelity`."""
    return _Runs(records, fidelity).complete(arch)


def still_tied(
    records: Sequence[TrialRecord], fidelity: str, contenders: Sequence[ArchSpec]
) -> list[ArchSpec]:
    """The contenders that re-runs have not shown to be worse than the best of them."""
    rows, tied = _standing(records, fidelity, contenders)
    return [a for a in contenders if a.id in tied or a.id not in rows]


def _standing(
    records: Sequence[TrialRecord], fidelity: str, among: Sequence[ArchSpec]
) -> tuple[dict[str, Estimate], set[str]]:
    """What re-runs say of each architecture, and the ids of those of `among` that may be the best of them."""
    again = [r for r in records if r.role != "proposal" and r.fidelity == fidelity]
    rows = {e.arch.id: e for e in estimates(again, fidelity)}
    known = [rows[a.id] for a in among if a.id in rows]
    comparison = compare(records, fidelity, known, AT_A_LOOK)
    rows |= {e.arch.id: e for e in comparison.rows}
    return rows, {e.arch.id for e in comparison.may_be_best()}


@dataclass(frozen=True, slots=True)
class _Runs:
    """Counts of the runs of each role at one fidelity."""

    records: Sequence[TrialRecord]
    fidelity: str

    def _count(self, arch: ArchSpec, states: Iterable[str], role: str = "repeat") -> int:
        return sum(
            r.role == role and r.fidelity == self.fidelity and r.arch == arch and r.state in states
            for r in self.records
        )

    def begun(self, arch: ArchSpec, role: str) -> int:
        return self._count(arch, ("running", "complete"), role)

    def running(self, arch: ArchSpec, role: str = "repeat") -> int:
        return self._count(arch, ("running",), role)

    def seeds(self, arch: ArchSpec, *roles: str) -> set[int]:
        """Of its complete runs in these roles."""
        here = (r for r in self.records if r.fidelity == self.fidelity and r.arch == arch)
        return {r.seed for r in here if r.role in roles and r.state == "complete"}

    def complete(self, arch: ArchSpec, role: str = "repeat") -> int:
        return self._count(arch, ("complete",), role)

    def failed(self, arch: ArchSpec, role: str = "repeat") -> int:
        return self._count(arch, ("failed",), role)
