"""How many networks a second a latency table predicts.

    python tests/bench/bench_latency_table.py

A table at all 64 widths of the default space, as proxy_tasks.latency makes them, read for a million networks.
Median of 5 by processor time, one thread of numpy. The wanted rate is a million networks a second.

2-core Intel Xeon with other work on it: 2.15 million networks a second.
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from proxy_tasks.latency.fit import fit
from space import Budget, FeasibleSet, Space
from space.cost import ACTIVATIONS, MACS, costs
from space.latency import Conditions

NETWORKS, REPEATS = 1_000_000, 5


def main() -> None:
    feasible = FeasibleSet(Space(), Budget.parse("5.1GFLOPs"))
    known = feasible.draw_array(20, np.random.default_rng(0))
    times = 1e-8 * costs("basic", known, MACS) + 2e-6 * costs("basic", known, ACTIVATIONS)
    table = fit(feasible.space, Conditions("simulated"), known, times).table
    rows = feasible.draw_array(NETWORKS, np.random.default_rng(1))
    assert np.isfinite(table("basic", rows[:1000])).all()
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        table("basic", rows)
        seconds.append(time.process_time() - start)
    print(f"{NETWORKS / statistics.median(seconds) / 1e6:.2f} million networks a second")


if __name__ == "__main__":
    main()
