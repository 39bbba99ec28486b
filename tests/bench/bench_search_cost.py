"""What each strategy pays to find one of the best 1 % of the feasible set, with and without rungs.

    python tests/bench/bench_search_cost.py [--repeats 50] [--strategies random,tpe] [--most 300]
                                            [--results FILE]

The objective is the stand-in (nas/trials/standin.py) at 5.1 GFLOPs +- 2 %: seed noise 0.15 mm, texture that
no model predicts 0.08 mm, curves that cross. The best 1 % is by the error without noise, over 20,000 uniform
draws. A search pays one unit for a full run and a part of it for a pruned one; it has found the target
when a run of such an architecture is complete. Searches that have not by --most proposals count as that
much (censored), so the means of the slow ones are lower bounds. Single worker, in-memory storage.
--results keeps a line of JSON for every finished search and goes on from what the file holds.

2-core Intel Xeon (other work on it; costs do not depend on that), Python 3.11.7, optuna 5.0.0, ray 2.60.0;
50 searches each: mean ± standard error of the full runs paid, with the rungs of nas/trials/rungs.py. All
took 20 minutes of one core beside other work.

    best 1 %: at most 34.75 mm (median of the set 37.06)
    random     full     85.6 ± 10.2 full runs  median   65.0    1.0x cheaper than random  1 of 50 not found
    random     asha     59.1 ±  6.7 full runs  median   45.8    1.4x cheaper than random  3 of 50 not found
    qmc        full     86.9 ± 10.4 full runs  median   61.5    1.0x cheaper than random  1 of 50 not found
    qmc        asha     58.7 ±  7.1 full runs  median   42.5    1.5x cheaper than random  3 of 50 not found
    tpe        full     25.9 ±  4.9 full runs  median   18.0    3.3x cheaper than random  0 of 50 not found
    tpe        asha     27.7 ±  4.7 full runs  median   16.5    3.1x cheaper than random  1 of 50 not found
    gp         full     52.4 ±  8.7 full runs  median   19.5    1.6x cheaper than random  0 of 50 not found
    gp         asha     31.9 ±  4.8 full runs  median   23.3    2.7x cheaper than random  3 of 50 not found
    evolution  full     60.1 ±  6.7 full runs  median   45.5    1.4x cheaper than random  0 of 50 not found
    evolution  asha     39.9 ±  4.4 full runs  median   29.5    2.1x cheaper than random  0 of 50 not found
    predictor  full     14.3 ±  0.7 full runs  median   15.0    6.0x cheaper than random  0 of 50 not found
    predictor  asha     19.8 ±  1.5 full runs  median   18.8    4.3x cheaper than random  0 of 50 not found

(the last two in a run of their own, some 15 minutes)
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

import numpy as np
import optuna

from nas.record.store import Store
from nas.search.suggest import STRATEGIES, Suggester
from nas.trials.on_ray import Asha
from nas.trials.standin import expected_mm, learning_curve
from nas.trials.trial import Job
from proxy_tasks.engine import Epoch
from proxy_tasks.proxy import Proxy
from space import Budget, FeasibleSet, Space

PROXY = Proxy("bench", resolution=64, epochs=9, batch=32)
NOISE_MM = 0.15


def cost_to_target(
    feasible: FeasibleSet, strategy: str, rungs: bool, target: float, seed: int, most: int
) -> tuple[float, int]:
    """(full runs paid, proposals made) until a run of an architecture at or below `target` is complete."""
    store = Store(optuna.storages.InMemoryStorage())
    suggester = Suggester(store, "s", feasible, strategy, seed=seed, trials=most)
    asha = Asha(PROXY.epochs, PROXY.id) if rungs else None
    paid = 0.0
    for n in range(1, most + 1):
        p = suggester.propose(suggester.claim())
        job = Job("s", p.number, "proposal", p.arch, 0, PROXY, "", PROXY.epochs)
        curve = learning_curve(p.arch, seed, PROXY.epochs, NOISE_MM)
        for i, value in enumerate(curve, start=1):
            store.report(p.trial_id, i, value)
            paid += 1 / PROXY.epochs
            if asha and not asha.goes_on(job, Epoch(i, i, {"l_error_mm": value}, 0.0)):
                store.finish(p.trial_id, "pruned")
                break
        else:
            store.finish(p.trial_id, "complete", l_error_mm=curve[-1])
            if expected_mm(p.arch) <= target:
                return paid, n
    return paid, most


class Results:
    """Costs by (strategy, rungs, seed), and the file that keeps them, if one is named."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.found: dict[tuple[str, bool, int], tuple[float, int]] = {}
        if path is not None and path.exists():
            for line in path.read_text().splitlines():
                strategy, rungs, seed, paid, proposals = json.loads(line)
                self.found[strategy, rungs, seed] = paid, proposals

    def add(self, key: tuple[str, bool, int], paid: float, proposals: int) -> None:
        self.found[key] = paid, proposals
        if self._path is not None:
            with open(self._path, "a") as file:
                file.write(json.dumps([*key, paid, proposals]) + "\n")

    def line(self, strategy: str, rungs: bool, most: int) -> str:
        """One row of the table; the ratio is to `random` at full fidelity, over the same seeds."""
        costs = {seed: v for (s, r, seed), v in self.found.items() if (s, r) == (strategy, rungs)}
        paid = [c for c, _ in costs.values()]
        mean, error = statistics.fmean(paid), statistics.stdev(paid) / len(paid) ** 0.5
        base = [self.found[key][0] for seed in costs if (key := ("random", False, seed)) in self.found]
        ratio = f"{statistics.fmean(base) / mean:5.1f}x cheaper than random" if base else ""
        late = sum(n == most for _, n in costs.values())
        return (
            f"{strategy:<10} {'asha' if rungs else 'full':<5} {mean:7.1f} ± {error:4.1f} full runs  "
            f"median {statistics.median(paid):6.1f}  {ratio}  {late} of {len(paid)} not found"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    parser.add_argument("--most", type=int, default=300)
    parser.add_argument("--results", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    feasible = FeasibleSet(Space(), Budget.parse("5.1GFLOPs"))
    errors = [expected_mm(s) for s in feasible.draw(20_000, np.random.default_rng(1))]
    target = float(np.quantile(errors, 0.01))
    print(f"best 1 %: at most {target:.2f} mm (median of the set {np.median(errors):.2f})")
    results = Results(arguments.results)
    for strategy in arguments.strategies.split(","):
        for seed in range(arguments.repeats):  # both columns grow together, so that a part is of use
            for rungs in (False, True):
                if (strategy, rungs, seed) not in results.found:
                    cost = cost_to_target(feasible, strategy, rungs, target, seed, arguments.most)
                    results.add((strategy, rungs, seed), *cost)
        for rungs in (False, True):
            print(results.line(strategy, rungs, arguments.most), flush=True)


if __name__ == "__main__":
    main()
