"""What a search will do, decided before it does anything: the config with every default filled in.

Everything that can be wrong with a request is found here, before a run directory
exists. Without a GPU or a cluster the defaults are those of a reduced
demonstration: a handful of candidates under the `mini` proxy, minutes in all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nas.record.narrow import narrowed
from nas.record.objectives import Cost, second_of
from nas.record.overview import runs_at_most
from nas.record.store import TrialRecord
from nas.search.config import LAUNCHERS, SCHEDULERS, STRATEGIES, SearchConfig
from proxy_tasks.proxy import PROXIES, Proxy, find_proxy
from space import ArchSpec, Budget, FeasibleSet, Space
from space.arch import REFERENCES
from space.caps import NAMES, Caps
from space.latency import LatencyTable
from space.plan import OUTPUTS
from space.scale import find_control, nearest
from space.specfile import read_spec, reference_name


@dataclass(frozen=True, slots=True)
class Plan:
    """A search with nothing left open. Trials count proposals; repeats are seeds an architecture."""

    budget: Budget
    space: Space
    feasible: FeasibleSet
    proxy: Proxy
    race_proxy: Proxy
    race_epochs: float  # what makes one of the other
    control: ArchSpec
    control_name: str
    seed_archs: tuple[ArchSpec, ...]
    strategy: str
    scheduler: str
    trials: int
    rounds: int
    repeats: int
    finalists: int
    seed: int
    max_hours: float | None
    demonstration: bool
    cost: Cost | None = None  # what is minimised beside L_error
    table: LatencyTable | None = None  # that predicts milliseconds

    def alone(self) -> Plan:
        """The same without the set and the table, which are large and which a worker has no use for."""
        return replace(self, feasible=None, table=None)  # type: ignore[arg-type]

    def study(self, round_: int) -> str:
        """Name of the study that holds a round's proposals."""
        return f"round{round_}_{self.proxy.id}"

    def trials_in_first_round(self) -> int:
        """Proposals of the first round: half of them where a second follows."""
        return math.ceil(self.trials / self.rounds)

    def name_of(self, arch: ArchSpec) -> str:
        """What a person calls `arch`: the control's or a reference's name, else nothing."""
        if arch == self.control:
            return self.control_name
        return reference_name(arch)

    def proxy_of(self, fidelity: str) -> Proxy:
        """The settings behind a fidelity's id; ValueError for one that is not this search's."""
        for proxy in (self.proxy, self.race_proxy):
            if proxy.id == fidelity:
                return proxy
        raise ValueError(
            f"the store holds a running trial of fidelity {fidelity}, but this search trains "
            f"{self.proxy.id}: its settings have changed since; start a new run"
        )

    def repeats_at_least(self) -> int:
        """Re-runs without which there is no answer: the control's are handed out first, so the winner's."""
        return self.repeats

    def runs_at_most(self) -> dict[str, int]:
        """Runs by purpose if nothing is dropped; the race usually ends earlier."""
        return runs_at_most(
            self.trials, self.repeats, self.finalists, longer=self.race_proxy.id != self.proxy.id
        )

    def narrow(self, records: Sequence[TrialRecord]) -> FeasibleSet:
        """The second round's set; the whole set where `narrowed` finds none."""
        return narrowed(self.space, self.budget, records, self.feasible.caps) or self.feasible


def resolve(
    config: SearchConfig,
    *,
    gpus: int,
    proxy: Proxy | None = None,
    seed_archs: Sequence[ArchSpec] | None = None,
    table: LatencyTable | None = None,
    outputs: int = OUTPUTS,
) -> Plan:
    """The plan of `config` on a machine or cluster with `gpus`; ValueError with what would work instead.

    A resumed search gives the `proxy` and `seed_archs` that its run.json holds: their files may have changed.
    `outputs` are those of the task's networks, which budget and caps count.
    """
    small = gpus == 0
    _one_of("--strategy", config.strategy, STRATEGIES)
    _one_of("--scheduler", config.scheduler, SCHEDULERS)
    _one_of("--launcher", config.launcher, LAUNCHERS)
    cost = find_cost(config, table, outputs)
    if cost is not None and config.strategy == "predictor":
        raise ValueError(
            f"--strategy predictor seeks one architecture and --objectives {config.objectives} a front: take "
            "tpe, gp or evolution"
        )
    budget = Budget.parse(config.budget, config.tolerance)
    space = Space.from_dict({**config.space, "outputs": outputs})
    proxy = proxy or proxy_named(config.proxy or ("mini" if small else "short"))
    window = FeasibleSet(space, budget)
    control, name = find_control(window)
    feasible = window.within(Caps.parse(_caps(config), control, table, outputs))
    if seed_archs is None:
        seed_archs = [find_arch(text, feasible) for text in config.seed_arch]
    race_epochs = config.race_epochs or (1.0 if small else 2.0)
    return Plan(
        budget=budget,
        space=space,
        feasible=feasible,
        proxy=proxy,
        race_proxy=_longer(proxy, race_epochs),
        race_epochs=race_epochs,
        control=control,
        control_name=name,
        seed_archs=tuple(seed_archs),
        strategy=config.strategy,
        scheduler=config.scheduler,
        trials=config.trials or (4 if small else 64),
        rounds=config.rounds,
        repeats=config.repeats,
        finalists=config.finalists or (8 if not small else 1 if cost is None else 4),
        seed=config.seed,
        max_hours=config.max_hours,
        demonstration=small and config.trials is None and config.objective is None,
        cost=cost,
        table=table,
    )


def _caps(config: SearchConfig) -> dict[str, str | None]:
    """The caps as they were written, for Caps.parse."""
    return {name: getattr(config, f"max_{name}") for name in NAMES}


def find_cost(config: SearchConfig, table: LatencyTable | None, outputs: int = OUTPUTS) -> Cost | None:
    """The objective beside L_error; ValueError for one that is unknown, or that does not go with the rest."""
    second = second_of(config.objectives)
    if second is None:
        return None
    if config.scheduler == "asha":
        raise ValueError(
            f"--objectives {config.objectives} does not go with --scheduler asha: rungs judge by l_error "
            "alone, and would stop the cheap end of the front"
        )
    if config.rounds == 2:
        raise ValueError(
            f"--objectives {config.objectives} does not go with --rounds 2: the space is narrowed to what is "
            "best by l_error alone"
        )
    return Cost(second, table if second == "latency" else None, outputs)


def _one_of(flag: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"{flag} is one of {', '.join(choices)}, not {value!r}")


def _longer(proxy: Proxy, factor: float) -> Proxy:
    return proxy if factor == 1 else proxy.longer(factor)


def proxy_named(text: str) -> Proxy:
    """What `find_proxy` knows, or that of a benchmark table by the table's name."""
    if text in PROXIES or Path(text).exists():
        return find_proxy(text)
    from proxy_tasks.bench.plan import TABLES, LongerPlan, TablePlan  # and with it torch

    found = TABLES.get(text)
    if isinstance(found, LongerPlan):
        return found.table.proxy.longer(found.table.length)
    return found.proxy if isinstance(found, TablePlan) else find_proxy(text)


def find_arch(text: str, feasible: FeasibleSet) -> ArchSpec:
    """An architecture by reference name or spec file.

    A reference that lies outside the window is brought inside as the control is (space/scale.py); what a file
    holds is meant as it is, and must lie there.
    """
    try:
        arch = read_spec(text)
    except ValueError as error:
        raise ValueError(f"--seed-arch: {error}") from None
    if arch.block != feasible.space.block:
        raise ValueError(
            f"--seed-arch {text} ({arch.id}) is of {arch.block} blocks and the space is of "
            f"{feasible.space.block} ones: give --block {arch.block}, or leave it out"
        )
    if text in REFERENCES:
        arch = nearest(feasible, arch)
    if arch in feasible.window and (too_much := feasible.too_much(arch)):
        raise ValueError(f"--seed-arch {text} ({arch.id}) has {too_much}: raise that or leave it out")
    if arch not in feasible:
        budget = feasible.budget
        raise ValueError(
            f"--seed-arch {text} ({arch.id}) has {feasible.macs(arch) / 1e9:.3f} GFLOPs and is not in the "
            f"space between {budget.low / 1e9:.3f} and {budget.high / 1e9:.3f}: raise --tolerance or leave "
            "it out"
        )
    return arch
