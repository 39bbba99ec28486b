"""Share of proposals inside the budget: unit-cube strategies against Optuna's own constraints.

    python tests/bench/bench_feasibility.py [--proposals 400] [--seeds 5]

Every method looks for the architecture of least error inside 5.1 GFLOPs +- 2 % of the default space; the
error is nas.trials.standin's synthetic one without seed noise. Optuna's methods suggest eight integers
(depths 1..24, widths 1..64 times 8) and say by Trial.set_constraint how far a proposal lies outside the band,
as a share of the budget. Their widths are sorted before they are used, which gives them the tie for nothing;
"tie as constraint" leaves them as suggested and constrains each decrease too. Optuna's samplers have its
defaults, TPE `multivariate=True` as here. docs/feasibility.md holds the table.

2-core Intel Xeon (other work on it: the shares do not depend on that, the milliseconds do), Python 3.11.7,
optuna 5.0.0, numpy 2.4.6; 400 proposals of each of n seeds; mean (range), best: mean ± standard deviation.

    method                              n  inside the band, mean (range)     distinct      best, mm  ms each
    --strategy random                   5 100.00% (100.00% to 100.00%)          400.0  34.21 ± 0.13      2.4
    --strategy qmc                      5 100.00% (100.00% to 100.00%)          400.0  34.44 ± 0.15      2.8
    --strategy tpe                      5 100.00% (100.00% to 100.00%)          400.0  33.96 ± 0.06     16.8
    --strategy gp                       1 100.00% (100.00% to 100.00%)          400.0  34.02           840.9
    --strategy evolution                5 100.00% (100.00% to 100.00%)          400.0  34.11 ± 0.05      5.6
    TPESampler, widths sorted           5   6.95% (4.25% to 11.25%)              27.8  37.10 ± 1.00     30.7
    TPESampler, tie as constraint       5   4.25% (1.50% to 8.25%)               17.0  36.42 ± 1.14     31.1
    NSGAIISampler, widths sorted        5   2.40% (1.50% to 3.25%)                6.8  35.91 ± 0.71      1.7
    NSGAIISampler, tie as constraint    5   0.50% (0.25% to 1.00%)                2.0  37.60 ± 1.76      1.4
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import optuna

from nas.record.run_dir import RunDir
from nas.record.store import Store
from nas.search.suggest import Suggester
from nas.trials.standin import expected_mm
from space import ArchSpec, Budget, FeasibleSet, Space

BUDGET = Budget.parse("5.1GFLOPs")
STRATEGIES = ("random", "qmc", "tpe", "gp", "evolution")
SLOW = ("gp",)  # seconds a proposal at the end: one seed
Proposals = Iterator[tuple[ArchSpec, float]]  # and the seconds that proposing took


def ours(strategy: str, feasible: FeasibleSet, proposals: int, seed: int) -> Proposals:
    with tempfile.TemporaryDirectory() as folder:
        RunDir(Path(folder)).write({"store": {}})
        store = Store.open(folder, write=True)
        suggester = Suggester(store, "round1", feasible, strategy, seed=seed, trials=proposals)
        with store.batch():
            for _ in range(proposals):
                start = time.perf_counter()
                made = suggester.propose(suggester.claim())
                yield made.arch, time.perf_counter() - start
                store.begin(made.trial_id, {"arch": made.arch.to_dict()})
                store.finish(made.trial_id, "complete", l_error_mm=expected_mm(made.arch))


def constrained(sampler: optuna.samplers.BaseSampler, proposals: int, *, sort: bool) -> Proposals:
    study = optuna.create_study(sampler=sampler)
    for _ in range(proposals):
        start = time.perf_counter()
        trial = study.ask()
        depths = [trial.suggest_int(f"d{stage}", 1, 24) for stage in range(1, 5)]
        widths = [8 * trial.suggest_int(f"w{stage}", 1, 64) for stage in range(1, 5)]
        seconds = time.perf_counter() - start
        spec = ArchSpec(tuple(depths), tuple(sorted(widths) if sort else widths))
        trial.set_constraint("budget", abs(spec.macs() / BUDGET.target - 1) - BUDGET.tolerance)
        if not sort:
            for stage in range(3):
                trial.set_constraint(f"tie{stage + 1}", (widths[stage] - widths[stage + 1]) / 512)
        study.tell(trial, expected_mm(spec))
        yield spec, seconds


def methods(feasible: FeasibleSet, proposals: int) -> Iterator[tuple[str, Callable[[int], Proposals], bool]]:
    """(name, seed -> proposals, slow)"""
    for strategy in STRATEGIES:
        yield (
            f"--strategy {strategy}",
            lambda s, n=strategy: ours(n, feasible, proposals, s),
            strategy in SLOW,
        )
    samplers: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
        "TPESampler": lambda seed: optuna.samplers.TPESampler(multivariate=True, seed=seed),
        "NSGAIISampler": lambda seed: optuna.samplers.NSGAIISampler(seed=seed),
    }
    for name, make in samplers.items():
        for sort in (True, False):
            label = f"{name}, {'widths sorted' if sort else 'tie as constraint'}"
            yield label, lambda seed, m=make, t=sort: constrained(m(seed), proposals, sort=t), False


def measure(feasible: FeasibleSet, proposals: Proposals) -> dict[str, float]:
    made = list(proposals)
    inside = [spec for spec, _ in made if spec in feasible]
    return {
        "inside": len(inside) / len(made),
        "distinct": float(len(set(inside))),
        "best": min(map(expected_mm, inside), default=float("inf")),
        "ms": 1e3 * statistics.mean(seconds for _, seconds in made),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--proposals", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print(
        f"{os.cpu_count()} cores, Python {platform.python_version()}, optuna {optuna.__version__}, ", end=""
    )
    print(f"numpy {np.__version__}, {args.proposals} proposals")
    feasible = FeasibleSet(Space(), BUDGET)
    head = f"{'method':<34}{'n':>3}  inside the band, mean (range)"
    print(f"{head:<67}{'distinct':>8}{'best, mm':>18}{'ms each':>9}")
    for name, run, slow in methods(feasible, args.proposals):
        results = [measure(feasible, run(seed)) for seed in range(1 if slow else args.seeds)]
        inside, distinct, best, ms = ([each[key] for each in results] for key in results[0])
        spread = f"{min(inside):.2%} to {max(inside):.2%}"
        print(f"{name:<34}{len(results):>3}{statistics.mean(inside):>8.2%} ({spread})".ljust(67), end="")
        print(f"{statistics.mean(distinct):>8.1f}{_best(best):>18}{statistics.mean(ms):>9.1f}", flush=True)


def _best(best: list[float]) -> str:
    """Mean and standard deviation over the seeds that found anything inside at all."""
    found = [each for each in best if each < float("inf")]
    if not found:
        return "none"
    spread = f" ± {statistics.stdev(found):.2f}" if len(found) > 1 else ""
    return f"{statistics.mean(found):.2f}{spread}" + (f" ({len(found)})" if len(found) < len(best) else "")


if __name__ == "__main__":
    main()
