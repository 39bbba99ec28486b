"""How long a report takes: sections and figures of 8, 64 and 1,000 simulated trials.

    python tests/bench/bench_reports.py

Measured latencies are left out, as they are capped by the clock (reports/latency.py: at most 12 s a build,
and none for architectures that were measured before). Median of 3 builds after one warm-up.

Last: Intel Xeon, 2 cores, nothing beside it, Python 3.11, matplotlib 3.11, OMP_NUM_THREADS unset.

    trials   CPU s   wall s   page MB
         8     4.0      4.0       1.3
        64     4.6      4.6       1.8
     1,000     7.4      7.3       3.1
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

from reports_simulated import run  # noqa: E402

import reports.sections.tradeoffs as tradeoffs  # noqa: E402
from reports.build import build  # noqa: E402


def made_up(architectures, cache):
    return {arch.id: 50.0 for arch in architectures}, "not measured"


def main() -> int:
    tradeoffs.measured = made_up
    print("trials   CPU s   wall s   page MB")
    for n in (8, 64, 1_000):
        simulated = run(n, pruned=0.3)
        with tempfile.TemporaryDirectory() as folder:
            build(simulated, Path(folder))
            cpu, wall = [], []
            for _ in range(3):
                start = time.process_time(), time.perf_counter()
                page = build(simulated, Path(folder))
                cpu.append(time.process_time() - start[0])
                wall.append(time.perf_counter() - start[1])
            size = page.stat().st_size / 1e6
        print(f"{n:6,d} {statistics.median(cpu):7.1f} {statistics.median(wall):8.1f} {size:9.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
