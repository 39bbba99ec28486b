"""Seconds to count and index a feasible set: cold, from its file on disk, and by enumeration.

    python tests/bench/bench_space_index.py [--repeats 7]

Enumeration counts all depths of every four widths with the package's own vectorised cost, timed on a
sample of the widths and scaled up to all of them. It would draw nothing and keep no index.

Targets: 3 s cold on two cores, 0.1 s from disk, for the first case.
2-core Intel Xeon (load 2.4), Python 3.11.7, numpy 2.4.6, n = 7:

    median (slowest), seconds      architectures              cold           from disk   ratio
    default space, 5.1 GFLOPs      1,117,743,257    0.255 (0.336)     0.0134 (0.0138)      19
    default space, 20 GFLOPs       3,896,757,782    0.494 (0.505)     0.0182 (0.0209)      27
    free widths, 5.1 GFLOPs        5,990,746,314    0.597 (0.617)     0.0226 (0.0234)      26
    bottleneck, 5.7 GFLOPs         1,293,623,701    0.248 (0.250)     0.0092 (0.0097)      27
    files of all four 77 MB; enumerating the first 15.2 hours

Two thirds of the first case go into 6.6 million binary searches.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from space import Budget, FeasibleSet, Space, cost

CASES = {
    "default space, 5.1 GFLOPs": (Space(), "5.1GFLOPs"),
    "default space, 20 GFLOPs": (Space(), "20GFLOPs"),
    "free widths, 5.1 GFLOPs": (Space(free_widths=True), "5.1GFLOPs"),
    "bottleneck, 5.7 GFLOPs": (Space("bottleneck"), "5.7GFLOPs"),
}


def median_seconds(call: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median and slowest of `repeats` calls after one to warm up."""
    call()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), max(seconds)


def enumeration_seconds(space: Space, budget: Budget, sample: int = 6) -> float:
    """All depths of every four widths, from `sample` of them."""
    rng = np.random.default_rng(0)
    depths = np.stack(np.meshgrid(*[np.array(c) for c in space.depth_choices], indexing="ij"), -1).reshape(
        -1, 4
    )
    widths = np.sort(rng.choice(np.array(space.width_choices[0]), (sample, 4)), axis=1)
    start = time.perf_counter()
    for each in widths:
        rows = np.concatenate([depths, np.broadcast_to(each, depths.shape)], axis=1)
        macs = cost.costs(space.block, rows)
        np.count_nonzero((macs >= budget.low) & (macs <= budget.high))
    return (time.perf_counter() - start) / sample * (space.size / len(depths))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    versions = f"Python {platform.python_version()}, numpy {np.__version__}"
    print(f"{os.cpu_count()} cores, {versions}, n = {repeats}; load {os.getloadavg()[0]:.1f}")
    print(f"{'median (slowest), seconds':<28}{'architectures':>16}{'cold':>18}{'from disk':>20}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["JMLR_NAS_CACHE"] = folder
        for name, (space, text) in CASES.items():
            budget = Budget.parse(text)
            cold, cold_worst = median_seconds(lambda: FeasibleSet(space, budget, cache=False), repeats)  # noqa: B023
            disk, disk_worst = median_seconds(lambda: FeasibleSet(space, budget), repeats)  # noqa: B023
            count = FeasibleSet(space, budget).count
            print(
                f"{name:<28}{count:>16,}{cold:>9.3f} ({cold_worst:.3f}){disk:>11.4f} ({disk_worst:.4f})"
                f"{cold / disk:>8.0f}"
            )
        size = sum(path.stat().st_size for path in Path(folder, "space").iterdir())
    naive = enumeration_seconds(Space(), Budget.parse("5.1GFLOPs"))
    print(f"files of all four {size / 1e6:.0f} MB; enumerating the first {naive / 3600:.1f} hours")


if __name__ == "__main__":
    main()
