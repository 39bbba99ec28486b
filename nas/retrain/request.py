"""Which networks to train, with what schedule, where."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from nas.cli import say
from nas.record.run_dir import RunDir, RunError
from nas.record.select import select
from nas.record.store import Store
from nas.retrain.job import RetrainJob
from proxy_tasks.kind import DEFAULT, find_kind
from proxy_tasks.proxy import Proxy, find_proxy
from space.arch import ArchSpec
from space.specfile import read_spec, reference_name


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job trains: 'ray' or 'inprocess', how many processes, whether each has a GPU."""

    launcher: str
    processes: int
    gpu: bool
    device: str
    at_once: int = 1  # jobs side by side
    launch: str = "auto"  # how steps are launched, proxy_tasks.launching


def where_to_train(args: argparse.Namespace, cluster: tuple[int, int] | None = None) -> Place:
    """ValueError where the processes cannot be had as asked.

    `cluster` has the GPUs of a cluster that is joined, all and those of its best node: it is asked, and not
    this machine, which may be a head without one.
    """
    import torch

    here = torch.cuda.device_count()
    if cluster is not None:
        here = cluster[0] if args.parallel else cluster[1]
    gpu = bool(here) and args.device != "cpu"
    if args.device == "cuda" and not gpu:
        missing = "no GPU is visible here" if cluster is None else "no node of the cluster has a GPU"
        other = ", or a cluster by --ray-address" if cluster is None else ""
        raise ValueError(f"--device cuda, but {missing}: give --device cpu{other}")
    alone = args.launcher == "inprocess"
    processes = args.gpus if args.gpus is not None else (1 if alone else here if gpu else 1)
    if processes < 1:
        raise ValueError(f"--gpus is the number of processes, at least 1, not {processes}")
    if alone and (processes > 1 or args.parallel):
        what = "--parallel" if args.parallel else f"--gpus {processes}"
        raise ValueError(f"--launcher inprocess trains in one process: leave out {what}, or use ray")
    device, launch = "cuda" if gpu else "cpu", args.launch_steps
    if launch.endswith("graphs") and not (gpu and (args.parallel or processes == 1)):
        raise ValueError(f"--launch-steps {launch} is for a network on one GPU: use eager or compiled")
    if args.parallel:
        return Place(args.launcher, 1, gpu, device, at_once=processes, launch=launch)
    return Place(args.launcher, processes, gpu, device, launch=launch)


def plan_jobs(args: argparse.Namespace, place: Place) -> list[RetrainJob]:
    """One job for each architecture and seed; the control and --spec after the best."""
    facts = RunDir(args.run).read()
    given = {f.name: getattr(args, f.name, None) for f in fields(Proxy)}
    changes = {name: value for name, value in given.items() if value is not None}
    if min(args.seed) < 0:
        raise ValueError(f"--seed is 0 or more, not {min(args.seed)}")
    people = (facts.get("proxy") or {}).get("validation_people")
    if people:  # whoever did not choose the architecture, in full training too
        changes.setdefault("validation_people", tuple(people))
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
        proxy, heard = Proxy.from_dict(facts["proxy"]), partial(say, None if quiet else sys.stderr)
        return find_kind(facts["config"].get("task")).make(proxy, heard, progress=not quiet)
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
