"""Which runs to repeat: seeds for the control, then for those still tied with the best.

The control's seeds measure the noise. The best few proposals are re-run one
seed at a time, and after each round those that the noise no longer excuses are
dropped (the racing of Maron & Moore 1994, with nas.record.select's test in place of
Hoeffding's bound), so that repeats go where they can still change the answer.
A second race, at a higher fidelity, is run among those that the first left tied.

A function of the records alone, so a resumed search asks for exactly what the
interrupted one still lacked. tests/test_search_race.py
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nas.record.select import estimates, pooled_noise, tied_with_best
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
    """The `count` proposals with the lowest first L_error, which are worth re-running."""
    first: dict[str, tuple[float, ArchSpec]] = {}
    for r in records:
        if r.role == "proposal" and r.fidelity == fidelity and r.l_error_mm is not None and r.arch != control:
            value = min(r.l_error_mm, first.get(r.arch.id, (float("inf"), r.arch))[0])
            first[r.arch.id] = (value, r.arch)
    return [arch for _, arch in sorted(first.values(), key=lambda pair: (pair[0], pair[1].id))[:count]]


def control_repeats(
    records: Sequence[TrialRecord], fidelity: str, control: ArchSpec, name: str, *, seeds: int, seed: int
) -> list[Repeat]:
    """What the control still lacks of `seeds` runs at `fidelity`."""
    runs = _Runs(records, fidelity, "control")
    if runs.failed(control) >= GIVE_UP:
        return []
    missing = seeds - runs.begun(control)
    return [
        Repeat("control", control, name, s) for s in _free_seeds(records, fidelity, control, seed, missing)
    ]


def next_repeats(
    records: Sequence[TrialRecord],
    fidelity: str,
    contenders: Sequence[ArchSpec],
    *,
    seeds: int,
    seed: int,
    slots: int = 1,
) -> list[Repeat]:
    """One more seed for each contender that is still tied and has the fewest; [] when the race is over.

    As many seeds each as fill `slots`, which would stand idle otherwise. [] also while a round is still
    running: ask again when it has ended.
    """
    runs = _Runs(records, fidelity, "repeat")
    alive = [a for a in still_tied(records, fidelity, contenders) if runs.failed(a) < GIVE_UP]
    if any(runs.running(a) for a in contenders):
        return []
    fewest = min((runs.complete(a) for a in alive), default=seeds)
    if fewest >= seeds:
        return []
    chosen = [a for a in alive if runs.complete(a) == fewest]
    count = min(seeds - fewest, max(1, slots // len(chosen)))
    wanted = {a: _free_seeds(records, fidelity, a, seed, count) for a in chosen}
    return [Repeat("repeat", a, "", wanted[a][i]) for i in range(count) for a in chosen]


def complete(records: Sequence[TrialRecord], fidelity: str, arch: ArchSpec) -> int:
    """Re-runs that `arch` has had at `fidelity`."""
    return _Runs(records, fidelity, "repeat").complete(arch)


def still_tied(
    records: Sequence[TrialRecord], fidelity: str, contenders: Sequence[ArchSpec]
) -> list[ArchSpec]:
    """The contenders that re-runs have not shown to be worse than the best of them."""
    again = [r for r in records if r.role != "proposal" and r.fidelity == fidelity]
    rows = {e.arch.id: e for e in estimates(again, fidelity)}
    noise = pooled_noise([e.values for e in rows.values()])
    known = [rows[a.id] for a in contenders if a.id in rows]
    if not known or noise is None:
        return list(contenders)
    best = min(known, key=lambda e: e.mean)
    tied = {e.arch.id for e in tied_with_best(known, best, noise)}
    return [a for a in contenders if a.id in tied or a.id not in rows]


@dataclass(frozen=True, slots=True)
class _Runs:
    """Counts of the runs of one role at one fidelity."""

    records: Sequence[TrialRecord]
    fidelity: str
    role: str

    def _count(self, arch: ArchSpec, states: Iterable[str]) -> int:
        return sum(
            r.role == self.role and r.fidelity == self.fidelity and r.arch == arch and r.state in states
            for r in self.records
        )

    def begun(self, arch: ArchSpec) -> int:
        return self._count(arch, ("running", "complete"))

    def running(self, arch: ArchSpec) -> int:
        return self._count(arch, ("running",))

    def complete(self, arch: ArchSpec) -> int:
        return self._count(arch, ("complete",))

    def failed(self, arch: ArchSpec) -> int:
        return self._count(arch, ("failed",))


def _free_seeds(
    records: Sequence[TrialRecord], fidelity: str, arch: ArchSpec, start: int, count: int
) -> list[int]:
    """The first `count` seeds from `start` on that `arch` has not been trained with at `fidelity`."""
    used = {r.seed for r in records if r.arch == arch and r.fidelity == fidelity}
    found: list[int] = []
    seed = start
    while len(found) < count:
        if seed not in used:
            found.append(seed)
        seed += 1
    return found
