"""What a search will cost, before it costs anything: --dry-run.

A few training steps of the control on noise give the seconds a step; the data
set's lists give the steps; the plan gives the runs. Nothing is trained and
nothing is written. FLOPs are equal over the set and times are not, so each network
counts with its own, by comparison with the control (nas/search/pace.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from nas.search.memory import calibrate, largest_peak
from nas.search.pace import Pace
from nas.search.plan import Plan
from nas.trials.needs import (
    VALIDATION,
    Calibration,
    seconds_per_run,
    step_seconds,
    training_images,
)
from nas.trials.rungs import asha_share
from proxy_tasks.kind import DEFAULT, find_kind

CHECKPOINTS = 3  # of a live trial: the newest, the one before, and one that is being written
STORE_BYTES = 20_000  # a trial in the journal
CURVE_BYTES = 10_000  # a trial's TensorBoard file


@dataclass(frozen=True, slots=True)
class Forecast:
    """Predictions for one search; hours of one device (or share of it), bytes."""

    runs: dict[str, int]
    seconds_per_run: float  # mean over the set
    control_seconds: float
    between: tuple[float, float]  # seconds of 9 runs of 10
    device_hours: float
    wall_hours: float
    slots: int
    memory_bytes: float
    memory_measured: bool
    disk_bytes: float
    cache_bytes: float
    device: str = "this machine"
    checkpoint_bytes: float = 0.0


@dataclass(frozen=True, slots=True)
class Timed:
    """What a machine says of a training step of the control: seconds, memory, and on what."""

    step_seconds: float
    calibration: Calibration
    device: str


def time_here(plan: Plan, threads: int, device: str | None = None) -> Timed:
    """Time a few steps in this process, on its GPU where it has one or on `device`."""
    import torch

    from nas.trials.training import require_device
    from proxy_tasks.engine import hardware

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    require_device(device)
    torch.set_num_threads(max(1, threads))
    seconds = seconds_per_step(plan, torch.device(device))
    calibration = calibrate(plan) if device == "cuda" else Calibration(fixed_bytes=5e8)
    return Timed(seconds, calibration, hardware(device))


def forecast(
    plan: Plan,
    data: str | None,
    slots: int,
    threads: int,
    task: str = DEFAULT,
    timing: Callable[[Plan, int], Timed] = time_here,
) -> Forecast:
    """Predict the cost of `plan` on the machine where `timing` times a step."""
    kind = find_kind(task)
    images = training_images(plan.proxy, kind.look(data, plan.proxy))
    each = seconds_per_run(plan.proxy, images, 1.0)  # in steps, before any is timed: it may be refused
    timed = timing(plan, threads)
    each *= timed.step_seconds
    parameters = plan.control.params(plan.space.outputs)
    usual, *ends = Pace(plan.control, plan.table, plan.space.outputs).usual(plan.feasible)
    seconds = device_seconds(plan, each, usual)
    in_cache = images * (1 + VALIDATION)
    runs = plan.runs_at_most()
    return Forecast(
        runs=runs,
        seconds_per_run=each * usual,
        control_seconds=each,
        between=(each * ends[0], each * ends[1]),
        device_hours=seconds / 3600,
        wall_hours=seconds / 3600 / slots,
        slots=slots,
        memory_bytes=largest_peak(plan, timed.calibration),
        memory_measured=timed.calibration.measured,
        device=timed.device,
        checkpoint_bytes=parameters * 8,
        disk_bytes=slots * CHECKPOINTS * parameters * 8 + sum(runs.values()) * (STORE_BYTES + CURVE_BYTES),
        cache_bytes=in_cache * kind.kept_bytes(plan.proxy),
    )


def seconds_per_step(plan: Plan, device: object) -> float:
    """Median of a few training steps of the control; a CPU's are timed on part of a large batch."""
    return step_seconds(plan.control, plan.proxy, device, outputs=plan.space.outputs)


def device_seconds(plan: Plan, each: float, usual: float = 1.0) -> float:
    """All runs together; under asha a proposal costs its expected share of a run.

    each   seconds of the control's run
    usual  a proposal's run by the control's, mean over the set
    """
    runs = plan.runs_at_most()
    longer = plan.race_proxy.epochs / plan.proxy.epochs
    share = asha_share(plan.proxy.validations) if plan.scheduler == "asha" else 1.0
    base = usual * (runs["proposals"] * share + runs["race"]) + runs["control"]
    again = runs.get("longer race", 0)
    return each * (base + longer * (usual * max(0, again - plan.repeats) + min(again, plan.repeats)))


def describe(found: Forecast) -> str:
    """For a person who has to ask for a quota."""
    runs = ", ".join(f"{n} {what}" for what, n in found.runs.items())
    total = sum(found.runs.values())
    measured = "measured here" if found.memory_measured else "from the layer sizes"
    return "\n".join(
        [
            f"runs           at most {total} ({runs}); the race usually ends earlier",
            f"time           about {_time(found.seconds_per_run)} a run ({_between(found)}), "
            f"{found.device_hours:.2f} hours of a trial's share of a device in all, "
            f"{found.wall_hours:.2f} hours with {found.slots} at once",
            f"memory         {found.memory_bytes / 1e9:.1f} GB a run for 99 of 100 architectures, {measured}",
            f"disk           {_size(found.disk_bytes)} in the run directory, {_size(found.cache_bytes)} of "
            "crops in the cache",
            f"shared storage {_storage(found)}",
            f"timed on       {found.device}",
            "nothing was trained and nothing was written",
        ]
    )


def _storage(found: Forecast) -> str:
    """What the checkpoints ask of --out: how much at once, and how fast."""
    from proxy_tasks.checkpoint import EVERY

    at_once = found.slots * CHECKPOINTS * found.checkpoint_bytes
    if found.seconds_per_run < EVERY:
        return f"no checkpoints: a run is shorter than {EVERY:.0f} s"
    rate = found.slots * found.checkpoint_bytes / EVERY
    return f"up to {_size(at_once)} of checkpoints at once, {_size(rate)} a second"


def _between(found: Forecast) -> str:
    low, high = (_time(seconds) for seconds in found.between)
    return f"{low} to {high} for 9 networks of 10, {_time(found.control_seconds)} the control"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _size(value: float) -> str:
    return f"{value / 1e9:.1f} GB" if value >= 1e9 else f"{math.ceil(value / 1e6)} MB"
