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
import logging
import math
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# Before Ray is imported: offline, quiet, results one by one, no restore files every ten seconds.
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
    "TUNE_RESULT_BUFFER_LENGTH": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
for _name, _value in _SETTINGS.items():
    os.environ.setdefault(_name, _value)

import ray  # noqa: E402
from ray import tune  # noqa: E402
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler  # noqa: E402
from ray.tune.search import Searcher  # noqa: E402

from nas.record.store import TrialRecord  # noqa: E402
from nas.search.driver import DONE, Driver  # noqa: E402
from nas.trials.resources import NoRoom, Resources, check_address, no_cluster  # noqa: E402
from nas.trials.rungs import REDUCTION, first_rung  # noqa: E402
from nas.trials.trial import Ending, Job, Objective, ObjectiveSpec, cores, run  # noqa: E402
from proxy_tasks.engine import Epoch  # noqa: E402

log = logging.getLogger(__name__)

SPARE = 1  # trials that wait for an actor, so that one that ends finds its successor
OBJECT_STORE = 128 * 2**20  # bytes; results are small, and /dev/shm of a container often is too
_FOLDER = "ray"  # inside the run directory, for as long as Ray runs
START_ATTEMPTS = 4
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

    def __init__(self, driver: Driver, objective: ObjectiveSpec) -> None:
        super().__init__(metric="l_error_mm", mode="min")
        self._driver = driver
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
        if len(self._live) >= self._driver.slots + SPARE:
            return None
        job = self._guarded(self._driver.next)
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
            self._guarded(self._driver.progress, self._live[trial_id], epoch)

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
        self._guarded(self._driver.ended, job, ending)

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


def connect(address: str | None, *, log_to_driver: bool = True) -> None:
    """Join the Ray cluster at `address`, or start Ray on this machine; NoRoom where no cluster answers.

    Ray gives its own processes 30 seconds to start, which a busy machine can need more than once.
    """
    options: dict[str, Any] = {"logging_level": logging.WARNING, "log_to_driver": log_to_driver}
    if address is None:
        options |= {"num_cpus": cores(), "include_dashboard": False, "object_store_memory": OBJECT_STORE}
    else:
        options["address"] = address
    if address is not None:
        check_address(address)
        try:
            ray.init(**options)
        except (ConnectionError, ValueError) as error:
            raise NoRoom(no_cluster(address)) from error
        return
    for attempt in range(1, START_ATTEMPTS + 1):
        try:
            ray.init(**options)
            return
        except Exception as error:  # Ray raises a bare Exception when a node is slow to start
            log.warning("Ray did not start (attempt %d): %s", attempt, error)
            ray.shutdown()
            problem = str(error).splitlines()[0]
    raise RuntimeError(
        f"Ray did not start on this machine ({problem}): try again when it is less busy, "
        "or use --launcher inprocess, which works without Ray"
    )


@contextmanager
def cluster(resources: Resources, folder: Path) -> Iterator[None]:
    """Ray started or joined, then left and swept out of `folder`; NoRoom where not even one trial fits."""
    connect(resources.address)
    try:
        if count_slots(resources) == 0:
            nodes = ", ".join(f"{n.get('CPU', 0):g} CPUs and {n.get('GPU', 0):g} GPUs" for n in _nodes())
            raise NoRoom(
                f"a trial needs {resources.cpus:g} CPUs and {resources.gpus:g} GPUs, and no node has that "
                f"({nodes}): lower --cpus-per-trial or --gpus-per-trial"
            )
        yield
    finally:
        ray.shutdown()  # first, or its workers write on
        shutil.rmtree(folder / _FOLDER, ignore_errors=True)


def _nodes() -> list[dict[str, float]]:
    return [n["Resources"] for n in ray.nodes() if n["Alive"]]


def _is_alive() -> bool:
    """Whether any node of the cluster is left; without one Tune would wait for ever."""
    try:
        return bool(_nodes())
    except Exception:  # the control service is gone as well
        return False


def count_slots(resources: Resources) -> int:
    """Trials that fit on the cluster at once; a trial does not span nodes."""
    total = 0
    for node in _nodes():
        fits = math.floor(node.get("CPU", 0) / resources.cpus + 1e-6)
        if resources.gpus:
            fits = min(fits, math.floor(node.get("GPU", 0) / resources.gpus + 1e-6))
        total += fits
    return total


def run_all(
    driver: Driver,
    objective: ObjectiveSpec,
    resources: Resources,
    rungs: Asha | None,
    folder: Path,
    *,
    tick: Callable[[], Any] = lambda: None,
) -> None:
    """Until the driver has nothing left, in a `cluster`. `tick` may raise (not an Exception) to leave."""
    driver.slots = count_slots(resources)
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(driver.slots + SPARE)
    source, looked = _Source(driver, objective), time.monotonic()

    def on_step() -> None:
        nonlocal looked
        if source.error is not None or source.is_over():
            raise _Leave
        if time.monotonic() - looked > REFRESH:
            looked = time.monotonic()
            if not _is_alive():
                source.error = RuntimeError("Ray's own processes died under the search")
                raise _Leave
            driver.slots = max(1, count_slots(resources))
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
            name=_FOLDER,
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
        bundle["CPU"] = max(node.get("CPU", 0) for node in _nodes())
    return tune.PlacementGroupFactory([bundle])
