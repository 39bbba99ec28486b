"""The jobs of `python -m nas.retrain` one after another, and what a person sees of them."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TextIO

from nas.cli import chatter_to, say
from nas.record.run_dir import RunDir, RunError
from nas.retrain.folder import RetrainFolder, Row
from nas.retrain.job import RetrainJob
from nas.retrain.trained import MemberError, read_record
from proxy_tasks.kind import SCORE, find_kind
from proxy_tasks.machine_errors import is_interrupt
from proxy_tasks.progress import is_time
from space.commandline import sentence_of

Launch = Callable[[RetrainJob], None]
POLL = 0.5  # seconds between looks at a history


@contextlib.contextmanager
def in_process(run: Path, device: str, steps: str = "auto") -> Iterator[Launch]:
    """Train here, one job after another, without Ray."""
    from nas.retrain.train import train

    def launch(job: RetrainJob) -> None:
        train(job, run, device=device, launch=steps)

    yield launch


def run_jobs(
    jobs: Sequence[RetrainJob],
    run: Path,
    launcher: AbstractContextManager[Launch],
    *,
    at_once: int = 1,
    quiet: bool = False,
) -> int:
    """Train what is not finished yet; the exit status. Others' chatter goes to the run's log.txt."""
    failed: list[str] = []
    todo = [job for job in jobs if not is_complete(job, run)]
    _prepare(todo, run, quiet)
    with chatter_to(RunDir(run).log) as stream:
        shown = None if quiet else stream
        for job in jobs:
            if job not in todo:
                say(shown, f"{job.folder_name}: complete already")
        if todo:
            with launcher as launch:
                failed += _train_all(todo, run, launch, shown, at_once)
    print(summary(jobs, run))
    for sentence in failed:
        print(sentence, file=sys.stderr)
    return 1 if failed else 0


def _prepare(jobs: Sequence[RetrainJob], run: Path, quiet: bool) -> None:
    """Find out here, where a person sees it, what would stop every job: damaged files, too few images."""
    from proxy_tasks.engine import Length

    if not jobs:
        return
    first = jobs[0]  # all share data and schedule
    kind = find_kind(first.task)
    task = kind.open(first.data, first.proxy, "cpu", progress=not quiet, trainval=first.trainval)
    Length.of(first.proxy, task.train_size)
    for job in jobs:
        require_own(RetrainFolder(job.folder(run)).checkpoint, job, task.outputs, task.target)


def require_own(file: Path, job: RetrainJob, outputs: int, target: dict[str, Any]) -> None:
    """RunError for a checkpoint that another run left in the job's folder; warns of a damaged one."""
    from proxy_tasks import checkpoint as checkpoints
    from proxy_tasks.backbone import build_model

    state = checkpoints.load(file)
    if state is None:
        return
    fresh = build_model(job.arch, outputs).state_dict()
    found, wanted = ({name: t.shape for name, t in s.items()} for s in (state["model"], fresh))
    if (has := found["fc.bias"][0]) != outputs:
        mesh = target.get("topology")
        what, each = ("vertices", outputs // mesh["vertices"]) if mesh else ("outputs", 1)
        why = f"a network of {has // each:,} {what}, and the data has {outputs // each:,}"
    elif found != wanted:
        why = f"another architecture than {job.arch.id}"
    else:
        return
    raise RunError(f"{file} is of {why}: move its folder away to train from the start")


def _train_all(
    jobs: Sequence[RetrainJob], run: Path, launch: Launch, stream: TextIO | None, at_once: int
) -> list[str]:
    """Sentences about what went wrong. Side by side in threads that Ctrl-C need not wait for."""
    failed: list[str] = []
    raised: list[BaseException] = []
    todo = iter(jobs)  # one for all threads, and next() of it is atomic

    def work() -> None:
        for job in todo:
            failed.extend(_train_one(job, run, launch, stream))

    def work_aside() -> None:
        try:
            work()
        except BaseException as error:  # a thread's would be lost
            raised.append(error)

    if at_once == 1:
        work()
        return failed
    threads = [threading.Thread(target=work_aside, daemon=True) for _ in range(min(at_once, len(jobs)))]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(POLL)
    if raised:
        raise raised[0]
    return failed


def _train_one(job: RetrainJob, run: Path, launch: Launch, stream: TextIO | None) -> list[str]:
    """Sentences about what went wrong, at most one."""
    folder = RetrainFolder(job.folder(run), job.trainval)
    try:
        with folder.locked(), following(folder, job, stream):
            launch(job)
    except (RuntimeError, ValueError, OSError) as error:
        if is_interrupt(error):
            raise KeyboardInterrupt from error
        why = sentence_of(error) if isinstance(error, OSError) else " ".join(str(error).split())
        return [f"{job.folder_name} failed: {why}"]
    if not folder.metrics.exists():
        where = f"{folder.metrics} is not there: the run's folder is to be on storage that all nodes see"
        return [f"{job.folder_name} has ended, and {where}"]
    record = read_record(folder.metrics)
    if record["status"] != "complete":
        return [f"{job.folder_name} {record['status']}: {record['reason']}"]
    return []


def is_complete(job: RetrainJob, run: Path) -> bool:
    """False also where metrics.json is damaged: going on from the checkpoint writes it anew."""
    try:
        return read_record(job.folder(run) / "metrics.json")["status"] == "complete"
    except (FileNotFoundError, MemberError):
        return False


@contextlib.contextmanager
def following(folder: RetrainFolder, job: RetrainJob, stream: TextIO | None) -> Iterator[None]:
    """One line an epoch, read off the history that the training process writes, wherever it runs."""
    done = threading.Event()
    known = len(folder.rows())
    first = f"going on after epoch {known}" if known else "training begins"
    say(stream, f"{job.folder_name}: {first}, {job.proxy.validations} in all")

    def follow() -> None:
        """Until the training is over: its new lines, and a word where an epoch takes long."""
        shown, began, told = known, time.monotonic(), 0.0
        while True:
            last = done.wait(POLL)
            elapsed = time.monotonic() - began
            if is_time(told, elapsed) and not last:
                told = elapsed
                say(stream, f"{job.folder_name}: in epoch {shown + 1}, {elapsed / 60:.1f} min so far")
            rows = folder.rows()
            for row in rows[shown:]:
                say(stream, progress_line(job, rows, row))
            shown = max(shown, len(rows))
            if last:
                return

    thread = threading.Thread(target=follow, daemon=True, name="follow")
    if stream is not None:
        thread.start()
    try:
        yield
    finally:
        done.set()
        if stream is not None:
            thread.join()


def progress_line(job: RetrainJob, rows: list[Row], row: Row) -> str:
    """What a person reads after an epoch; the time left goes by the last few epochs."""
    total = job.proxy.validations
    so_far = [r for r in rows if r["epoch"] <= row["epoch"]]
    best, score = min(r[SCORE] for r in so_far), find_kind(job.task).score
    recent = [r["seconds"] for r in so_far[-5:]]
    left = sum(recent) / len(recent) * (total - row["epoch"])
    return (
        f"{job.folder_name}  {row['epoch']:.0f}/{total}  {score.text(row[SCORE])} "
        f"(best {best:.2f})  {left / 60:.0f} min left"
    )


def summary(jobs: Sequence[RetrainJob], run: Path) -> str:
    """A line a run: where it is, GFLOPs, best score and its epoch."""
    score = find_kind(jobs[0].task).score
    lines = [
        f"{f'{score.label} {score.unit}'.rstrip():>10}  {'epoch':>5}  {'GFLOPs':>7}  {'status':<9} folder"
    ]
    for job in jobs:
        file = job.folder(run) / "metrics.json"
        record = read_record(file) if file.exists() else {}
        best = record.get("best") or {SCORE: float("nan"), "epochs_trained": 0}
        gigaflops = record.get("macs", job.arch.macs()) / 1e9
        lines.append(
            f"{best[SCORE]:>10.2f}  {best['epochs_trained']:>5.3g}  {gigaflops:>7.3f}  "
            f"{record.get('status', 'not begun'):<9} {job.folder(run)}"
        )
    return "\n".join(lines)
