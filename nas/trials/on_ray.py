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
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from nas.trials.cluster import FOLDER, count_slots, is_alive, nodes  # first: it sets what Ray reads at import

# isort: split
from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from nas.record.store import TrialRecord
from nas.trials.resources import Resources
from nas.trials.rungs import REDUCTION, first_rung
from nas.trials.trial import DONE, Ending, Job, Jobs, Objective, ObjectiveSpec, run
from proxy_tasks.engine import Epoch

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
        for r in records:
            if r.role == "proposal" and r.fidelity == fidelity:
                for i, (_, value) in enumerate(r.curve, start=1):
                    self._ask(f"{r.study}_{r.number}", i, value)

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


class _Source(Searcher):
    """Asks the driver for jobs and tells it what became of them; Ray sees nothing else of the search."""

    def __init__(self, jobs: Jobs, objective: ObjectiveSpec) -> None:
        super().__init__(metric="l_error_mm", mode="min")
        self._jobs = jobs
        self._objective = json.dumps({"path": objective.path, "arguments": objective.arguments})
        self._live: dict[str, Job] = {}
        self._is_over = False
        self.error: Exception | None = None  # of the driver; Ray would swallow it
        self._epochs: dict[str, list[Epoch]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: the driver holds an open store, and Ray's restore is never used here."""
        return {}

    def is_over(self) -> bool:
        """Whether the driver is done and nothing runs."""
        return self._is_over and not self._live

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """The driver's next job as a trial's config; None while it has none or enough wait."""
        if len(self._live) >= self._jobs.slots + SPARE:
            return None
        job = self._guarded(self._jobs.next)
        if job == DONE:
            self._is_over = True
            return Searcher.FINISHED
        if not isinstance(job, Job):
            return None
        self._live[trial_id], self._epochs[trial_id] = job, []
        return {"job": json.dumps(job.to_dict()), "objective": self._objective, "alone": job.alone}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if trial_id in self._live:
            self._progress(trial_id, result)

    def _progress(self, trial_id: str, result: dict[str, Any]) -> None:
        if "epoch" not in result:
            return
        epoch, known = Epoch(**json.loads(result["epoch"])), self._epochs[trial_id]
        if not known or known[-1].number < epoch.number:
            known.append(epoch)
            self._guarded(self._jobs.progress, self._live[trial_id], epoch)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the driver how a trial ended; Ray calls this once for each, stopped ones included."""
        if trial_id not in self._live:
            return
        self._progress(trial_id, result or {})  # the result that made a rung stop it comes only here
        job, epochs = self._live.pop(trial_id), self._epochs.pop(trial_id)
        if result and "ending" in result:
            ending = Ending.from_json(result["ending"])
        elif error or not epochs:
            ending = Ending("lost", "the worker process died")
        else:
            ending = _stopped(epochs, (result or {}).get("hardware", ""))
        self._guarded(self._jobs.ended, job, ending)

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


_made: dict[str, Objective] = {}  # one objective a worker process: its data set stays open between trials


def _train(config: dict[str, Any]) -> None:
    """What a Ray worker does with a job. A stop arrives as SystemExit out of tune.report."""
    job, text = Job.from_dict(json.loads(config["job"])), config["objective"]
    if text not in _made:
        _made[text] = ObjectiveSpec(**json.loads(text)).make()
    hardware = _made[text].hardware()

    def report(epoch: Epoch) -> bool:
        values = {
            "number": epoch.number,
            "epochs": epoch.epochs,
            "metrics": {name: float(value) for name, value in epoch.metrics.items()},  # no tensors
            "seconds": epoch.seconds,
        }
        tune.report({"epoch": json.dumps(values), "hardware": hardware})
        return True

    tune.report({"ending": run(job, _made[text], report).to_json()})


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
    *,
    tick: Callable[[], Any] = lambda: None,
) -> None:
    """Until the driver has nothing left, in a `cluster`. `tick` may raise (not an Exception) to leave."""
    jobs.slots = count_slots(resources)
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(jobs.slots + SPARE)
    source, looked = _Source(jobs, objective), time.monotonic()

    def on_step() -> None:
        nonlocal looked
        if source.error is not None or source.is_over():
            raise _Leave
        if time.monotonic() - looked > REFRESH:
            looked = time.monotonic()
            if not is_alive():
                source.error = RuntimeError("Ray's own processes died under the search")
                raise _Leave
            jobs.slots = max(1, count_slots(resources))
        tick()

    try:
        _tuner(source, rungs, resources, folder, on_step).fit()
    except _Leave:
        if source.error is not None:
            raise source.error from None


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
        bundle["GPU"] = max(1.0, resources.gpus) if config["alone"] else resources.gpus
    elif config["alone"]:
        bundle["CPU"] = max(node.get("CPU", 0) for node in nodes())
    return tune.PlacementGroupFactory([bundle])
