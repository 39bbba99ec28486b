"""One run of `python -m nas.search`: from a checked request to an answer on the terminal.

`Session.run` owns the run directory: data, store, driver, launcher, answer. What can be wrong with a request
is found before, by nas/search/request.py.
"""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

from nas.record.hours import note_resources
from nas.record.run_dir import RunDir, RunError
from nas.record.storage import sqlite_file
from nas.record.store import KNOWN, Store
from nas.search import known
from nas.search.config import SearchConfig
from nas.search.interrupts import Interrupts
from nas.search.plan import Plan
from nas.search.provenance import describe
from nas.search.table import keep_table
from nas.trials.resources import NoRoom, Resources
from nas.trials.trial import Facts, ObjectiveSpec, hardware_of
from proxy_tasks.kind import SCORE, Score, find_kind, left_out_sentence
from space.commandline import sentence_of

if TYPE_CHECKING:
    from nas.record.select import Selection
    from nas.record.store import TrialRecord


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
        made, database = run.make(), sqlite_file(self.config.storage)
        if database is not None and database.exists():
            database = None  # somebody's own
        with run.locked():
            if self.saved is None:
                run.check_new()
            try:
                _search(self, start)
            except BaseException as error:
                if self.saved is None and not start.over:
                    if database is not None:
                        database.unlink(missing_ok=True)
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


def _search(session: Session, start: Start) -> None:
    from nas.cli import chatter_to
    from nas.record.answer import nothing_finished, write_best
    from nas.record.select import ONLY_THE_CONTROL, select
    from nas.search.curves import Curves
    from nas.search.display import Display
    from nas.search.driver import Driver

    run, plan, interrupts = session.run_dir, session.plan, Interrupts()
    about = _noted(session)
    with chatter_to(run.log) as stream, interrupts.caught(), _launcher(session, stream):
        store = Store.open(run.path, write=True)
        begins_anew = session.saved is not None and not store.records()
        if all(r.role == "known" for r in store.records()):
            sources = [known.read(path, plan.proxy, plan.feasible) for path in session.config.warm_start]
            known.enter(store, sources, plan.proxy, about["data"]["fingerprint"], plan.space.outputs)
        driver = Driver(plan, store, run.checkpoint)
        score = Score.of(about)
        display = Display(driver, stream, quiet=session.quiet, score=score)
        driver.watchers += [display, Curves(run)]
        if before := store.records(KNOWN):
            display.said(
                f"{len(before)} runs of {len({r.arch for r in before})} architectures were known before"
            )
        if begins_anew:
            display.said("the store holds no trial yet: the search begins at its first")
        start.over = True
        try:
            _launch(session, driver, display, interrupts)
        finally:
            display.close()
        records = store.records()
        selection = select(records)
        nothing = selection.best is None and selection.verdict != ONLY_THE_CONTROL
        if nothing and not driver.stopped_early:
            raise RuntimeError(nothing_finished(records))
        write_best(run, selection, records)  # before what takes time: an interrupt then loses none of it
    _answer(session, about, records, selection, stopped_early=driver.stopped_early)


def _noted(session: Session) -> dict[str, Any]:
    """What run.json says from now on: the request, the data, what a trial takes."""
    about = session.saved or _begin(session)
    if session.saved is None and session.config.storage is not None:
        Store.connect(session.run_dir, session.config.storage)  # makes a database file, needed later
    about["config"] = session.config.to_dict()  # what --resume may change, it changes for good
    if session.config.data is not None and "data" in about:
        about["data"]["path"] = session.config.data
    note_resources(
        about,
        launcher=session.config.launcher,
        cpus=session.resources.cpus,
        gpus=session.resources.gpus,
        ray_address=session.resources.address,
    )
    if "data" not in about:
        about |= _facts(session)
    session.run_dir.write(about)
    return about


def _answer(
    session: Session,
    about: dict[str, Any],
    records: Sequence[TrialRecord],
    selection: Selection,
    *,
    stopped_early: bool,
) -> None:
    """Measure the finalists' latency, write `best/`, and print what was found."""
    from nas.record.answer import explain, table, write_best
    from nas.record.front import table as front_table
    from nas.record.sought import front_sought
    from nas.search.latencies import note_latencies

    run, plan, score = session.run_dir, session.plan, Score.of(about)
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
    print(score.words(table(selection, baseline, latencies)))
    if front is not None:
        print(score.words(front_table(front)))
        print(score.words(f"{front.verdict[0].upper()}{front.verdict[1:]}."))
    demonstration = plan.demonstration or about.get("demonstration", False)
    told = explain(
        selection,
        latencies=latencies,
        baseline_mm=baseline,
        demonstration=demonstration,
        stopped_early=stopped_early,
    )
    print(score.words(told))
    print(f"specs: {run.best}/    status: python -m nas.status {run.quoted}")


def _launcher(session: Session, stream: TextIO) -> contextlib.AbstractContextManager[None]:
    """Ray, up for as long as the search runs; found missing before the store is made."""
    if session.config.launcher == "inprocess":
        return contextlib.nullcontext()
    from nas.trials.cluster import cluster

    def say(text: str) -> None:
        if not session.quiet:
            print(text, file=stream, flush=True)

    address = session.resources.address
    say("starting Ray on this machine" if address is None else f"joining the Ray cluster at {address}")
    return cluster(session.resources, session.run_dir.path, say)


def _launch(session: Session, driver: Any, display: Any, interrupts: Interrupts) -> None:
    plan = session.plan
    records = driver.store.records()

    def tick() -> None:
        interrupts.check()
        display.tick()

    run, objective = session.run_dir, session.objective
    if session.config.objective is None:  # whoever reads other rows would score other images
        objective = objective.given(rows=run.read()["data"].get("rows", ""))
    if session.config.launcher == "inprocess":
        from nas.trials import inprocess

        rungs = None
        if plan.scheduler == "asha":
            from nas.trials.on_ray import Asha

            rungs = Asha(driver.intervals, plan.proxy.id, records)
        inprocess.run_all(driver, objective.make(), rungs, tick=tick, interrupts=interrupts)
        return
    from nas.trials import on_ray

    rungs = on_ray.Asha(driver.intervals, plan.proxy.id, records) if plan.scheduler == "asha" else None
    on_ray.run_all(driver, objective, session.resources, rungs, run.path, run.checkpoints, tick=tick)


def _begin(session: Session) -> dict[str, Any]:
    about = describe(session.config, session.plan, session.run_dir, session.command)
    if session.plan.table is not None:
        keep_table(session.run_dir, session.plan.table)
    session.run_dir.write(about)
    return about


def _facts(session: Session) -> dict[str, Any]:
    """Prepare the data, with faces of our own where none were given, and describe it."""
    progress = not session.quiet
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
