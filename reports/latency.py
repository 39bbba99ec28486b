"""How long one image takes on this machine, measured when a report is built.

Multiply-adds do not tell time, so the architectures that a reader may choose between (the best few and the
control) are built and run here: one 3 x 256 x 256 image, float32, evaluation mode, the median of several runs
after warm-up. Kept beside the report by hardware, since another machine has other times.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from space import ArchSpec
from space.telling import doing

CACHE = "latency.json"  # beside the report
SIZE = 256  # pixels, where budgets are meant
RUNS = 7
WARM_UP = 2
SECONDS = 12.0  # after which no further architecture is started: a report takes under a minute


def measured(
    architectures: Iterable[ArchSpec], cache: Path, seconds: float = SECONDS
) -> tuple[dict[str, float], str]:
    """Milliseconds by architecture id, and the hardware. `cache` is a JSON file, read and added to."""
    import torch

    from proxy_tasks.engine import hardware

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    machine = hardware(device)
    known = _read(cache)
    times: dict[str, float] = known.setdefault(machine, {})
    until = time.monotonic() + seconds
    wanted = list(dict.fromkeys(architectures))
    for arch in wanted:
        if arch.id not in times and time.monotonic() < until:
            with doing(f"measuring the latency of {arch.id}"):
                times[arch.id] = 1_000 * _seconds(arch, device)
    cache.parent.mkdir(parents=True, exist_ok=True)
    cache.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")
    return {arch.id: times[arch.id] for arch in wanted if arch.id in times}, machine


def _read(cache: Path) -> dict[str, Any]:
    """What was measured before; nothing where the file is missing or damaged, as it can be measured again."""
    try:
        return json.loads(cache.read_text())
    except (OSError, ValueError):
        return {}


def _seconds(arch: ArchSpec, device: Any) -> float:
    """Median wall time of a forward pass of one image."""
    import torch

    from proxy_tasks.backbone import build_model
    from proxy_tasks.precision import full_float32

    model = build_model(arch).eval().to(device)
    image = torch.zeros(1, 3, SIZE, SIZE, device=device)
    times = []
    with full_float32(), torch.inference_mode():
        for _ in range(WARM_UP + RUNS):
            start = time.perf_counter()
            model(image)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            times.append(time.perf_counter() - start)
    return statistics.median(times[WARM_UP:])
