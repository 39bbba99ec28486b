"""Caps beside the budget: what they cost to count and to draw from, and whether a search still finds.

    python tests/bench/bench_caps.py [--repeats 5]                              seconds and rates, in quiet
    python tests/bench/bench_caps.py --search [--searches 50] [--results FILE]  costs of searches, anywhere

The first part counts what each case leaves (no cache) and takes its draws and points; each rate is the median
of the repeats. Target: 1,000 draws a second where 1 % is left, in batches and by ones alike.

The second part is bench_search_cost.py's: full runs that a strategy pays until one of the best 1 % of its
own set is complete (the stand-in, full fidelity, 0.15 mm noise, at most 300 proposals). If the cube of what
caps leave is as good to search as the window's, tpe gains on random under caps as it does without.

Times are to be taken in quiet. Searches, 2-core Intel Xeon (other work on it; costs do not depend on that),
Python 3.11.7, optuna 5.0.0; 100 searches each, mean ± standard error of the full runs paid:

    no caps: best 1 % at most 34.74 mm
        random     89.3 ±  7.8 full runs  median   61.5   1.0x cheaper than random  5 of 100 not found
        tpe        29.0 ±  3.0 full runs  median   20.0   3.1x cheaper than random  0 of 100 not found
    30 M params: best 1 % at most 34.64 mm
        random     66.2 ±  6.3 full runs  median   46.0   1.0x cheaper than random  1 of 100 not found
        tpe        24.3 ±  1.9 full runs  median   18.5   2.7x cheaper than random  0 of 100 not found
    20 M params, 7 M act.: best 1 % at most 34.35 mm
        random     89.5 ±  7.0 full runs  median   77.5   1.0x cheaper than random  2 of 100 not found
        tpe        33.6 ±  4.3 full runs  median   24.5   2.7x cheaper than random  2 of 100 not found
    4.43 M act.: best 1 % at most 35.86 mm
        random     97.9 ±  8.6 full runs  median   73.0   1.0x cheaper than random  5 of 100 not found
        tpe        57.2 ±  8.5 full runs  median   22.0   1.7x cheaper than random  6 of 100 not found

The tpe rows under caps are from before space/pull.py, with the exactly uniform cube. Where caps leave 1 %,
one search in ten settled in another valley there (a deep fourth stage behind w_1 = 8) and paid ten times as
much; in the window's cube with points pulled inside, as tpe, gp and evolution have it since, 44 seeds of

    4.43 M act.
        tpe, pulled       25.1 ±  3.6 full runs  median   17.0  0 of 44 not found
        tpe, exact cube   48.0            median   21.0, the same seeds

which is what a search pays without caps.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
from bench_search_cost import cost_to_target

from nas.trials.standin import expected_mm
from space import Budget, FeasibleSet, Space
from space.caps import Caps

CASES = {
    "no caps": Caps(),
    "30 M params": Caps(params=30_000_000),
    "20 M params, 7 M act.": Caps(params=20_000_000, activations=7_000_000),
    "4.43 M act.": Caps(activations=4_430_000),
    "6.5 M params": Caps(params=6_500_000),
    "15 M params, 6 M act.": Caps(params=15_000_000, activations=6_000_000),
}
SEARCHED = ("no caps", "30 M params", "20 M params, 7 M act.", "4.43 M act.")
MOST = 300
_COLUMNS = (15, 9, 10, 10, 11, 10)


def rate(call: Callable[[], int], repeats: int) -> float:
    """Median of what `call` returns per second, after one call to warm up."""
    call()
    rates = []
    for _ in range(repeats):
        start = time.perf_counter()
        done = call()
        rates.append(done / (time.perf_counter() - start))
    return statistics.median(rates)


def times(window: FeasibleSet, repeats: int) -> None:
    """A row of the first table for each case."""
    heads = zip(("left", "share", "count, s", "draws/s", "by ones/s", "points/s"), _COLUMNS, strict=True)
    print(f"{'caps':<24}" + "".join(f"{head:>{width}}" for head, width in heads))
    for name, caps in CASES.items():
        start = time.perf_counter()
        feasible = FeasibleSet(window.space, window.budget, caps, cache=False)
        seconds = time.perf_counter() - start
        rng = np.random.default_rng(0)
        drawn = feasible.draw_array(2000, rng)
        assert feasible.holds(drawn).all(), "a draw left the caps"
        some = drawn[:200]
        assert (feasible.from_unit_array(feasible.to_unit_array(some)) == some).all(), (
            "a point did not come back"
        )
        many = rate(lambda f=feasible, g=rng: len(f.draw_array(2000, g)), repeats)
        ones = rate(lambda f=feasible, g=rng: sum(len(f.draw_array(1, g)) for _ in range(50)), repeats)
        points = rate(lambda f=feasible, g=rng: len(f.from_unit_array(g.random((200, 8)))), repeats)
        values = (
            f"{feasible.left:,}", f"{feasible.left / feasible.count:.2%}", f"{seconds:.1f}",
            f"{many:,.0f}", f"{ones:,.0f}", f"{points:,.0f}",
        )  # fmt: skip
        row = (f"{value:>{width}}" for value, width in zip(values, _COLUMNS, strict=True))
        print(f"{name:<24}" + "".join(row), flush=True)


class Results:
    """Full runs paid by (case, strategy, seed), and the file that keeps them, if one is named."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.paid: dict[tuple[str, str, int], float] = {}
        if path is not None and path.exists():
            for line in path.read_text().splitlines():
                case, strategy, seed, paid = json.loads(line)
                self.paid[case, strategy, seed] = paid

    def add(self, key: tuple[str, str, int], paid: float) -> None:
        self.paid[key] = paid
        if self._path is not None:
            with open(self._path, "a") as file:
                file.write(json.dumps([*key, paid]) + "\n")

    def of(self, case: str, strategy: str) -> list[float]:
        return [paid for (c, s, _), paid in self.paid.items() if (c, s) == (case, strategy)]


def searches(window: FeasibleSet, count: int, results: Results) -> None:
    """Run the missing searches, the same seeds of all cases together, and print the second table."""
    sets = {case: window.within(CASES[case]) for case in SEARCHED}
    targets = {case: _target(feasible) for case, feasible in sets.items()}
    for seed in range(count):
        for case, feasible in sets.items():
            for strategy in ("random", "tpe"):
                if (case, strategy, seed) not in results.paid:
                    paid, _ = cost_to_target(feasible, strategy, False, targets[case], seed, MOST)
                    results.add((case, strategy, seed), paid)
    for case in SEARCHED:
        print(f"{case}: best 1 % at most {targets[case]:.2f} mm")
        for strategy in ("random", "tpe"):
            print(_line(results.of(case, "random"), results.of(case, strategy), strategy))


def _target(feasible: FeasibleSet) -> float:
    errors = [expected_mm(spec) for spec in feasible.draw(5_000, np.random.default_rng(1))]
    return float(np.quantile(errors, 0.01))


def _line(random: list[float], paid: list[float], strategy: str) -> str:
    mean, error = statistics.fmean(paid), statistics.stdev(paid) / len(paid) ** 0.5
    late = sum(each > MOST - 0.5 for each in paid)  # sums of ninths
    return (
        f"    {strategy:<8}{mean:7.1f} ± {error:4.1f} full runs  median {statistics.median(paid):6.1f}  "
        f"{statistics.fmean(random) / mean:4.1f}x cheaper than random  {late} of {len(paid)} not found"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--search", action="store_true")
    parser.add_argument("--searches", type=int, default=50)
    parser.add_argument("--results", type=Path, metavar="FILE")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    window = FeasibleSet(Space(), Budget.parse("5.1GFLOPs"))
    if args.search:
        searches(window, args.searches, Results(args.results))
        return
    versions = f"Python {platform.python_version()}, numpy {np.__version__}"
    print(f"{os.cpu_count()} cores, {versions}, n = {args.repeats}; load {os.getloadavg()[0]:.1f}")
    times(window, args.repeats)


if __name__ == "__main__":
    main()
