"""One run of `python -m nas.search`: from a request that may be wrong to an answer on the terminal.

`open_session` finds everything that can be wrong with the request and writes nothing.
`Session.run` then owns the run directory: data, store, driver, launcher, answer.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from nas.record.objectives import second_of
from nas.record.run_dir import RunDir, RunError, newest
from nas.record.store import Store
from nas.search import flags
from nas.search.config import SearchConfig, gpu_share
from nas.search.interrupts import Interrupts
from nas.search.plan import Plan, resolve
from nas.search.provenance import describe
from nas.search.resume import meanings_of, read_request, to_resumed
from nas.search.table import find_table, keep_table
from nas.trials.resources import NoRoom, Resources, check_address
from nas.trials.trial import Facts, ObjectiveSpec, hardware_of
from proxy_tasks.kind import SCORE, Score, find_kind, left_out_sentence
from space.commandline import sentence_of
from space.machine import cores

RUNS = Path("runs")


@dataclass(frozen=True, slots=True)
class Session:
    """A request that has been checked."""

    config: SearchConfig
    plan: Plan
    run_dir: RunDir
    objective: ObjectiveSpec
    resources: Resources
    saved: dict[str, Any] | None  # run.json of the search that goes on
    quiet: bool
    command: tuple[str, ...]

    def run(self) -> int:
        """Search; the exit status. What ends it before its first trial leaves nothing of a new search."""
        run, start = self.run_dir, Start()
        made = run.make()
        with run.locked():
            if self.saved is None:
                run.check_new()
            try:
                _search(self, start)
            except BaseException as error:
                if self.saved is None and not start.over:
                    run.forget(made)
                    said = _as_refusal(error)
                else:
                    said = _with_how_to_go_on(error, run)
                raise said from (None if said is error else error)
        return 0


@dataclass(slots=True)
class Start:
    """Whether a search has got as far as its trials."""

    over: bool = False


def _as_refusal(error: BaseException) -> BaseException:
    """What to say of a search that could not begin: the same, but for errors of others' code."""
    if isinstance(error, KeyboardInterrupt):
        return KeyboardInterrupt("nothing was begun, and nothing is left")
    answered = ValueError | RuntimeError | OSError | MemoryError
    if isinstance(error, answered) or not isinstance(error, Exception):
        return error
    return RuntimeError(f"the search could not begin: {_kind(error)}{error} ({_where(error)})")


def _with_how_to_go_on(error: BaseException, run: RunDir) -> BaseException:
    """One sentence for the person, the traceback for the log."""
    go_on = f"go on with: python -m nas.search --resume --out {run.quoted}"
    if isinstance(error, KeyboardInterrupt):
        return KeyboardInterrupt(go_on)
    if isinstance(error, RunError | NoRoom) or not isinstance(error, Exception):
        return error
    with contextlib.suppress(OSError), open(run.log, "a", encoding="utf-8") as log:
        traceback.print_exception(error, file=log)
    why = sentence_of(error) if isinstance(error, OSError) else f"{_kind(error)}{error}"
    return RuntimeError(f"the search stopped: {why}; log: {run.log}; {go_on}")


def _kind(error: BaseException) -> str:
    return "" if isinstance(error, ValueError | RuntimeError | OSError) else f"{type(error).__name__}: "


def _where(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.filename}, line {last.lineno}"


# --- checking a request ---


def open_session(given: argparse.Namespace, argv: Sequence[str]) -> Session:
    """Check everything that can be checked without writing; ValueError for the first thing that is wrong."""
    saved, run = None, None
    if given.resume:
        run = RunDir(given.out) if "out" in given else newest(RUNS)
        saved = run.read()
        before, proxy, archs = read_request(run, saved)
        config = to_resumed(given, before, meanings_of(before, proxy, archs, saved))
    else:
        config = flags.to_config(given)
        run = RunDir(given.out if "out" in given else _fresh(config.budget))
        run.check_new()
    share = None if config.gpus_per_trial == "auto" else gpu_share(config.gpus_per_trial)
    gpus = _gpus(config)
    plan = _plan(config, run, saved, gpus)
    if config.data is not None and config.objective is None:
        if saved is not None and config.data.startswith("/") and not Path(config.data).exists():
            raise RunError(
                f"the data of this search is no longer at {config.data}: say by --data where it is now"
            )
        config = config.replace(data=find_kind(config.task).look(config.data, plan.proxy).path)
    if saved is None:
        config = config.replace(trials=plan.trials, finalists=plan.finalists, race_epochs=plan.race_epochs)
        if config.storage:
            Store.connect(run, config.storage)
    resources = _resources(config, plan, gpus, share)
    if config.launcher == "ray" and config.ray_address is not None:
        check_address(config.ray_address)
    spec = _objective(config, plan, resources)
    spec.make()
    return Session(config, plan, run, spec, resources, saved, given.quiet, tuple(argv))


def _fresh(budget: str) -> Path:
    safe = "".join(c if c.isalnum() or c in ".-" else "_" for c in budget)
    return RUNS / f"{time.strftime('%Y%m%d-%H%M%S')}-{safe}"


def _gpus(config: SearchConfig) -> int:
    """GPUs to plan for; a cluster that is to be joined is taken to have some."""
    if config.objective is not None:
        return 0
    if config.ray_address is not None:
        return 0 if config.gpus_per_trial in ("0", "0.0") else 1
    import torch

    return torch.cuda.device_count()


def _plan(config: SearchConfig, run: RunDir, saved: dict[str, Any] | None, gpus: int) -> Plan:
    needed = second_of(config.objectives) == "latency"
    table = find_table(config, run, resumed=saved is not None, needed=needed)
    if saved is None:
        return resolve(config, gpus=gpus, table=table)
    _, proxy, archs = read_request(run, saved)
    return resolve(config, gpus=gpus, proxy=proxy, seed_archs=archs, table=table)


def _resources(config: SearchConfig, plan: Plan, gpus: int, share: float | None) -> Resources:
    """CPUs and GPUs of a trial: by default one GPU and its part of the cores, or one core without a GPU."""
    if share is None:
        from nas.search.memory import fitting_share

        share = fitting_share(plan) if gpus else 0.0
    elif config.gpus_per_trial is None:
        share = 1.0 if gpus else 0.0
    if config.cpus_per_trial is not None:
        cpus = config.cpus_per_trial
    elif config.launcher == "inprocess":
        cpus = float(cores())
    elif share and config.ray_address is None:
        cpus = max(1.0, cores() // max(1, round(gpus / share)))
    else:
        cpus = 1.0
    return Resources(cpus, share, config.ray_address)


def _objective(config: SearchConfig, plan: Plan, resources: Resources) -> ObjectiveSpec:
    if config.objective is not None:
        return ObjectiveSpec(config.objective, config.objective_args)
    data = config.data or find_kind(config.task).look(None, plan.proxy).path
    threads = max(1, round(resources.cpus))
    device = "auto" if config.launcher == "inprocess" else "cuda" if resources.gpus else "cpu"
    return ObjectiveSpec(
        "nas.trials.training:ProxyTraining",
        {"data": data, "device": device, "threads": threads, "task": config.task},
    )


def dry_run(session: Session) -> int:
    """Print what the search would cost; train nothing, write nothing."""
    from nas.search.forecast import describe as tell
    from nas.search.forecast import forecast

    config, resources = session.config, session.resources
    if config.launcher == "inprocess":
        slots = 1
    elif resources.gpus:
        slots = max(1, round(_gpus(config) / resources.gpus))
    else:
        slots = max(1, int(cores() // resources.cpus))
    threads = max(1, round(resources.cpus))
    print(tell(forecast(session.plan, config.data, slots, threads, config.task)))
    return 0


# --- the search itself ---


def _search(session: Session, start: Start) -> None:
    from nas.record.answer import explain, nothing_finished, table, write_best
    from nas.record.front import table as front_table
    from nas.record.select import select
    from nas.record.sought import front_sought
    from nas.search.curves import Curves
    from nas.search.display import Display, chatter_to
    from nas.search.driver import Driver
    from nas.search.latencies import note_latencies

    run, plan, interrupts = session.run_dir, session.plan, Interrupts()
    about = session.saved or _begin(session)
    about["config"] = session.config.to_dict()  # what --resume may change, it changes for good
    if session.config.data is not None and "data" in about:
        about["data"]["path"] = session.config.data
    _note_resources(session, about)
    if "data" not in about:
        about |= _facts(session)
    run.write(about)
    with chatter_to(run.log) as stream, interrupts.caught(), _launcher(session, stream):
        store = Store.open(run.path, write=True)
        begins_anew = session.saved is not None and not store.records()
        driver = Driver(plan, store, run.checkpoint)
        score = Score.of(about)
        display = Display(driver, stream, quiet=session.quiet, score=score)
        driver.watchers += [display, Curves(run)]
        if begins_anew:
            display.said("the store holds no trial yet: the search begins at its first")
        start.over = True
        try:
            _launch(session, driver, display, interrupts)
        finally:
            display.close()
        records = store.records()
        selection = select(records)
        if selection.best is None and not driver.stopped_early:
            raise RuntimeError(nothing_finished(records))
        write_best(run, selection, records)  # before what takes time: an interrupt then loses none of it
    latencies = note_latencies(
        run,
        about,
        selection,
        session.objective.make(),
        plan.table,
        say=lambda text: _say(session, text),
    )
    front = front_sought(run, about, selection)
    write_best(run, selection, records, latencies, front)
    baseline = about["baseline_l_error_mm"]
    print(table(selection, baseline, latencies))
    if front is not None:
        print(front_table(front))
        print(f"{front.verdict[0].upper()}{front.verdict[1:]}.")
    demonstration = plan.demonstration or about.get("demonstration", False)
    print(
        explain(
            selection,
            latencies=latencies,
            baseline_mm=baseline,
            demonstration=demonstration,
            stopped_early=driver.stopped_early,
        )
    )
    print(f"specs: {run.best}/    status: python -m nas.status {run.quoted}")


def _launcher(session: Session, stream: TextIO) -> contextlib.AbstractContextManager[None]:
    """Ray, up for as long as the search runs; found missing before the store is made."""
    if session.config.launcher == "inprocess":
        return contextlib.nullcontext()
    from nas.trials.cluster import cluster

    def say(text: str) -> None:
        if not session.quiet:
            print(text, file=stream, flush=True)

    return cluster(session.resources, session.run_dir.path, say)


def _launch(session: Session, driver: Any, display: Any, interrupts: Interrupts) -> None:
    plan = session.plan
    records = driver.store.records()

    def tick() -> None:
        interrupts.check()
        display.tick()

    if session.config.launcher == "inprocess":
        from nas.trials import inprocess

        rungs = None
        if plan.scheduler == "asha":
            from nas.trials.on_ray import Asha

            rungs = Asha(driver.intervals, plan.proxy.id, records)
        inprocess.run_all(driver, session.objective.make(), rungs, tick=tick, interrupts=interrupts)
        return
    from nas.trials import on_ray

    rungs = on_ray.Asha(driver.intervals, plan.proxy.id, records) if plan.scheduler == "asha" else None
    run, objective = session.run_dir, session.objective
    if session.config.objective is None:  # a worker whose node reads other rows would score other images
        objective = objective.given(rows=run.read()["data"].get("rows", ""))
    on_ray.run_all(driver, objective, session.resources, rungs, run.path, run.checkpoints, tick=tick)


def _begin(session: Session) -> dict[str, Any]:
    about = describe(session.config, session.plan, session.run_dir, session.command)
    if session.plan.table is not None:
        keep_table(session.run_dir, session.plan.table)
    session.run_dir.write(about)
    return about


def _note_resources(session: Session, about: dict[str, Any]) -> None:
    """What a trial takes from now on, if it is not what it took before."""
    taken = about.setdefault("resources", [])
    now = {
        "launcher": session.config.launcher,
        "cpus": session.resources.cpus,
        "gpus": session.resources.gpus,
        "ray_address": session.resources.address,
    }
    if not taken or {name: taken[-1][name] for name in now} != now:
        taken.append({"since": datetime.now(UTC).isoformat(timespec="milliseconds"), **now})


def _facts(session: Session) -> dict[str, Any]:
    """Prepare the data, with faces of our own where none were given, and describe it."""
    progress = sys.stderr.isatty() and not session.quiet
    if session.config.data is None and session.config.objective is None:
        say = partial(_say, session)
        find_kind(session.config.task).make(session.plan.proxy, say, progress=progress)
    _say(session, "reading the data and scoring the baseline")
    objective = session.objective.make()
    try:
        facts: Facts = objective.facts(session.plan.proxy, progress=progress)
    except ValueError as error:  # found only by reading all of the data, and still a wrong request
        raise RunError(str(error)) from error
    if facts.left_out and not progress:  # a progress bar is followed by the same sentence
        print(left_out_sentence(facts.left_out, facts.images), file=sys.stderr, flush=True)
    return {
        "data": facts.of_data(),
        "baseline_l_error_mm": facts.baseline.get(SCORE),
        "baseline": facts.baseline,
        "score": facts.score.to_dict(),
        "hardware": hardware_of(objective) or "GPUs of the cluster",
    }


def _say(session: Session, text: str) -> None:
    if not session.quiet and session.config.objective is None:
        print(text, file=sys.stderr, flush=True)
