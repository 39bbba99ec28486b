"""What each strategy pays on a table of trained networks, and how good an answer it has by then.

    python tests/bench/bench_replay.py docs/evidence/cpu-1.2G.jsonl [--table cpu-1.2G] [--replays 100]
        [--length 1] [--most 48] [--strategies random,tpe] [--schedulers none,asha]
        [--starts told,cold,warm20] [--within 0.005] [--results FILE]

A replay is a search through the driver, the samplers, the rungs and the store of nas.search, on the table and
a surrogate of it (nas/trials/replay.py), from the control's three runs to the end of `--most` proposals. Paid
is the device time of all runs, the control's and the part of stopped ones included. Two numbers of each:

    time     until a proposal within --within of the best is complete, by the error that the surrogate expects
             without seed noise; the best is that of 50,000 uniform architectures and the table's own. Replays
             without one count as never, so that a median may be `never`
    regret   what the architecture of least observed error (runs of one averaged, the control among them)
             is expected to lie above that best, mm, when a quarter, half and all has been paid of what the
             first strategy pays in the median

The simulated truth is the surrogate (`--kind`; by default the one that errs less out of sample), of the
table's own architectures too; seeds and single runs differ as recorded ones do. With `gp` it is the very
model that `--strategy predictor` fits, which flatters that strategy; `forest` does not.

`random` without rungs is the protocol of RegNet and SCRFD, and comes first. A search starts `told` of the
control's runs, as nas.search does; `cold`, told nothing, as it did before; or `warmN`, told of N uniform
architectures of the table too, as by --warm-start, free of charge. --results keeps a line of JSON for every
finished replay and goes on from what the file holds of the same rows, kind, reach and length. Counts of a
simulation: the machine does not matter.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import itertools
import json
import math
import os
import tempfile
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from nas.record.store import Store
from nas.search.config import SCHEDULERS, STRATEGIES, SearchConfig
from nas.search.driver import Driver
from nas.search.known import KnownRun, Source, enter
from nas.search.plan import Plan, resolve
from nas.search.watcher import Watcher
from nas.trials import inprocess
from nas.trials.on_ray import Asha
from nas.trials.replay import Replay
from proxy_tasks.bench import rows as table_rows
from proxy_tasks.bench.plan import TABLES, TablePlan
from proxy_tasks.bench.surrogate import KINDS, Surrogate, better_kind, out_of_sample
from proxy_tasks.bench.table import RunTable

DRAWS = 50_000
SHARES = (0.25, 0.5, 1.0)  # of what the first strategy pays, where answers are looked at


class Over(Exception):
    """The replay has proposed all it may."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One search, proposal by proposal: seconds paid by then, what its answer is expected to err by, mm."""

    paid: list[float]
    answer_mm: list[float]
    found: int  # the first proposal (from 1) within reach of the best, 0 for none

    @property
    def seconds(self) -> float:
        """Paid until then; infinite where there was none."""
        return self.paid[self.found - 1] if self.found else math.inf

    def answer_at(self, seconds: float) -> float:
        """The answer when so much has been paid; the first one before any proposal has ended."""
        return self.answer_mm[max(0, int(np.searchsorted(self.paid, seconds, "right")) - 1)]


class Referee(Watcher):
    """Writes down how a replay goes, and ends it."""

    def __init__(self, target_mm: float, replay: Replay, most: int, store: Store) -> None:
        self._target, self._replay, self._most, self._store = target_mm, replay, most, store
        self._observed: dict[str, list[float]] = {}
        self._expected: dict[str, float] = {}
        self.replayed = Replayed([], [], 0)

    def finished(self, job: Any, state: str, l_error_mm: float | None, reason: str) -> None:
        complete = state == "complete" and l_error_mm is not None
        if complete:
            self._observed.setdefault(job.arch.id, []).append(l_error_mm)
            self._expected[job.arch.id] = self._replay.expected_mm(job.arch, job.proxy)
        if job.role != "proposal":
            return
        answer = min(self._observed, key=lambda arch: np.mean(self._observed[arch]))
        paid = [*self.replayed.paid, sum(record.seconds for record in self._store.records())]
        hit = complete and self._expected[job.arch.id] <= self._target
        found = self.replayed.found or (len(paid) if hit else 0)
        self.replayed = Replayed(paid, [*self.replayed.answer_mm, self._expected[answer]], found)
        if len(paid) >= self._most:
            raise Over


def replay_once(
    plan: Plan, replay: Replay, target_mm: float, most: int, folder: Path, start: str, table: RunTable
) -> Replayed:
    """One search."""
    store = Store(optuna.storages.InMemoryStorage())
    if start.startswith("warm"):
        enter(store, [_some_of(table, plan, int(start[4:]))], plan.proxy, table.data)
    driver = Driver(plan, store, lambda study, number: folder / f"{study}_{number}")
    referee = Referee(target_mm, replay, most, store)
    driver.watchers.append(referee)
    if start == "cold":
        driver._tell_what_is_known = lambda: None  # type: ignore[method-assign]
    rungs = Asha(plan.proxy.validations, plan.proxy.id) if plan.scheduler == "asha" else None
    with contextlib.suppress(Over):
        inprocess.run_all(driver, replay, rungs)
    return referee.replayed


def _some_of(table: RunTable, plan: Plan, count: int) -> Source:
    """First runs of `count` uniform architectures of the table, others for each seed of the search."""
    uniform = [a for a, role in zip(table.archs, table.roles, strict=True) if role == "uniform"]
    chosen = np.random.default_rng(plan.seed).choice(len(uniform), min(count, len(uniform)), replace=False)
    runs = []
    for arch in (uniform[i] for i in chosen):
        seed = min(table.curves[arch.id])
        curve = tuple(map(float, table.curves[arch.id][seed]))
        runs.append(KnownRun(arch, "", seed, curve[-1], curve, "table"))
    return Source("table", table.data, tuple(runs))


def best_mm(surrogate: Surrogate, table: RunTable, plan: Plan) -> tuple[float, float]:
    """The least expected error, mm, and the share of uniform draws within half a percent of it."""
    draws = surrogate.curves(plan.feasible.draw_array(DRAWS, np.random.default_rng(7)))[:, -1]
    best = float(min(draws.min(), surrogate.curves(table.rows)[:, -1].min()))
    return best, float(np.mean(draws <= 1.005 * best))


def report(name: str, found: list[Replayed], base: list[Replayed], best_mm: float) -> str:
    """One row of the table: medians, and the central 90 % of the replays."""
    whole = float(np.median([one.paid[-1] for one in base]))
    hits = sum(one.found > 0 for one in found)
    regrets = [_spread([one.answer_at(share * whole) - best_mm for one in found], ".2f") for share in SHARES]
    return (
        f"{name:<22} {_spread([one.seconds / 3600 for one in found], '.2f'):<22} {hits:>4} of {len(found):<4}"
        + "".join(f" {each:<20}" for each in regrets)
    )


def heading(found: list[Replayed], within: float) -> str:
    """Of the rows."""
    whole = float(np.median([one.paid[-1] for one in found])) / 3600
    columns = "".join(f" {f'regret at {share * whole:.2f} h, mm':<20}" for share in SHARES)
    return f"{'':<22} {f'to within {within:.1%}, h':<22} {'found':>4}       {columns}"


def _spread(values: list[float], form: str) -> str:
    found = np.quantile(values, [0.05, 0.5, 0.95], method="inverted_cdf")  # one of them: some are infinite
    middle, low, high = (f"{found[i]:{form}}" if np.isfinite(found[i]) else "never" for i in (1, 0, 2))
    return f"{middle} ({low} to {high})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("rows", type=Path, nargs="+")
    parser.add_argument(
        "--table", default="cpu-1.2G", choices=[k for k, v in TABLES.items() if isinstance(v, TablePlan)]
    )
    parser.add_argument("--length", type=float, default=1.0, help="of the table's runs (default 1)")
    parser.add_argument("--replays", type=int, default=100)
    parser.add_argument("--most", type=int, default=48)
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    parser.add_argument("--schedulers", default=",".join(SCHEDULERS))
    parser.add_argument("--starts", default="told", help="told, cold, or warmN; see above")
    parser.add_argument("--within", type=float, default=0.005)
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--results", type=Path, default=os.devnull, metavar="FILE")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    plan_of = TABLES[arguments.table]
    assert isinstance(plan_of, TablePlan)
    table = RunTable.of(table_rows.read(*arguments.rows), arguments.length)
    proxy = plan_of.proxy if arguments.length == 1 else plan_of.proxy.longer(arguments.length)
    for kind in KINDS:
        found = out_of_sample(table, kind)
        print(f"{kind}: RMSE {found.rmse_mm:.2f} mm out of sample (the mean of all {found.constant_mm:.2f}), "
              f"tau {found.tau:.2f}, n {found.n}")  # fmt: skip
    kind = arguments.kind or better_kind(table).kind
    about = [
        sorted(r["key"] for r in table_rows.read(*arguments.rows)),
        kind,
        arguments.within,
        arguments.most,
        *([arguments.length] if arguments.length != 1 else []),
        "simulated",  # before, the table's own architectures had recorded means: other replays
    ]
    digest = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:8]
    replay = Replay([str(file) for file in arguments.rows], kind, simulated=True)
    config = SearchConfig(plan_of.budget, tolerance=0.02, trials=arguments.most, finalists=1)
    plan = resolve(config, gpus=0, proxy=proxy)
    best, share = best_mm(Surrogate.fit(table, kind), table, plan)
    print(f"by the {kind}: best {best:.2f} mm, control {replay.expected_mm(plan.control, plan.proxy):.2f}, "
          f"{share:.2%} of uniform draws within 0.5 % of the best")  # fmt: skip
    known: dict[tuple, Replayed] = {}
    if arguments.results.is_file():
        for line in arguments.results.read_text().splitlines():
            key, *one = json.loads(line)
            known[tuple(key)] = Replayed(*one)
    base: list[Replayed] = []
    with tempfile.TemporaryDirectory() as folder:
        names = [each.split(",") for each in (arguments.strategies, arguments.schedulers, arguments.starts)]
        for strategy, scheduler, start in itertools.product(*names):
            results = []
            for seed in range(arguments.replays):
                key = (digest, strategy, scheduler, start, seed)
                if key not in known:
                    one = replace(plan, strategy=strategy, scheduler=scheduler, seed=seed)
                    target = best * (1 + arguments.within)
                    known[key] = replay_once(one, replay, target, arguments.most, Path(folder), start, table)
                    with open(arguments.results, "a") as file:
                        file.write(json.dumps([key, *astuple(known[key])]) + "\n")
                results.append(known[key])
            if not base:
                base = results
                print(heading(base, arguments.within))
            print(report(f"{strategy} {scheduler} {start}", results, base, best), flush=True)


if __name__ == "__main__":
    main()
