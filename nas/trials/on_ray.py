"""Run the driver's jobs on Ray Tune, on this machine or a cluster.

Ray places the trials, keeps their actors between trials (`reuse_actors`: about
0.2 s a trial, against 1.7 s for a fresh one) and stops those that a rung stops.
What to train, what it meant and what to repeat is the driver's: `_Source` is a
Ray Searcher that only asks and tells it. Checkpoints are ours too, one file for
each unfinished trial, so Ray's own experiment folder holds nothing that a
resumed search needs; `Tuner.restore` is never used.

Facts of Ray Tune 2.60 that this file is built around, each with a test in
tests/test_trials_ray.py: OptunaSearch records a stopped trial as complete; a
function trial reports with tune.report and only numbers and strings; a dead
worker ends a trial with error=True, and the next attempt is a new trial; a
pending trial must exist when another ends, or the actor is thrown away.
"""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from nas.trials.cluster import FOLDER, can_grow, count_slots, is_alive, nodes  # first: sets what Ray reads

# isort: split
import ray
from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from nas.record.store import TrialRecord
from nas.trials import deaths, worker
from nas.trials.places import Place
from nas.trials.resources import Resources
from nas.trials.rungs import REDUCTION, first_rung
from nas.trials.trial import DONE, Ending, Job, Jobs, ObjectiveSpec
from proxy_tasks.engine import Epoch
from proxy_tasks.memory import lend

SPARE = 1  # trials that wait for an actor, so that one that ends finds its successor
REFRESH = 10.0  # seconds between looks at the cluster's size


class _Leave(BaseException):
    """Out of Tuner.fit without its closing work (reading back every trial), which nothing here needs."""


class Asha(FIFOScheduler):
    """Ray's asynchronous successive halving (Li et al. 2020) for proposals; controls and repeats pass.

    Time is the number of validations. A run is compared with others at the same validation only, where all
    stand at the same point of the same learning-rate schedule. Rungs are refilled from recorded curves, so a
    resumed search halves against everything that came before.
    """

    def __init__(self, intervals: int, fidelity: str, records: Iterable[TrialRecord] = ()) -> None:
        super().__init__()
        self._intervals, self._fidelity = intervals, fidelity
        self._asha = AsyncHyperBandScheduler(
            time_attr="interval",
            metric="l_error_mm",
            mode="min",
            max_t=intervals,
            grace_period=first_rung(intervals),
            reduction_factor=REDUCTION,
            stop_last_trials=False,
        )
        self._known: set[str] = set()
        before = [r for r in records if r.role == "proposal" and r.fidelity == fidelity]
        interval = min((epochs for r in before for epochs, _ in r.curve), default=1.0)
        for r in before:
            for epochs, value in r.curve:  # a validation may be missing: one that was not finite, or was lost
                self._ask(f"{r.study}_{r.number}", round(epochs / interval), value)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray pickles a scheduler for Tuner.restore, which is never used here."""
        return {}

    def goes_on(self, job: Job, epoch: Epoch) -> bool:
        """Whether a run goes on after this validation; tells the rung of it."""
        value = epoch.metrics.get("l_error_mm", math.nan)
        if job.role != "proposal" or job.proxy.id != self._fidelity or epoch.number >= self._intervals:
            return True
        return not math.isfinite(value) or self._ask(job.key, epoch.number, value)

    def _ask(self, key: str, interval: int, value: float) -> bool:
        trial: Any = SimpleNamespace(trial_id=key)
        controller: Any = None
        if key not in self._known:
            self._known.add(key)
            self._asha.on_trial_add(controller, trial)
        result = {"interval": interval, "l_error_mm": value}
        return self._asha.on_trial_result(controller, trial, result) != TrialScheduler.STOP

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if "epoch" not in result:
            return TrialScheduler.CONTINUE
        job, epoch = Job.from_dict(json.loads(trial.config["job"])), Epoch(**json.loads(result["epoch"]))
        return TrialScheduler.CONTINUE if self.goes_on(job, epoch) else TrialScheduler.STOP


@dataclass(slots=True)
class _Live:
    """A trial that Ray has, and what was heard of it."""

    job: Job
    epochs: list[Epoch] = field(default_factory=list)
    place: Place | None = None
    ending: Ending | None = None


class _Source(Searcher):
    """Asks the driver for jobs and tells it what became of them; Ray sees nothing else of the search.

    `idle` is called while there is nothing to do but to wait: Ray Tune then makes no steps.
    """

    def __init__(
        self,
        jobs: Jobs,
        objective: ObjectiveSpec,
        resources: Resources = Resources(1.0),  # noqa: B008  frozen
        mark: str = "",
        idle: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(metric="l_error_mm", mode="min")
        self._jobs, self._resources, self._mark, self._idle = jobs, resources, mark, idle
        self._objective = json.dumps({"path": objective.path, "arguments": objective.arguments})
        self._live: dict[str, _Live] = {}
        self._is_over = False
        self.spare = SPARE
        self.error: Exception | None = None  # of the driver; Ray would swallow it

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: the driver holds an open store, and Ray's restore is never used here."""
        return {}

    def is_over(self) -> bool:
        """Whether the driver is done and nothing runs."""
        return self._is_over and not self._live

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """The driver's next job as a trial's config; None while it has none or enough wait."""
        if len(self._live) >= self._jobs.slots + self.spare:
            return None
        job = self._guarded(self._jobs.next)
        if job == DONE:
            self._is_over = True
            return Searcher.FINISHED
        if not isinstance(job, Job):
            if not self._live:
                self._idle()
            return None
        self._live[trial_id] = _Live(job)
        gpus = self._resources.gpus
        return {
            "job": json.dumps(job.to_dict()),
            "objective": self._objective,
            "alone": job.alone,
            "gpus": max(1.0, gpus) if gpus and job.alone else gpus,
            "without": self._without(job),
            "mark": self._mark,
        }

    def _without(self, job: Job) -> list[str]:
        """Nodes that a job is kept away from: those that it failed on too, where there are others."""
        places = self._jobs.places
        shunned = places.shun(job.failed_on)
        return list(shunned if shunned and count_slots(self._resources, shunned) else places.shun(()))

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if trial_id in self._live:
            self._hear(self._live[trial_id], result)

    def _hear(self, live: _Live, result: dict[str, Any]) -> None:
        if "place" in result:
            live.place = Place(**json.loads(result["place"]))
        if "ending" in result:
            live.ending = Ending.from_json(result["ending"])
        if "epoch" not in result:
            return
        epoch = Epoch(**json.loads(result["epoch"]))
        if not live.epochs or live.epochs[-1].number < epoch.number:
            live.epochs.append(epoch)
            if live.place is not None:
                self._jobs.places.worked(live.place)
            self._guarded(self._jobs.progress, live.job, epoch)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the driver how a trial ended; Ray calls this once for each, stopped ones included."""
        if trial_id not in self._live:
            return
        live = self._live.pop(trial_id)
        self._hear(live, result or {})  # the result that made a rung stop it comes only here
        ending = live.ending
        if ending is None and (error or not live.epochs):
            ending = deaths.ending_of(len(live.epochs), live.place)
        elif ending is None:
            ending = _stopped(live.epochs, (result or {}).get("hardware", ""))
        self._guarded(self._jobs.ended, live.job, ending)
        self._guarded(self._require_a_node)

    def _require_a_node(self) -> None:
        """RuntimeError where trials fail on every node that there is."""
        closed = self._jobs.places.closed
        if closed and not count_slots(self._resources, closed):
            raise RuntimeError(f"no node is left to train on: {'; '.join(closed.values())}")

    def _guarded(self, act: Callable[..., Any], *arguments: Any) -> Any:
        """An error of the driver (a full disk, say) ends the search; Ray would log it and go on."""
        try:
            return act(*arguments)
        except Exception as error:
            self.error = self.error or error
            return None

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the store is the record."""

    def restore(self, checkpoint_path: str) -> None:
        """Refused: the store is the record, and a resumed search builds a new searcher from it."""
        raise RuntimeError("a search is resumed from its store")

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing: the store is the record."""


def _stopped(epochs: list[Epoch], hardware: str) -> Ending:
    last = epochs[-1]
    return Ending(
        "stopped",
        f"stopped at the rung after {last.epochs:g} epochs",
        tuple((e.number, e.metrics["l_error_mm"]) for e in epochs),
        last.metrics,
        sum(e.seconds for e in epochs),
        hardware,
    )


def _train(config: dict[str, Any]) -> None:
    """What a Ray worker does. A stop arrives as SystemExit out of tune.report."""
    held = tune.get_context().get_trial_resources().required_resources
    lend(float(held.get("GPU", 1.0)))  # a slice, or the whole device for a trial that is tried again alone
    place = worker.here(ray.get_runtime_context().get_node_id(), ray.get_gpu_ids())
    ending = worker.train(config, tune.report, place)
    tune.report({"ending": ending.to_json()})  # returns when the driver has heard it
    worker.leave(ending)


class _Tick(tune.Callback):
    """Gives the driver's side a moment about ten times a second."""

    def __init__(self, tick: Callable[[], Any]) -> None:
        self._tick = tick

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, as above: there is a terminal behind it."""
        return {}

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._tick()


def run_all(
    jobs: Jobs,
    objective: ObjectiveSpec,
    resources: Resources,
    rungs: Asha | None,
    folder: Path,
    checkpoints: Path,
    *,
    tick: Callable[[], Any] = lambda: None,
) -> None:
    """Until the driver has nothing left, in a `cluster`. `tick` may raise (not an Exception) to leave.

    `folder` is the run directory, `checkpoints` where its jobs' are.
    """
    mark = uuid.uuid4().hex
    worker.put_mark(checkpoints, mark)
    looked = -math.inf

    def look() -> None:
        """How much fits now; where nodes come for what waits, twice as much waits."""
        jobs.slots = max(1, count_slots(resources, jobs.places.closed))
        source.spare = max(SPARE, jobs.slots) if grows else SPARE

    def on_step() -> None:
        nonlocal looked
        if source.error is not None or source.is_over():
            raise _Leave
        if time.monotonic() - looked > REFRESH:
            looked = time.monotonic()
            if not is_alive():
                source.error = RuntimeError("Ray's own processes died under the search")
                raise _Leave
            look()
        tick()

    grows = resources.address is not None and can_grow()
    source = _Source(jobs, objective, resources, mark, on_step)
    jobs.slots_alone = max(1, round(1 / resources.gpus)) if resources.gpus else _slots_of_a_node(resources)
    look()
    deaths.expect_all()
    try:
        _tuner(source, rungs, resources, folder, on_step).fit()
    except _Leave:
        if source.error is not None:
            raise source.error from None
    finally:
        (checkpoints / worker.MARK).unlink(missing_ok=True)


def _slots_of_a_node(resources: Resources) -> int:
    """Trials that fit on the largest node."""
    return max(1, int(max((node.get("CPU", 0) for node in nodes()), default=0) // resources.cpus))


def _tuner(
    source: _Source, rungs: Asha | None, resources: Resources, folder: Path, on_step: Callable[[], None]
) -> tune.Tuner:
    return tune.Tuner(
        tune.with_resources(_train, lambda config: _bundle(config, resources)),
        tune_config=tune.TuneConfig(
            search_alg=source,
            scheduler=rungs or FIFOScheduler(),
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=lambda trial: json.loads(trial.config["job"])["study"],
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=tune.RunConfig(
            name=FOLDER,
            storage_path=str(folder.resolve()),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=0),
            callbacks=[_Tick(on_step)],
        ),
    )


def _bundle(config: dict[str, Any], resources: Resources) -> tune.PlacementGroupFactory:
    """One trial's share; a trial that ran out of memory gets a whole device, or a whole node without one."""
    bundle = {"CPU": resources.cpus}
    if resources.gpus:
        bundle["GPU"] = config["gpus"]
    elif config["alone"]:
        bundle["CPU"] = max(node.get("CPU", 0) for node in nodes(config["without"]))
    if not config["without"]:
        return tune.PlacementGroupFactory([bundle])
    elsewhere = {"ray.io/node-id": f"!in({','.join(config['without'])})"}
    return tune.PlacementGroupFactory([bundle], bundle_label_selector=[elsewhere])
