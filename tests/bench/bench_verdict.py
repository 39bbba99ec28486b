"""What it takes to show a gain over the control, before and after comparisons with the best.

    python tests/bench/bench_verdict.py [--noise 0.64] [--gain 1.0] [--races 200]

Before: Bonferroni's t over every row of the table, the noise of the search's own re-runs, three seeds for
each finalist alike. After: nas/record/best.py, judged by those that were run again, the noise of a benchmark
table's repeated runs of the same fidelity beside the search's own (48 degrees of freedom of 24 architectures
with three seeds), and the race of nas/search/race.py. The search is one of 20 proposals and 3 finalists: 20
comparisons, on 8 degrees of freedom with three seeds. In the races, 8 finalists are the best by one run of
48 draws of a population with a standard deviation of 1.1 mm, the control is by --gain worse than the best
finalist, and 27 runs are spent at most. Counts of a simulation: the machine does not matter.

    runs of each that show a gain of 1.0 mm at a noise of 0.64 mm with a probability of 0.8
      before, own noise            14
      after, own noise              8
      after, with the table's       8
    a single run is still tied with the best of 3 runs when it is worse by as much as
      before                        3.20 mm
      after, own noise              1.77 mm
      after, with the table's       1.55 mm
    100 races of 8 finalists:   gain shown   tied   truly best among them   runs
      before                         0.22     6.1        0.990                25.4
      after                          0.53     4.8        0.990                25.7
      after, table                   0.49     5.0        0.980                25.9
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from test_record_select import ARCHS, RESNET, record

from nas.record.best import critical
from nas.record.select import pooled_noise, select, t_quantile
from nas.record.store import TrialRecord
from nas.search.race import next_repeats
from space import ArchSpec

PROPOSALS, FINALISTS, TABLE = 20, 3, 48
POWER, DRAWS = 0.8, 200_000
Rule = Callable[[int, float], float]


def bonferroni(runs: int, freedom: float, comparisons: int = PROPOSALS) -> float:
    """The critical value of before."""
    return t_quantile(1 - 0.05 / (2 * comparisons), int(freedom))


def with_the_best(runs: int, freedom: float) -> float:
    """The critical value for the control among finalists with as many runs."""
    return critical(runs, [runs] * FINALISTS, freedom)


def runs_needed(rule: Rule, gain: float, noise: float, table: int = 0) -> int:
    """Runs of the architecture and of the control alike until the gain is shown with POWER."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal(DRAWS)
    for runs in range(2, 200):
        freedom = (FINALISTS + 1) * (runs - 1) + table
        scale = np.sqrt(rng.chisquare(freedom, DRAWS) / freedom)
        shown = z + gain / (noise * math.sqrt(2 / runs)) > rule(runs, freedom) * scale
        if shown.mean() >= POWER:
            return runs
    raise ValueError(f"a gain of {gain} mm is not shown by 200 runs at a noise of {noise} mm")


def seeds_table(gain: float, noise: float) -> None:
    print(
        f"runs of each that show a gain of {gain} mm at a noise of {noise} mm with a probability of {POWER}"
    )
    print(f"  before, own noise          {runs_needed(bonferroni, gain, noise):>4}")
    print(f"  after, own noise           {runs_needed(with_the_best, gain, noise):>4}")
    print(f"  after, with the table's    {runs_needed(with_the_best, gain, noise, TABLE):>4}")
    reach = noise * math.sqrt(1 + 1 / 3)
    print("a single run is still tied with the best of 3 runs when it is worse by as much as")
    print(f"  before                     {bonferroni(3, 8) * reach:>7.2f} mm")
    print(f"  after, own noise           {critical(1, [3] * 4, 8) * reach:>7.2f} mm")
    print(f"  after, with the table's    {critical(1, [3] * 4, 8 + TABLE) * reach:>7.2f} mm")


def three_each(records: Sequence[TrialRecord], archs: Sequence, seeds: int) -> list:
    """The race of before: those tied with the leader by Bonferroni's t get a run each, up to `seeds`."""
    again = {
        a: [r.l_error_mm for r in records if r.arch == a and r.role != "proposal"] for a in [*archs, RESNET]
    }
    known = {a: values for a, values in again.items() if values}
    alive = list(archs)
    if len(known) > 1:
        tied = tied_before(known)
        alive = [a for a in archs if a in tied or not again[a]]
    fewest = min((len(again[a]) for a in alive), default=seeds)
    return [a for a in alive if len(again[a]) == fewest < seeds]


def tied_before(known: dict) -> list:
    """Tied with the lowest mean by Bonferroni's t over all."""
    noise = pooled_noise(known.values())
    assert noise is not None
    best = min(known, key=lambda a: np.mean(known[a]))
    t = bonferroni(0, noise.freedom, len(known) - 1)

    def reach(a) -> float:
        return t * noise.sd_mm * math.sqrt(1 / len(known[a]) + 1 / len(known[best]))

    return [a for a in known if np.mean(known[a]) - np.mean(known[best]) <= reach(a)]


def race(rng: np.random.Generator, gain: float, noise: float, *, new: bool, table: bool) -> tuple[float, ...]:
    """One race: was the gain shown, how many were tied, was the truly best among them, how many runs."""
    truth = np.sort(rng.normal(55, 1.1, 48))
    first = truth + rng.normal(0, noise, 48)
    at = np.argsort(first)[:8]
    means = dict(zip(ARCHS, truth[at], strict=False)) | {RESNET: truth[at].min() + gain}
    archs = [a for a in means if a != RESNET]

    def draw(arch: ArchSpec) -> float:
        return float(means[arch] + rng.normal(0, noise))

    records = [record(a, value) for a, value in zip(archs, first[at], strict=True)]
    records += [record(RESNET, draw(RESNET), role="control", seed=s) for s in range(3)]
    if table:
        records += [
            record(a, rng.normal(60, noise), role="known", seed=s) for a in ARCHS[8:] for s in range(5)
        ]
    step = (
        (lambda: [(w.role, w.arch) for w in next_repeats(
            records, "mini", archs, seeds=3, seed=0, control=RESNET)])
        if new
        else (lambda: [("repeat", a) for a in three_each(records, archs, 3)])
    )  # fmt: skip
    seed = 100
    while wanted := step():
        for role, arch in wanted:
            records.append(record(arch, draw(arch), role=role, seed=(seed := seed + 1)))
    if new:
        found = select(records)
        tied = list(found.tied)
    else:
        known = {a: [r.l_error_mm for r in records if r.arch == a and r.role != "proposal"] for a in means}
        tied = tied_before(known)
    best = min(means, key=lambda a: means[a])
    spent = sum(r.role in ("control", "repeat") for r in records)
    return RESNET not in tied, len(tied), best in tied, spent


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--noise", type=float, default=0.64)
    parser.add_argument("--gain", type=float, default=1.0)
    parser.add_argument("--races", type=int, default=200)
    arguments = parser.parse_args()
    seeds_table(arguments.gain, arguments.noise)
    print(f"{arguments.races} races of 8 finalists:   gain shown   tied   truly best among them   runs")
    for name, new, table in (("before", False, False), ("after", True, False), ("after, table", True, True)):
        rng = np.random.default_rng(1)
        one = partial(race, rng, arguments.gain, arguments.noise, new=new, table=table)
        shown, tied, kept, runs = np.mean([one() for _ in range(arguments.races)], axis=0)
        print(f"  {name:<24} {shown:>10.2f} {tied:>7.1f} {kept:>12.3f} {runs:>19.1f}", flush=True)


if __name__ == "__main__":
    main()
