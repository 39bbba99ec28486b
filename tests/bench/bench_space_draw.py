"""Architectures a second inside the window: exact draws against drawing, building, counting and rejecting.

    python tests/bench/bench_space_draw.py [--repeats 7] [--candidates 8]

Reject, fvcore: the way of SCRFD's and pycls's tools. Draw depths and non-decreasing widths, build the
network, count it at 256x256 with fvcore, keep it if it lies in the window. Acceptance is known exactly
(feasible / all architectures), so the rate is acceptance over the mean seconds of a candidate.
Reject, tables: the same with this package's vectorised cost instead of the network, the best that
rejection can do. Both draw uniformly from the space, as `draw_array` does from the feasible set.

Target: 100,000 a second in batches.
2-core Intel Xeon, nothing else running, Python 3.11.7, numpy 2.4.6, torch 2.13.0+cpu,
fvcore 0.1.5.post20221221, n = 7:

    fvcore: 1.14 ± 0.28 s a candidate (mean, standard error, n = 8), 1 in 227.5 accepted
    accepted architectures  a second, median (range)                against fvcore
    reject, fvcore          0.00384, one in 260 s                                1
    reject, tables          14,494 (14,293 to 15,275)                    3,774,735
    draw 1                  9,656 (7,493 to 11,569)                      2,514,657
    draw 1,000              165,110 (153,624 to 172,004)                43,000,383
    draw 100,000            350,045 (332,364 to 351,872)                91,164,193
    from_unit, one          4,544 (4,514 to 4,576)                       1,183,446
    from_unit, 20,000       38,974 (37,919 to 39,186)                   10,150,270
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable

import fvcore
import numpy as np
import torch
from fvcore.nn import FlopCountAnalysis

from proxy_tasks.backbone import build_model
from space import ArchSpec, Budget, FeasibleSet, Space, cost

BATCHES = (1, 1_000, 100_000)


def draw_space(space: Space, n: int, rng: np.random.Generator) -> np.ndarray:
    """(about n, 8) uniform architectures of a space with non-decreasing widths, before any budget.

    A sorted choice of 4 from k widths with repetition is 4 distinct of k + 3, less 0, 1, 2, 3.
    """
    widths = np.array(space.width_choices[0])
    chosen = np.sort(rng.integers(0, len(widths) + 3, (n, 4)), axis=1)
    chosen = chosen[(np.diff(chosen, axis=1) > 0).all(1)] - np.arange(4)
    depths = rng.integers(1, len(space.depth_choices[0]) + 1, chosen.shape)
    return np.concatenate([depths, widths[chosen]], axis=1)


def rate(call: Callable[[], int], repeats: int) -> tuple[float, float, float]:
    """Median, least and greatest of what `call` returns per second, after one call to warm up."""
    call()
    rates = []
    for _ in range(repeats):
        start = time.perf_counter()
        done = call()
        rates.append(done / (time.perf_counter() - start))
    return statistics.median(rates), min(rates), max(rates)


def fvcore_candidates(space: Space, n: int) -> list[float]:
    """Seconds of each of `n` uniform candidates: build it, count it."""
    seconds = []
    for row in draw_space(space, 2 * n + 8, np.random.default_rng(0))[: n + 1].tolist():
        start = time.perf_counter()
        model = build_model(ArchSpec(tuple(row[:4]), tuple(row[4:]))).eval()
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            analysis = FlopCountAnalysis(model, torch.zeros(1, 3, 256, 256))
            analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total()
        seconds.append(time.perf_counter() - start)
    return seconds[1:]  # the first warms up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--candidates", type=int, default=8, help="networks for fvcore")
    args = parser.parse_args()
    versions = f"Python {platform.python_version()}, numpy {np.__version__}, torch {torch.__version__}"
    print(f"{os.cpu_count()} cores, {versions}, fvcore {fvcore.__version__}, n = {args.repeats}; ", end="")
    print(f"load {os.getloadavg()[0]:.1f}")
    space, budget, rng = Space(), Budget.parse("5.1GFLOPs"), np.random.default_rng(0)
    feasible = FeasibleSet(space, budget)
    acceptance = feasible.count / space.size

    seconds = fvcore_candidates(space, args.candidates)
    mean, error = statistics.mean(seconds), statistics.stdev(seconds) / len(seconds) ** 0.5
    base = acceptance / mean
    print(
        f"fvcore: {mean:.2f} ± {error:.2f} s a candidate (mean, standard error, n = {len(seconds)}), ", end=""
    )
    print(f"1 in {1 / acceptance:.1f} accepted")
    print(f"{'accepted architectures':<24}{'a second, median (range)':<38}{'against fvcore':>16}")
    print(f"{'reject, fvcore':<24}{f'{base:.5f}, one in {1 / base:,.0f} s':<38}{1:>16}")

    def by_tables() -> int:
        macs = cost.costs(space.block, draw_space(space, 200_000, rng))
        return int(np.count_nonzero((macs >= budget.low) & (macs <= budget.high)))

    def line(name: str, rates: tuple[float, float, float]) -> None:
        median, least, greatest = rates
        print(f"{name:<24}{f'{median:,.0f} ({least:,.0f} to {greatest:,.0f})':<38}{median / base:>16,.0f}")

    line("reject, tables", rate(by_tables, args.repeats))
    for n in BATCHES:
        line(f"draw {n:,}", rate(lambda: len(feasible.draw_array(n, rng)), args.repeats))  # noqa: B023
    points = rng.random((20_000, 8))
    line("from_unit, one", rate(lambda: len([feasible.from_unit(u) for u in points[:200]]), args.repeats))
    line("from_unit, 20,000", rate(lambda: len(feasible.from_unit_array(points)), args.repeats))


if __name__ == "__main__":
    main()
