"""A search's request, checked before anything is written."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nas.record.objectives import second_of
from nas.record.run_dir import RunDir, RunError, newest, outputs_counted
from nas.record.storage import require_storage, sqlite_file, without_password
from nas.record.store import Store
from nas.search import flags, known
from nas.search.config import SearchConfig, gpu_share
from nas.search.plan import Plan, resolve
from nas.search.resume import meanings_of, read_request, to_resumed
from nas.search.session import Session
from nas.search.table import find_table
from nas.trials.resources import NoRoom, Resources, check_address
from nas.trials.trial import ObjectiveSpec
from proxy_tasks.kind import find_kind
from space.machine import cores, memory_bytes
from space.plan import OUTPUTS

RUNS = Path("runs")


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
        config = config.replace(warm_start=tuple(str(Path(path).resolve()) for path in config.warm_start))
        for path in config.warm_start:
            known.read(path, plan.proxy, plan.feasible)
    resources = _resources(config, plan, gpus, share)
    _require_here(config, resources, gpus, given.dry_run)
    if config.launcher == "ray" and config.ray_address is not None:
        check_address(config.ray_address)
    spec = _objective(config, plan, resources)
    spec.make()
    if saved is None and config.storage is not None:
        _check_storage(run, config.storage)
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


def _check_storage(run: RunDir, url: str) -> None:
    """RunError for a storage that cannot be opened, or could keep nothing; makes no file."""
    require_storage(url)
    file = sqlite_file(url)
    if file is None or file.exists():
        Store.connect(run, url)
    elif not file.absolute().parent.is_dir():
        raise RunError(f"cannot open the storage {without_password(url)}: there is no folder for the file")


def _require_here(config: SearchConfig, resources: Resources, gpus: int, dry_run: bool) -> None:
    """NoRoom where this machine cannot hold a trial, if nobody asks Ray, which would say so itself."""
    if config.ray_address is not None or config.objective is not None:
        return
    if config.gpus_per_trial == "auto" and not gpus:
        raise NoRoom("--gpus-per-trial auto, but no GPU is visible here: leave it out, or join a cluster")
    if config.launcher == "ray" and not dry_run:
        return
    if resources.cpus > cores() or resources.gpus > gpus:
        raise NoRoom(
            f"a trial needs {resources.cpus:g} CPUs and {resources.gpus:g} GPUs, and this machine has "
            f"{cores()} and {gpus}: lower --cpus-per-trial or --gpus-per-trial, or join a cluster"
        )


def _plan(config: SearchConfig, run: RunDir, saved: dict[str, Any] | None, gpus: int) -> Plan:
    needed = second_of(config.objectives) == "latency" or config.max_latency is not None
    outputs = _outputs(config) if saved is None else outputs_counted(saved)
    table = find_table(config, run, outputs, resumed=saved is not None, needed=needed)
    if saved is None:
        return resolve(config, gpus=gpus, table=table, outputs=outputs)
    _, proxy, archs = read_request(run, saved)
    return resolve(config, gpus=gpus, proxy=proxy, seed_archs=archs, table=table, outputs=outputs)


def _outputs(config: SearchConfig) -> int:
    """Of the networks that budget and caps count; an objective that trains nothing has the default task's."""
    return OUTPUTS if config.objective is not None else find_kind(config.task).outputs


def _resources(config: SearchConfig, plan: Plan, gpus: int, share: float | None) -> Resources:
    """CPUs and GPUs of a trial: by default one GPU and its part of the cores; without a GPU one core, or more
    where as many trials as cores would not fit in this machine's memory."""
    if share is None:
        share = _fitting_share(config, plan) if gpus else 0.0
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
        if not share and config.ray_address is None and config.objective is None:
            from nas.search.memory import cpu_slots

            cpus = float(-(-cores() // min(cores(), cpu_slots(plan, memory_bytes()))))
    return Resources(cpus, share, config.ray_address)


def _fitting_share(config: SearchConfig, plan: Plan) -> float:
    """By the memory of a GPU of the cluster that is joined, or of this machine."""
    from nas.search.memory import fitting_share, measure_gpu
    from nas.trials.needs import VALIDATION, training_images

    kind = find_kind(config.task)
    images = training_images(plan.proxy, kind.look(config.data, plan.proxy)) * (1 + VALIDATION)
    if config.ray_address is None:
        measured = measure_gpu(plan)
    else:
        from nas.trials.cluster import on_a_worker

        measured, _ = on_a_worker(Resources(1.0, 1.0, config.ray_address), measure_gpu, plan.alone())
    return fitting_share(plan, images * kind.kept_bytes(plan.proxy), measured)


def _objective(config: SearchConfig, plan: Plan, resources: Resources) -> ObjectiveSpec:
    if config.objective is not None:
        return ObjectiveSpec(config.objective, config.objective_args)
    data = config.data or find_kind(config.task).look(None, plan.proxy).path
    threads = max(1, round(resources.cpus))
    device = "auto" if config.launcher == "inprocess" else "cuda" if resources.gpus else "cpu"
    if device == "cpu" and config.launch_steps.endswith("graphs"):
        raise ValueError(
            f"--launch-steps {config.launch_steps} is for trials on a GPU: use eager or compiled"
        )
    return ObjectiveSpec(
        "nas.trials.training:ProxyTraining",
        {
            "data": data,
            "device": device,
            "threads": threads,
            "task": config.task,
            "launch": config.launch_steps,
        },
    )


def dry_run(session: Session) -> int:
    """Print what the search would cost; train nothing, write nothing."""
    from nas.search.forecast import Timed, forecast, time_here
    from nas.search.forecast import describe as tell

    config, resources = session.config, session.resources
    if config.objective is not None:
        runs = session.plan.runs_at_most()
        print(
            f"runs           at most {sum(runs.values())} ({', '.join(f'{n} {w}' for w, n in runs.items())})"
        )
        print(f"time           what a run of {config.objective} takes is for that objective to know")
        print("nothing was trained and nothing was written")
        return 0
    threads = max(1, round(resources.cpus))
    timing: Callable[[Plan, int], Timed] = time_here
    if config.launcher == "inprocess":
        slots = 1
    elif resources.address is not None:  # a worker is timed, not this machine, which may be a head alone
        from nas.trials.cluster import on_a_worker

        device = "cuda" if resources.gpus else "cpu"
        timed, slots = on_a_worker(resources, time_here, session.plan.alone(), threads, device)
        timing = lambda plan, threads: timed  # noqa: E731
    elif resources.gpus:
        slots = max(1, round(_gpus(config) / resources.gpus))
    else:
        slots = max(1, int(cores() // resources.cpus))
    print(tell(forecast(session.plan, config.data, slots, threads, config.task, timing)))
    return 0
