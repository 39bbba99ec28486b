"""The search as a source of jobs: what to train next, and what its ending means.

Both launchers drive the same object from one thread: `next` for a job, `progress`
after every validation, `ended` when a job is over. Everything that must survive
is in the store before a job leaves here, so a killed search is taken up by making
a new Driver on the same store: finished trials are kept, unfinished ones are
handed out again and go on from their checkpoints.

The order of a search: the control's seeds; proposals (in one round, or two with
the space narrowed between them); the race among the best (nas/search/race.py); if asked
for, a second race at a higher fidelity.
tests/test_search_driver.py, tests/test_search_faults.py
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.record.narrow import ENOUGH_TO_NARROW
from nas.record.seeds import free
from nas.record.storage import StoreError
from nas.record.store import KNOWN, REPEATS, Store, TrialRecord
from nas.search import race
from nas.search.failures import Failures
from nas.search.front_race import FrontRace
from nas.search.pace import Pace
from nas.search.plan import Plan
from nas.search.suggest import Suggester
from nas.search.waiting import Waiting
from nas.search.watcher import Watcher
from nas.trials.places import Places
from nas.trials.trial import DONE, Ending, Job
from proxy_tasks.engine import Epoch
from proxy_tasks.proxy import Proxy
from space import ArchSpec, FeasibleSet


@dataclass(frozen=True, slots=True)
class Round:
    """One round of proposals: which study, from which set, how many."""

    number: int
    study: str
    feasible: FeasibleSet
    trials: int


class Driver:
    """Decides, records, and keeps no state that the store could not give back."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        checkpoint_of: Callable[[str, int], Path],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plan, self.store = plan, store
        self.slots = 1  # jobs that run at once; the launcher says
        self.places = Places()
        self.in_flight: dict[str, Job] = {}
        self.watchers: list[Watcher] = []
        self._checkpoint_of, self._clock = checkpoint_of, clock
        self._began = clock()
        self._trial_ids: dict[str, int] = {}
        self.waiting = Waiting(self.places, clock, self._say)
        self._failures = Failures()
        self._seeds: dict[tuple[str, str], set[int]] = {}
        self._seconds: deque[float] = deque(maxlen=50)  # of the latest complete runs at the base fidelity
        self.pace = Pace(plan.control, plan.table, plan.space.outputs)
        self._short_of_time = False
        self._among: Any = race if plan.cost is None else FrontRace(plan.cost)
        self._rounds: list[Round] = []
        self._begun = 0  # proposals of the current round
        self._told: set[tuple[str, str, int, str]] = set()  # runs that a round's strategy was told of
        self._set_up()

    def _set_up(self) -> None:
        plan = self.plan
        self.store.ensure_study(REPEATS)
        records = self.store.records()
        for r in records:
            self._seeds.setdefault((r.arch.id, r.fidelity), set()).add(r.seed)
            if r.state == "complete" and r.fidelity == plan.proxy.id and r.role != "known":
                self._note_time(r.arch, r.seconds)
        self._resume(records)
        self._open_round(Round(1, plan.study(1), plan.feasible, plan.trials_in_first_round()))
        if plan.rounds == 2 and plan.study(2) in self.store.studies():
            self._open_second_round()
        self._want_control(plan.proxy)

    # --- what the launchers call ---

    def next(self) -> Job | str | None:
        """A job to start now, None where one may come later, DONE where none will."""
        if not self.waiting.ready:
            self._refill()
        job = self.waiting.pop()
        if job is not None:
            self.in_flight[job.key] = job
            for watcher in self.watchers:
                watcher.began(job)
            return job
        return None if self.in_flight or self.waiting else DONE

    def progress(self, job: Job, epoch: Epoch) -> None:
        """A validation: a point of the curve."""
        value = epoch.metrics.get("l_error_mm", math.nan)
        self.store.report(self._trial_ids[job.key], epoch.number, float(value))
        for watcher in self.watchers:
            watcher.progressed(job, epoch)

    def ended(self, job: Job, ending: Ending) -> None:
        """Record how a job ended, or hand it out again."""
        self.in_flight.pop(job.key, None)
        if ending.status == "disk":
            raise StoreError(
                f"trial {job.key} could not write its checkpoint or its data ({ending.reason}): what was "
                "recorded so far is safe; free space, then continue with --resume"
            )
        if self.waiting.once_more(job, ending):
            return
        trial_id = self._trial_ids.pop(job.key)
        known = self.store.storage.get_trial(trial_id).intermediate_values
        for interval, point in ending.points:
            if interval not in known:
                self.store.report(trial_id, interval, point)
        state = {"complete": "complete", "stopped": "pruned"}.get(ending.status, "failed")
        value = ending.points[-1][1] if state == "complete" else None
        self.store.finish(
            trial_id, state, l_error_mm=value, reason=ending.reason, parts=ending.metrics,
            seconds=ending.seconds, hardware=ending.hardware,
        )  # fmt: skip
        if state == "complete" and job.proxy.id == self.plan.proxy.id:
            self._note_time(job.arch, ending.seconds)
        _remove(Path(job.checkpoint))
        for watcher in self.watchers:
            watcher.finished(job, state, value, ending.reason)
        self._failures.note(ending.reason if state == "failed" else None)

    def seconds_left(self) -> float | None:
        """Of --max-hours; None where there is no limit."""
        if self.plan.max_hours is None:
            return None
        return self.plan.max_hours * 3600 - (self._clock() - self._began)

    def seconds_per_run(self) -> float | None:
        """Mean seconds of a complete run so far; None before there is one."""
        return sum(self._seconds) / len(self._seconds) if self._seconds else None

    @property
    def slots_alone(self) -> int:
        """Slots that a job takes which runs alone."""
        return self.waiting.slots_alone

    @slots_alone.setter
    def slots_alone(self, count: int) -> None:
        self.waiting.slots_alone = count

    @property
    def intervals(self) -> int:
        """Validations of a proposal's run."""
        return self.plan.proxy.validations

    @property
    def stopped_early(self) -> bool:
        """Whether --max-hours kept proposals or re-runs back."""
        return self._short_of_time

    # --- what comes next ---

    def _refill(self) -> None:
        if self._propose():
            return
        if any(job.role != "repeat" for job in (*self.in_flight.values(), *self.waiting.held_back)):
            return  # a round is judged when all of it has ended
        if self._may_open_second_round():
            self._open_second_round()
            if self._propose():
                return
        self._race()

    def _propose(self) -> bool:
        current = self._rounds[-1]
        if self._begun >= current.trials or self._must_stop_proposing():
            return False
        with self.store.batch():
            self._tell_what_is_known()
            self._hand_out(current, self._suggester.claim())
        return True

    def _tell_what_is_known(self) -> None:
        """Let a strategy that learns learn from runs that it did not propose, the control's among them."""
        if self.plan.strategy in ("random", "qmc"):
            return
        study, feasible = self._rounds[-1].study, self._rounds[-1].feasible
        for r in (*self.store.records(KNOWN), *self.store.records(REPEATS)):
            if r.fidelity != self.plan.proxy.id or r.l_error_mm is None or (study, *r.key) in self._told:
                continue
            self._told.add((study, *r.key))
            if r.arch in feasible:
                self._suggester.carry(r.arch, r.seed, r.l_error_mm)

    def _hand_out(self, current: Round, trial_id: int) -> None:
        """Make a claimed trial a job: the architecture enters the store before it leaves here."""
        proposal = self._suggester.propose(trial_id)
        seed = self._free_seed(proposal.arch, self.plan.proxy)
        entry = self._entry("proposal", proposal.arch, seed, self.plan.proxy, current.number)
        entry |= {"unit": list(proposal.unit), "feasible_id": self._suggester.cube.id, "by": proposal.by}
        self.store.begin(trial_id, entry)
        self._begun += 1
        self._enter(current.study, trial_id, "proposal", proposal.arch, seed, self.plan.proxy)

    def _race(self) -> None:
        plan = self.plan
        records = self.store.records()
        base = self._among.finalists(records, plan.proxy.id, plan.control, plan.finalists)
        if not self._want_control(plan.proxy):
            self._contend(records, plan.proxy, base)
        if self.waiting or self.in_flight or plan.race_proxy.id == plan.proxy.id:
            return
        self._race_longer(records, self._among.still_tied(records, plan.proxy.id, base))

    def _race_longer(self, records: Sequence[TrialRecord], tied: Sequence[ArchSpec]) -> None:
        """Among the tied at the longer proxy: all or none of them, as it decides only when all have run."""
        proxy = self.plan.race_proxy
        lacking = self._control_lacks(proxy)
        wanted = self._next_repeats(records, proxy, tied)
        if not tied or not (lacking or wanted):
            return
        untried = sum(race.complete(records, proxy.id, arch) == 0 for arch in tied)
        if not self._time_for(len(lacking) + max(1, untried), proxy):
            self._short_of_time = True
        elif not self._repeat(lacking, proxy):
            self._repeat(wanted, proxy, spare=True)

    def _contend(self, records: Sequence[TrialRecord], proxy: Proxy, contenders: Sequence[ArchSpec]) -> None:
        if self._next_repeats(records, proxy, contenders):  # else the race is over, or a round of it runs
            affordable = self._affordable(records, proxy, contenders)
            self._repeat(self._next_repeats(records, proxy, affordable), proxy, spare=True)

    def _next_repeats(
        self, records: Sequence[TrialRecord], proxy: Proxy, contenders: Sequence[ArchSpec]
    ) -> Sequence[race.Repeat]:
        plan = self.plan
        return self._among.next_repeats(
            records, proxy.id, contenders, seeds=plan.repeats, seed=plan.seed, slots=self.slots,
            control=plan.control, control_name=plan.control_name,
        )  # fmt: skip

    def _affordable(
        self, records: Sequence[TrialRecord], proxy: Proxy, contenders: Sequence[ArchSpec]
    ) -> Sequence[ArchSpec]:
        """As many of the best as can have all their seeds in the time that is left; one at least."""
        left, each = self.seconds_left(), self.seconds_per_run()
        if left is None or not each or not contenders:  # a simulated run may take no time at all
            return contenders
        runs = math.floor(max(0.0, left) / (each * proxy.epochs / self.plan.proxy.epochs)) * self.slots
        seeds = self.plan.repeats - race.complete(records, proxy.id, contenders[0])
        count = max(1, runs // max(1, seeds))
        self._short_of_time |= count < len(contenders)
        return contenders[:count]

    def _want_control(self, proxy: Proxy) -> bool:
        """Hand out what the control lacks of its runs at this fidelity; whether anything waits now."""
        return self._repeat(self._control_lacks(proxy), proxy)

    def _control_lacks(self, proxy: Proxy) -> Sequence[race.Repeat]:
        plan = self.plan
        return race.control_repeats(
            self.store.records(), proxy.id, plan.control, plan.control_name,
            seeds=plan.repeats, seed=plan.seed,
        )  # fmt: skip

    def _repeat(self, wanted: Sequence[race.Repeat], proxy: Proxy, *, spare: bool = False) -> bool:
        """Hand out re-runs; `spare` ones only where --max-hours leaves time for them."""
        for one in wanted:
            if spare and not self._time_for(self.waiting.slots + 1, proxy):
                self._short_of_time = True
                break
            entry = self._entry(one.role, one.arch, one.seed, proxy, self._rounds[-1].number, one.name)
            self._enter(REPEATS, self.store.add(REPEATS, entry), one.role, one.arch, one.seed, proxy)
        return bool(self.waiting)

    def _may_open_second_round(self) -> bool:
        """Not while the first has proposals to come, be it in a resumed search with more hours or trials."""
        if len(self._rounds) == self.plan.rounds or self._begun >= self.plan.trials:
            return False
        return self._begun >= self._rounds[0].trials and not self._must_stop_proposing()

    def _open_second_round(self) -> None:
        first = self.store.records(self.plan.study(1))
        narrowed = self.plan.narrow(first)
        self._open_round(Round(2, self.plan.study(2), narrowed, self.plan.trials - len(first)))
        if self.plan.strategy not in ("random", "qmc"):
            for r in first:
                if r.l_error_mm is not None and r.arch in narrowed:
                    self._suggester.carry(r.arch, r.seed, r.l_error_mm)
        said = f"round 2 draws from {narrowed.left:,} of the {self.plan.feasible.left:,} architectures"
        done = sum(r.l_error_mm is not None for r in first)
        if done < ENOUGH_TO_NARROW:
            said += f": {done} runs of round 1 are complete, and narrowing needs {ENOUGH_TO_NARROW}"
        self._say(said)

    def _open_round(self, current: Round) -> None:
        """Propose from `current` from now on; complete what a killed search had only begun to propose."""
        self._rounds.append(current)
        self._suggester = Suggester(
            self.store, current.study, current.feasible, self.plan.strategy,
            seed=self.plan.seed, round_=current.number, trials=current.trials, cost=self.plan.cost,
        )  # fmt: skip
        if current.number == 1:
            for arch in self.plan.seed_archs:
                self._suggester.enqueue(arch)
        self._begun = len(self.store.records(current.study))
        for trial_id in self.store.claimed(current.study):
            self._hand_out(current, trial_id)

    # --- bookkeeping ---

    def _resume(self, records: Sequence[TrialRecord]) -> None:
        """Hand out again what a killed search left running."""
        for r in records:
            if r.state == "running":
                proxy = self.plan.proxy_of(r.fidelity)
                self._enter(r.study, self.store.trial_id(r.study, r.number), r.role, r.arch, r.seed, proxy)

    def _entry(
        self, role: str, arch: ArchSpec, seed: int, proxy: Proxy, round_: int, name: str = ""
    ) -> dict[str, Any]:
        """The `job` attribute of a trial: all that a record and a resumed search need."""
        return {
            "role": role,
            "round": round_,
            "arch": arch.to_dict(),
            "name": name or self.plan.name_of(arch),
            "seed": seed,
            "fidelity": proxy.id,
            "epochs": proxy.epochs,
            "intervals": proxy.validations,
            "macs": self.plan.feasible.macs(arch),
            "params": arch.params(self.plan.space.outputs),
            "activations": arch.activations(),
        }

    def _enter(self, study: str, trial_id: int, role: str, arch: ArchSpec, seed: int, proxy: Proxy) -> None:
        number = self.store.storage.get_trial_number_from_id(trial_id)
        checkpoint = str(self._checkpoint_of(study, number))
        job = Job(study, number, role, arch, seed, proxy, checkpoint, proxy.validations)
        self._trial_ids[job.key] = trial_id
        self._seeds.setdefault((arch.id, proxy.id), set()).add(seed)
        self.waiting.add(job)

    def _free_seed(self, arch: ArchSpec, proxy: Proxy) -> int:
        """The search's seed, or the next one that this architecture was not trained with."""
        used = self._seeds.get((arch.id, proxy.id), set())
        return next(free(used, self.plan.seed))

    def _say(self, text: str) -> None:
        for watcher in self.watchers:
            watcher.said(text)

    # --- time ---

    def _note_time(self, arch: ArchSpec, seconds: float) -> None:
        self._seconds.append(seconds)
        self.pace.note(arch, seconds)

    def _must_stop_proposing(self) -> bool:
        """Whether another proposal would leave no time to repeat the control and the best."""
        waiting = len(self.in_flight) + self.waiting.slots
        if self._time_for(waiting + 1 + self.plan.repeats_at_least(), self.plan.proxy):
            return False
        self._short_of_time = True
        return True

    def _time_for(self, runs: int, proxy: Proxy) -> bool:
        left, each = self.seconds_left(), self.seconds_per_run()
        if left is None:
            return True
        if left <= 0:
            return False
        if each is None:
            return True
        scale = proxy.epochs / self.plan.proxy.epochs
        return math.ceil(runs / max(1, self.slots)) * each * scale <= left


def _remove(checkpoint: Path) -> None:
    """A trial's checkpoint, and what lies beside it under its name: the one before, or a half-written one."""
    for path in (checkpoint, *checkpoint.parent.glob(f"{checkpoint.name}.*")):
        path.unlink(missing_ok=True)
