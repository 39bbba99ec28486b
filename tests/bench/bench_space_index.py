"""Seconds to count and index a feasible set: cold, from its file on disk, and by enumeration.

    python tests/bench/bench_space_index.py [--repeats 7]

Enumeration counts all depths of every four widths with the package's own vectorised cost, timed on a
sample of the widths and scaled up to all of them. It would draw nothing and keep no index.

Targets: 3 s cold on two cores, 0.1 s from disk, for the first case.
2-core Intel Xeon with other work on it (load 7.4), Python 3.11.7, numpy 2.4.6, n = 7:

    median (slowest), seconds      architectures              cold           from disk   ratio
    default space, 5.1 GFLOPs      1,117,743,257    0.822 (1.082)     0.0177 (0.0316)      47
    default space, 20 GFLOPs       3,896,757,782    1.465 (1.803)     0.0718 (0.1328)      20
    free widths, 5.1 GFLOPs        5,990,746,314    2.267 (2.736)     0.1149 (0.1219)      20
    bottleneck, 5.7 GFLOPs         1,293,623,701    1.136 (1.245)     0.0410 (0.0510)      28
    files of all four 77 MB; enumerating the first 88.8 hours

The first case takes 0.28 s of one core's own time, two thirds of it in 6.6 million binary searches.
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
