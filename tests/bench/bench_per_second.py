"""What TPE pays in device time to find one of the best 1 %, with and without weighing gain by time.

    python tests/bench/bench_per_second.py [--repeats 50] [--most 300] [--law stand-in|activations]

The objective is the stand-in at 5.1 GFLOPs +- 2 %, as in bench_search_cost.py, and a run takes as long as
the simulated device of nas/trials/standin.py takes for a forward pass ("stand-in": 37 % of ResNet-34's
time by activations), or in proportion to activations alone, which is the most that can be gained. Times
are in runs of ResNet-34. The predictions are the search's own (nas/search/pace.py): half and half, until
runs teach more. Prints both means with their standard errors, and the difference over the same seeds.

2-core Intel Xeon, optuna 5.0.0, 24 searches each (costs do not depend on other work):

    stand-in      plain 34.8 ± 11.9, median 21.2       per second  60.2 ± 17.1, median 18.0, 5 of 24 not found
    activations   plain 30.3 ± 10.5, median 18.2       per second 100.2 ± 25.5, median 16.3, 8 of 24 not found

So it is a little cheaper where it succeeds, and a quarter of its searches are drawn to fast networks and stay
there: it does not pay on the stand-in.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import numpy as np
import optuna

from nas.record.store import Store
from nas.search.pace import Pace
from nas.search.suggest import Suggester
from nas.trials.standin import expected_mm, latency_ms, learning_curve
from space import REFERENCES, ArchSpec, Budget, FeasibleSet, Space

CONTROL = REFERENCES["resnet34"]
NOISE_MM = 0.15
LAWS: dict[str, Callable[[ArchSpec], float]] = {
    "stand-in": lambda arch: latency_ms(arch) / latency_ms(CONTROL),
    "activations": lambda arch: arch.activations() / CONTROL.activations(),
}


def time_to_target(
    feasible: FeasibleSet, weighed: bool, law: str, target: float, seed: int, most: int
) -> tuple[float, int]:
    """(device time in runs of ResNet-34, proposals) until an architecture at `target` is trained."""
    store, pace = Store(optuna.storages.InMemoryStorage()), Pace(CONTROL)
    shares = pace.shares if weighed else None
    suggester = Suggester(store, "s", feasible, "tpe", seed=seed, trials=most, shares=shares)
    paid = 0.0
    for n in range(1, most + 1):
        p = suggester.propose(suggester.claim())
        seconds = LAWS[law](p.arch)
        paid += seconds
        pace.note(p.arch, seconds)
        store.finish(p.trial_id, "complete", l_error_mm=learning_curve(p.arch, seed, 1, NOISE_MM)[-1])
        if expected_mm(p.arch) <= target:
            return paid, n
    return paid, most


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--most", type=int, default=300)
    parser.add_argument("--law", choices=LAWS, default="stand-in")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    feasible = FeasibleSet(Space(), Budget.parse("5.1GFLOPs"))
    errors = [expected_mm(s) for s in feasible.draw(20_000, np.random.default_rng(1))]
    target = float(np.quantile(errors, 0.01))
    found: dict[bool, list[tuple[float, int]]] = {False: [], True: []}
    for seed in range(arguments.repeats):
        for weighed, costs in found.items():
            costs.append(time_to_target(feasible, weighed, arguments.law, target, seed, arguments.most))
    for weighed, costs in found.items():
        paid = [c for c, _ in costs]
        error = statistics.stdev(paid) / len(paid) ** 0.5
        late = sum(n == arguments.most for _, n in costs)
        print(
            f"{'per second' if weighed else 'plain':<10} {statistics.fmean(paid):6.1f} ± {error:4.1f} times "
            f"ResNet-34's  median {statistics.median(paid):6.1f}  {late} of {len(paid)} not found"
        )
    differences = [a[0] - b[0] for a, b in zip(found[False], found[True], strict=True)]
    error = statistics.stdev(differences) / len(differences) ** 0.5
    print(f"saved, over the same seeds: {statistics.fmean(differences):.1f} ± {error:.1f}")


if __name__ == "__main__":
    main()
