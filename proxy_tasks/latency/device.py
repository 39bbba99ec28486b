"""The conditions of a measurement on this machine, by name."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from proxy_tasks.engine import resolve_device
from space.latency import Conditions
from space.machine import cores
from space.plan import OUTPUTS

MODES = ("eager", "compiled", "onnxruntime")
PRECISIONS = ("fp32", "bf16")
MOST_BATCH = 4096  # images: 3 GB of them


def conditions_here(
    device: str = "auto",
    *,
    threads: int | None = None,
    precision: str = "fp32",
    batch: int = 1,
    mode: str = "eager",
    block: str = "basic",
    outputs: int = OUTPUTS,
) -> Conditions:
    """What networks are timed under here; ValueError for what this machine cannot do.

    threads  of a CPU; by default all cores that this process is granted
    """
    _one_of("--mode", mode, MODES)
    _one_of("--precision", precision, PRECISIONS)
    if not 1 <= batch <= MOST_BATCH:
        raise ValueError(f"--batch is 1 to {MOST_BATCH} images, not {batch}")
    if threads is not None and threads < 1:
        raise ValueError(f"--threads is at least 1, not {threads}")
    found = resolve_device(device)
    if found.index is not None:
        torch.cuda.set_device(found)  # conditions name the card by its name: from here on it is this one
    name = torch.cuda.get_device_name(found) if found.type == "cuda" else _cpu(threads)
    if mode == "onnxruntime":
        _check_onnxruntime(precision, found)
    return Conditions(name, precision, batch, mode, _software(mode), block, outputs=outputs)


def device_of(conditions: Conditions) -> torch.device:
    """The device here that these conditions name; ValueError where it is another machine's."""
    if (threads := threads_of(conditions)) is not None:
        here, device = _cpu(threads), torch.device("cpu")
    else:
        here, device = ("a CPU", torch.device("cpu"))
        if torch.cuda.is_available():
            here, device = torch.cuda.get_device_name(), torch.device("cuda")
    if here != conditions.device:
        raise ValueError(f"the latency table is of {conditions.device}, and this machine is {here}: {AGAIN}")
    return device


AGAIN = "measure one here with python -m proxy_tasks.latency calibrate"


def require_here(conditions: Conditions) -> None:
    """ValueError, one sentence, where times under these conditions cannot be taken on this machine now."""
    device_of(conditions)
    if (now := _software(conditions.mode)) != conditions.software:
        raise ValueError(f"the latency table was measured with {conditions.software}, not {now}: {AGAIN}")


def is_here(conditions: Conditions) -> bool:
    """Whether times under these conditions can be taken on this machine now."""
    try:
        require_here(conditions)
    except ValueError:
        return False
    return True


def threads_of(conditions: Conditions) -> int | None:
    """Of a CPU; None for a GPU."""
    found = re.search(r", (\d+) threads?$", conditions.device)
    return int(found[1]) if found else None


def _cpu(threads: int | None) -> str:
    count = threads or cores()
    return f"{_processor()}, {count} thread{'s' if count > 1 else ''}"


def _processor() -> str:
    """The CPU's name where the system tells, and its instruction set, which virtual machines may hide."""
    name = "CPU"
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        name = found[1].strip() if found else name
    except OSError:
        pass
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"


def _software(mode: str) -> str:
    if mode == "onnxruntime":
        from proxy_tasks.latency.onnx_graph import version

        return f"onnxruntime {version()}"
    return f"torch {torch.__version__}"


def _check_onnxruntime(precision: str, device: torch.device) -> None:
    from proxy_tasks.latency.onnx_graph import providers, version

    version()
    if precision != "fp32":
        raise ValueError("--mode onnxruntime is measured at --precision fp32")
    if device.type == "cuda" and "CUDAExecutionProvider" not in providers():
        raise ValueError("this onnxruntime runs on CPUs only: give --device cpu, or install onnxruntime-gpu")


def _one_of(flag: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{flag} is one of {', '.join(choices)}, not {value!r}")
