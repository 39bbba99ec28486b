"""How much device memory a training run peaks at, from its spec, and how many share one GPU.

The peak is that of nas/trials/needs.py. What the backward pass keeps of each activation is measured once on a
device with the control network, by one training step at two batch sizes, and kept in the cache by device,
precision and resolution. Data that is kept on a device comes on top, up to half of what a process may take;
the longer race reads the same copy.
tests/test_search_memory.py

On a CPU what counts is the parameters: measured on networks of 4 to 66 million, a
worker peaks at 0.4 GB and 30 bytes a parameter (weights, gradients, momentum, bf16
copies, and what glibc keeps of them during a run).
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np

from nas.search.plan import Plan
from nas.trials.needs import PARAMETER_BYTES, Calibration, peak_bytes, scoring_bytes, training_step
from proxy_tasks.proxy import Proxy
from space import ArchSpec
from space.files import write_json
from space.machine import cache_root

HEADROOM = 0.9  # of a device's memory; the rest goes to fragmentation
SAMPLE = 256  # architectures whose memory stands for the set's
MOST_SHARES = 16


CPU_WORKER = 0.4e9  # bytes of a worker that trains on the CPU, and for each parameter
CPU_PARAMETER = 30
ELSE = 2.5e9  # bytes of the machine for the driver, Ray, and whatever else a person runs


def cpu_slots(plan: Plan, memory: float) -> int:
    """Trials that train on the CPU at once in `memory` bytes; at least one."""
    specs = plan.feasible.draw(SAMPLE, np.random.default_rng(0))
    largest = float(np.quantile([spec.params(plan.space.outputs) for spec in specs], 0.99))
    return max(1, math.floor((memory - ELSE) / (CPU_WORKER + CPU_PARAMETER * largest)))


def largest_peak(plan: Plan, calibration: Calibration) -> float:
    """The memory that all but one in a hundred architectures of the set stay within."""
    specs = plan.feasible.draw(SAMPLE, np.random.default_rng(0))
    facts = (plan.proxy, calibration, plan.space.outputs)
    peaks = [max(f(spec, *facts) for f in (peak_bytes, scoring_bytes)) for spec in specs]
    return float(np.quantile(peaks, 0.99))


def slices(peak: float, device_bytes: float, data_bytes: float = 0.0) -> int:
    """How many such runs share a device, each with its own copy of the data as far as its share has room.

    At least one, for which the retry alone is the safety net.
    """
    from proxy_tasks.memory import RESIDENT_SHARE

    for n in range(MOST_SHARES, 1, -1):
        share = device_bytes / n
        if peak + min(data_bytes, RESIDENT_SHARE * share) <= HEADROOM * share:
            return n
    return 1


def fitting_share(plan: Plan, data_bytes: float, measured: tuple[Calibration, float]) -> float:
    """GPUs a trial, an exact 1/n, for --gpus-per-trial auto; one share for the whole search.

    One share, not one a spec: an actor is reused only by trials of the same size, and a fresh one costs more
    than the memory it saves. A trial that needs more is run again alone. `measured` is of `measure_gpu`.
    """
    calibration, device_bytes = measured
    return 1 / slices(largest_peak(plan, calibration), device_bytes, data_bytes)


def measure_gpu(plan: Plan) -> tuple[Calibration, float]:
    """Of this process's GPU: its calibration, and its bytes. ValueError where there is none."""
    import torch

    if not torch.cuda.is_available():
        raise ValueError("--gpus-per-trial auto measures a GPU, and there is none: give a slice such as 1/2")
    return calibrate(plan), float(torch.cuda.get_device_properties(0).total_memory)


def calibrate(plan: Plan) -> Calibration:
    """Measured on the current CUDA device, once; kept under the cache directory."""
    import torch

    name = torch.cuda.get_device_name().replace(" ", "-").replace("/", "-")
    how = f"{plan.proxy.precision}_{plan.proxy.resolution}px"
    path = cache_root() / "memory" / f"{name}_{torch.__version__}_{how}.json"
    if path.exists():
        return Calibration(**json.loads(path.read_text()))
    few, many = (_measure(plan.control, plan.proxy, batch, plan.space.outputs) for batch in (16, 64))
    activations = plan.control.activations(plan.proxy.resolution)
    each = max(2.0, (many - few) / (48 * activations))
    fixed = max(
        6e8, few - 16 * activations * each - plan.control.params(plan.space.outputs) * PARAMETER_BYTES
    )
    found = Calibration(each, fixed + 6e8, measured=True)  # the context is outside torch's own count
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(found))
    return found


def _measure(spec: ArchSpec, proxy: Proxy, batch: int, outputs: int) -> float:
    """Peak bytes that torch reserves over two training steps."""
    import torch

    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    step = training_step(spec, proxy, batch, torch.device("cuda"), outputs)
    step()
    step()
    peak = float(torch.cuda.max_memory_reserved())
    del step
    torch.cuda.empty_cache()
    return peak
