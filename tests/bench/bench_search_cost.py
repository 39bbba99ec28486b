"""What each strategy pays to find one of the best 1 % of the feasible set, with and without rungs.

    python tests/bench/bench_search_cost.py [--repeats 50] [--strategies random,tpe] [--most 300]

The objective is the stand-in (nas/standin.py) at 5.1 GFLOPs +- 2 %: seed noise 0.15 mm, texture that no
model predicts 0.08 mm, curves that cross. The best 1 % is by the error without noise, over 20,000 uniform
draws. A search pays one unit for a full run and a part of it for a pruned one; it has found the target
when a run of such an architecture is complete. Searches that have not by --most proposals count as that
much (censored), so the means of the slow ones are lower bounds. Single worker, in-memory storage.

2-core Intel Xeon (other work on it; costs do not depend on that), Python 3.11.7, optuna 5.0.0, ray 2.60.0;
20 searches each: mean ± standard error of the full runs paid, with the rungs of nas/rungs.py.

    random     full     60.8 ± 13.1 full runs  median   45.5    1.0x cheaper than random  0 of 20 not found
    random     asha     53.7 ± 12.0 full runs  median   31.5    1.1x cheaper than random  2 of 20 not found
    qmc        full     80.9 ± 15.3 full runs  median   58.0    0.8x cheaper than random  0 of 20 not found
    qmc        asha     52.7 ±  9.9 full runs  median   38.3    1.2x cheaper than random  0 of 20 not found
    tpe        full     29.8 ± 11.6 full runs  median   15.5    2.0x cheaper than random  0 of 20 not found
    tpe        asha     27.9 ± 10.2 full runs  median   12.8    2.2x cheaper than random  1 of 20 not found
    evolution  full     58.9 ± 10.7 full runs  median   61.0    1.0x cheaper than random  0 of 20 not found
    evolution  asha     48.5 ±  9.0 full runs  median   56.7    1.3x cheaper than random  0 of 20 not found
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import optuna

from nas.launch import Asha
from nas.standin import expected_mm, learning_curve
from nas.store import Store
from nas.suggest import STRATEGIES, Suggester
from nas.trial import Job
from proxy_tasks.engine import Epoch
from proxy_tasks.task import Proxy
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


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    parser.add_argument("--most", type=int, default=300)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    feasible = FeasibleSet(Space(), Budget.parse("5.1GFLOPs"))
    errors = [expected_mm(s) for s in feasible.draw(20_000, np.random.default_rng(1))]
    target = float(np.quantile(errors, 0.01))
    print(f"best 1 %: at most {target:.2f} mm (median of the set {np.median(errors):.2f})")
    baseline = None
    for strategy in arguments.strategies.split(","):
        for rungs in (False, True):
            begun = time.perf_counter()
            found = [
                cost_to_target(feasible, strategy, rungs, target, seed, arguments.most)
                for seed in range(arguments.repeats)
            ]
            paid = [c for c, _ in found]
            mean, error = statistics.fmean(paid), statistics.stdev(paid) / len(paid) ** 0.5
            baseline = baseline or mean
            late = sum(n == arguments.most for _, n in found)
            print(
                f"{strategy:<10} {'asha' if rungs else 'full':<5} {mean:7.1f} ± {error:4.1f} full runs  "
                f"median {statistics.median(paid):6.1f}  {baseline / mean:5.1f}x cheaper than random  "
                f"{late} of {len(found)} not found  {time.perf_counter() - begun:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
