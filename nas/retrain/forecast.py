"""What training in full will take, before it is begun: hours of this machine, and memory.

A few training steps of the first network on noise give the seconds a step, the data's lists the steps, and
the other networks count by their multiply-adds. tests/test_retrain_forecast.py
"""

from __future__ import annotations

import heapq
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from nas.retrain.job import RetrainJob
from nas.retrain.request import Place
from nas.trials.needs import Calibration, peak_bytes, seconds_per_run, step_seconds, training_images
from proxy_tasks.kind import find_kind
from space.cost import INPUT_SIZE

CPU_IMAGES = 4  # of a step that is timed on a CPU: more would take longer than anybody waits
SLOW = 5e10  # multiply-adds a second of a CPU, backward pass included: a guess that decides who is warned
LONG = 600  # seconds by that guess, from which on a run without a GPU is announced
CPU_BYTES = 5e8  # of a process before it has a network
TRAINING = 3  # times a forward pass


@dataclass(frozen=True, slots=True)
class Cost:
    """Of all jobs: networks, hours of each, hours until the last is done, bytes of one process."""

    networks: int
    hours_each: tuple[float, ...]
    wall_hours: float
    memory_bytes: float
    place: str


def cost(jobs: Sequence[RetrainJob], place: Place) -> Cost:
    """Time the first network here and say what all take; ValueError where a batch cannot be filled."""
    import torch

    first = jobs[0]
    if place.gpu and not torch.cuda.is_available():
        raise ValueError("--dry-run times a few steps here, and the GPUs are elsewhere: run it there")
    device = torch.device(place.device)
    images = _images(first)
    seconds_per_run(first.proxy, images, 1.0)  # refused before anything is timed
    outputs = find_kind(first.task).outputs
    step = step_seconds(first.arch, first.proxy, device, CPU_IMAGES, outputs) / place.processes
    each = seconds_per_run(first.proxy, images, step) / 3600
    hours = tuple(each * job.arch.macs(outputs=outputs) / first.arch.macs(outputs=outputs) for job in jobs)
    share = first.proxy.replace(batch=max(1, first.proxy.batch // place.processes))
    calibration = Calibration() if place.gpu else Calibration(fixed_bytes=CPU_BYTES)
    memory = max(peak_bytes(job.arch, share, calibration, outputs) for job in jobs)
    kind = "GPU" if place.gpu else "CPU process"
    where = f"{place.processes} {kind}{'s' if place.gpu and place.processes > 1 else ''}"
    where += f", {place.at_once} networks at a time" if place.at_once > 1 and len(jobs) > 1 else ""
    return Cost(len(jobs), hours, wall_hours(hours, place.at_once), memory, where)


def wall_hours(hours: Sequence[float], at_once: int) -> float:
    """Until the last is done, where each takes the first place that is free, in their order."""
    free = [0.0] * max(1, at_once)
    for each in hours:
        heapq.heapreplace(free, free[0] + each)
    return max(free)


def _images(job: RetrainJob) -> int:
    found = find_kind(job.task).look(job.data, job.proxy)
    return found.images if job.trainval else training_images(job.proxy, found)


def describe(jobs: Sequence[RetrainJob], found: Cost) -> str:
    """For a person who has to decide whether to begin."""
    proxy = jobs[0].proxy
    networks = "1 network" if found.networks == 1 else f"{found.networks} networks"
    lines = [
        f"{networks}, {proxy.epochs} epochs at {proxy.resolution}x{proxy.resolution}, batch {proxy.batch}, "
        f"on {found.place}:",
        *(f"  {_span(h):>10}  {job.folder_name}" for h, job in zip(found.hours_each, jobs, strict=True)),
        f"time    about {_span(found.wall_hours)} in all, by a few steps that were timed here",
        f"memory  {found.memory_bytes / 1e9:.1f} GB a process, from the layer sizes",
    ]
    return "\n".join(lines)


def _span(hours: float) -> str:
    if hours < 1 / 60:
        return f"{hours * 3600:.0f} s"
    return (
        f"{hours * 60:.0f} min" if hours < 2 else f"{hours:.0f} h" if hours < 96 else f"{hours / 24:.0f} days"
    )


def is_long(jobs: Sequence[RetrainJob]) -> bool:
    """Whether they would keep a CPU busy for long, by a guess that costs nothing."""
    first = jobs[0].proxy  # all share data and schedule
    looks = TRAINING * _images(jobs[0]) * first.epochs * (first.resolution / INPUT_SIZE) ** 2
    return looks * sum(job.arch.macs() for job in jobs) / SLOW > LONG


def announce(jobs: Sequence[RetrainJob], place: Place) -> None:
    """Without a GPU, say what a long schedule takes before it begins; a Ctrl-C then costs nothing."""
    if place.gpu or not jobs or not is_long(jobs):
        return
    print("no GPU here: timing a few steps before training begins", file=sys.stderr, flush=True)
    print(describe(jobs, cost(jobs, place)), file=sys.stderr)
    print(
        "Ctrl-C stops it; --epochs, --resolution, --subjects make it shorter, --ray-address joins a cluster",
        file=sys.stderr,
        flush=True,
    )
