"""What it takes to show a gain over the control, before and after comparisons with the best.

    python tests/bench/bench_verdict.py [--noise 0.64] [--gain 1.0] [--races 100] [--shared 0.3]

Before: Bonferroni's t over every row of the table, the noise of the search's own re-runs, three seeds for
each finalist alike. After, by means: nas/record/best.py, judged by those that were run again, and the race
of nas/search/race.py; with the table's: the noise of a benchmark table's repeated runs of the same fidelity
beside the search's own (48 degrees of freedom of 24 architectures with three seeds). By common seeds:
proxy_tasks/blocks.py, where runs of one seed share --shared of the noise's variance. The search is one of 20
proposals and 3 finalists: 20 comparisons, on 8 degrees of freedom with three seeds. In the races, 8 finalists
are the best by one run of 48 draws of a population with a standard deviation of 1.1 mm, the control is by
--gain worse than the best finalist, and 27 runs are spent at most. Counts of a simulation: the machine does
not matter.

    runs of each that show a gain of 1.0 mm at a noise of 0.64 mm with a probability of 0.8
      before, own noise            14
      after, own noise              8
      after, with the table's       8
      after, by common seeds        6
    a single run is still tied with the best of 3 runs when it is worse by as much as
      before                        3.20 mm
      after, own noise              1.77 mm
      after, with the table's       1.55 mm
    100 races of 8 finalists:   gain shown   tied   truly best among them   runs
      before                         0.20     6.7        1.000                26.0
      after, by means                0.50     5.7        0.990                26.9
      the same, table                0.64     5.2        1.000                26.4
      by common seeds                0.62     4.9        0.990                26.4
      the same, table                0.71     4.4        1.000                26.6

Where half of the variance is shared: 5 runs of each by common seeds, and the gain is shown in 0.13 of the
races before, 0.54 by means and 0.80 by common seeds (0.57 and 0.88 with the table).
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from unittest.mock import patch

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from test_record_select import ARCHS, RESNET, record

from nas.record.best import critical
from nas.record.estimates import pooled_noise, t_quantile
from nas.record.select import select
from nas.record.store import TrialRecord
from nas.search.race import next_repeats

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


def by_common_seeds(runs: int, freedom: float) -> float:
    """The same, the seeds taken out: they cost a degree of freedom for each but the first."""
    return critical(runs, [runs] * FINALISTS, freedom - (runs - 1))


def seeds_table(gain: float, noise: float, shared: float) -> None:
    print(
        f"runs of each that show a gain of {gain} mm at a noise of {noise} mm with a probability of {POWER}"
    )
    print(f"  before, own noise          {runs_needed(bonferroni, gain, noise):>4}")
    print(f"  after, own noise           {runs_needed(with_the_best, gain, noise):>4}")
    print(f"  after, with the table's    {runs_needed(with_the_best, gain, noise, TABLE):>4}")
    left = noise * math.sqrt(1 - shared)
    print(f"  after, by common seeds     {runs_needed(by_common_seeds, gain, left):>4}")
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


def race(
    rng: np.random.Generator, gain: float, noise: float, shared: float, *, new: bool, table: bool
) -> tuple[float, ...]:
    """One race: was the gain shown, how many were tied, was the truly best among them, how many runs."""
    seeds = rng.normal(0, noise * math.sqrt(shared), 100)  # what each does to all
    own = noise * math.sqrt(1 - shared)
    truth = np.sort(rng.normal(55, 1.1, 48))
    first = truth + seeds[0] + rng.normal(0, own, 48)
    at = np.argsort(first)[:8]
    means = dict(zip(ARCHS, truth[at], strict=False)) | {RESNET: truth[at].min() + gain}
    archs = [a for a in means if a != RESNET]

    def draw(mean: float, seed: int) -> float:
        return float(mean + seeds[seed] + rng.normal(0, own))

    records = [record(a, value) for a, value in zip(archs, first[at], strict=True)]
    records += [record(RESNET, draw(means[RESNET], s), role="control", seed=s) for s in range(3)]
    if table:
        records += [record(a, draw(60, s), role="known", seed=s) for a in ARCHS[8:] for s in range(5)]
    step = (
        (lambda: [(w.role, w.arch, w.seed) for w in next_repeats(
            records, "mini", archs, seeds=3, seed=0, control=RESNET)])
        if new
        else (lambda: [("repeat", a, 1 + sum(r.arch == a for r in records[8:]))
                       for a in three_each(records, archs, 3)])
    )  # fmt: skip
    while wanted := step():
        for role, arch, seed in wanted:
            records.append(record(arch, draw(means[arch], seed), role=role, seed=seed))
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
    parser.add_argument(
        "--shared", type=float, default=0.3, help="of the noise's variance, by runs of a seed"
    )
    arguments = parser.parse_args()
    seeds_table(arguments.gain, arguments.noise, arguments.shared)
    print(f"{arguments.races} races of 8 finalists:   gain shown   tied   truly best among them   runs")
    for name, new, table, paired in (
        ("before", False, False, False),
        ("after, by means", True, False, False),
        ("the same, table", True, True, False),
        ("by common seeds", True, False, True),
        ("the same, table", True, True, True),
    ):
        rng = np.random.default_rng(1)
        one = partial(race, rng, arguments.gain, arguments.noise, arguments.shared, new=new, table=table)
        with nullcontext() if paired else patch("nas.record.compare.sharper", return_value=False):
            shown, tied, kept, runs = np.mean([one() for _ in range(arguments.races)], axis=0)
        print(f"  {name:<24} {shown:>10.2f} {tied:>7.1f} {kept:>12.3f} {runs:>19.1f}", flush=True)


if __name__ == "__main__":
    main()
