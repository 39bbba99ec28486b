"""The work behind `python -m nas.retrain`: which jobs, in what order, and what a person sees of them."""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from nas.cli import chatter_to
from nas.record.run_dir import RunDir, RunError
from nas.record.select import select
from nas.record.store import Store
from nas.retrain.folder import RetrainFolder, Row
from nas.retrain.job import RetrainJob
from nas.retrain.trained import MemberError, read_record
from proxy_tasks.kind import DEFAULT, SCORE, find_kind
from proxy_tasks.machine_errors import is_interrupt
from proxy_tasks.proxy import Proxy, find_proxy
from space.arch import ArchSpec
from space.commandline import sentence_of
from space.specfile import read_spec, reference_name

Launch = Callable[[RetrainJob], None]
POLL = 0.5  # seconds between looks at a history


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job trains: 'ray' or 'inprocess', how many processes, whether each has a GPU."""

    launcher: str
    processes: int
    gpu: bool
    device: str


def where_to_train(args: argparse.Namespace) -> Place:
    """ValueError where the processes cannot be had as asked."""
    import torch

    here = torch.cuda.device_count() if args.device != "cpu" else 0
    gpu = bool(here) or (args.device == "cuda" and args.ray_address is not None)
    if args.device == "cuda" and not gpu:
        raise ValueError(
            "--device cuda, but no GPU is visible here: give --device cpu, or a cluster by --ray-address"
        )
    processes = args.gpus if args.gpus is not None else (1 if args.launcher == "inprocess" else here or 1)
    if processes < 1:
        raise ValueError(f"--gpus is the number of processes, at least 1, not {processes}")
    if args.launcher == "inprocess" and processes > 1:
        raise ValueError(
            f"--launcher inprocess trains in one process: leave out --gpus {processes}, or use ray"
        )
    return Place(args.launcher, processes, gpu, "cuda" if gpu else "cpu")


def plan_jobs(args: argparse.Namespace, place: Place) -> list[RetrainJob]:
    """One job for each architecture and seed; the control and --spec after the best."""
    facts = RunDir(args.run).read()
    given = {f.name: getattr(args, f.name, None) for f in fields(Proxy)}
    changes = {name: value for name, value in given.items() if value is not None}
    if min(args.seed) < 0:
        raise ValueError(f"--seed is 0 or more, not {min(args.seed)}")
    proxy = schedule(args.proxy, changes, args.batch_per_gpu, place.processes)
    task = facts.get("config", {}).get("task", DEFAULT)
    data = str(args.data) if args.data else searched_data(args.run, facts, args.quiet)
    found = find_kind(task).look(data, proxy)
    archs = architectures(args.run, args.top, args.control, args.spec)
    return [
        RetrainJob(arch, name, proxy, seed, found.path, found.id, args.trainval, task)
        for arch, name in archs.items()
        for seed in dict.fromkeys(args.seed)
    ]


def searched_data(run: Path, facts: dict[str, Any], quiet: bool) -> str | None:
    """The data set of the search; a task's own that are no longer where they were are made again."""
    where = facts.get("data", {}).get("path")
    if not where:  # a simulation has none
        raise RunError(f"{run} was searched without a data set: give one with --data")
    if not Path(where).exists() and facts.get("config", {}).get("data", where) is None:
        proxy, say = Proxy.from_dict(facts["proxy"]), partial(_say, None if quiet else sys.stderr)
        return find_kind(facts["config"].get("task")).make(proxy, say, progress=not quiet)
    return str(where)


def schedule(name: str, changes: dict[str, object], batch_per_gpu: int | None, processes: int) -> Proxy:
    """The proxy's settings with the changes; its global batch must split evenly over the processes."""
    base = find_proxy(name)
    if batch_per_gpu is not None:
        if "batch" in changes:
            raise ValueError("--batch and --batch-per-gpu say the same thing twice: give one of them")
        changes = {**changes, "batch": batch_per_gpu * processes}
    if "epochs" in changes:
        changes = {"least_steps": 0, **changes}  # epochs that were asked for are not stretched
    proxy = base.replace(**changes)
    if proxy.batch % processes:
        raise ValueError(
            f"a global batch of {proxy.batch} does not split evenly over {processes} processes: "
            f"give --batch {proxy.batch // processes * processes or processes} or another --gpus"
        )
    return proxy


def architectures(run: Path, top: int, control: bool, specs: Sequence[str]) -> dict[ArchSpec, str]:
    """Architectures to train and their reference names: the search's best, its control, then `specs`."""
    if top < 0:
        raise ValueError(f"--top is a number of architectures, not {top}")
    named = [read_spec(text) for text in specs]
    chosen: dict[ArchSpec, str] = {}
    if top or (control and not specs):
        selection = select(Store.open(run).records())
        if not selection.rows:
            raise RunError(
                f"{run} has no finished trial to choose from: let the search finish one, "
                "or give --top 0 --no-control --spec S"
            )
        best = [row for row in selection.rows if row.role != "control"][:top]
        if len(best) < top:
            warnings.warn(
                f"{run} has {len(best)} finished architectures at the fidelity that decides, not {top}",
                stacklevel=2,
            )
        rows = [*best, *([selection.control] if control and selection.control else [])]
        chosen = {row.arch: row.name for row in rows}
    for arch in named:
        chosen.setdefault(arch, reference_name(arch))
    if not chosen:
        raise ValueError("there is nothing to train: raise --top or give --spec")
    return chosen


@contextlib.contextmanager
def in_process(run: Path, device: str) -> Iterator[Launch]:
    """Train here, one job after another, without Ray."""
    from nas.retrain.train import train

    def launch(job: RetrainJob) -> None:
        train(job, run, device=device)

    yield launch


def run_jobs(
    jobs: Sequence[RetrainJob], run: Path, launcher: AbstractContextManager[Launch], *, quiet: bool = False
) -> int:
    """Train what is not finished yet; the exit status. Others' chatter goes to the run's log.txt."""
    failed: list[str] = []
    todo = [job for job in jobs if not is_complete(job, run)]
    _prepare(todo, run, quiet)
    with chatter_to(RunDir(run).log) as stream:
        shown = None if quiet else stream
        for job in jobs:
            if job not in todo:
                _say(shown, f"{job.folder_name}: complete already")
        if todo:
            with launcher as launch:
                for job in todo:
                    failed += _train_one(job, run, launch, shown)
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
    if stream is not None and known:
        _say(stream, f"{job.folder_name}: going on after epoch {known}")

    def follow() -> None:
        shown = known
        while True:
            last = done.wait(POLL)
            rows = folder.rows()
            for row in rows[shown:]:
                _say(stream, progress_line(job, rows, row))
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


def _say(stream: TextIO | None, line: str) -> None:
    if stream is not None:
        print(line, file=stream, flush=True)
