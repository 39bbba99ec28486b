"""What a table holds: which architectures, how often, how long; docs/evidence.md has the reasons.

Uniform architecture n is draw n of one seeded generator, so a longer sample begins with a shorter one. The
runs are listed in the order in which they are to be done: what is there at any moment is a table, each block
below makes it a better one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from proxy_tasks.bench.ablation import AblationPlan
from proxy_tasks.bench.confirm import ConfirmPlan
from proxy_tasks.bench.rows import Row
from proxy_tasks.bench.run import Entry
from proxy_tasks.bench.table import is_complete
from proxy_tasks.proxy import PROXIES, Proxy, Synthetic
from space import ArchSpec, Budget, FeasibleSet, Space
from space.arch import REFERENCES
from space.scale import nearest


class Plan(Protocol):
    """What `build` trains, and what `query` prints of the rows."""

    def entries(self) -> Iterable[Entry]:
        """Every run, in the order in which they are to be done."""
        ...

    def text(self, rows: Iterable[Row]) -> str:
        """What the rows say."""
        ...


DRAWS_SEED = 20261127
TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class TablePlan:
    """A table: its budget, recipe and sizes. Seeds of a run count from 0."""

    name: str
    budget: str
    proxy: Proxy
    singles: int  # uniform architectures, one seed each
    repeated: int  # the first of them, with `seeds` seeds
    longer: int  # the first of them, also `length` times as long
    seeds: int = 3
    length: float = 4.0
    control_seeds: int = 8

    def feasible(self) -> FeasibleSet:
        """The set that the sample is uniform over."""
        return FeasibleSet(Space(), Budget.parse(self.budget, tolerance=TOLERANCE))

    def uniform(self, feasible: FeasibleSet) -> list[ArchSpec]:
        """The sample, in its order."""
        return feasible.draw(self.singles, np.random.default_rng(DRAWS_SEED))

    def entries(self) -> Iterator[Entry]:
        """Every run, in the order in which they are to be done."""
        feasible = self.feasible()
        references = {name: nearest(feasible, REFERENCES[name]) for name in _REFERENCES}
        uniform = self.uniform(feasible)
        control = references["resnet34"]
        for seed in range(self.seeds):
            for name, arch in references.items():
                yield Entry(arch, "control" if arch == control else name, seed, self.proxy)
        for arch in uniform:
            yield Entry(arch, "uniform", 0, self.proxy)
        for seed in range(self.seeds, self.control_seeds):
            yield Entry(control, "control", seed, self.proxy)
        for seed in range(1, self.seeds):
            for arch in uniform[: self.repeated]:
                yield Entry(arch, "uniform", seed, self.proxy)
        for name, arch in references.items():
            yield Entry(arch, "control" if arch == control else name, 0, self.proxy, self.length)
        for arch in uniform[: self.longer]:
            yield Entry(arch, "uniform", 0, self.proxy, self.length)

    def text(self, rows: Iterable[Row]) -> str:
        """What is there, the best first."""
        return listing(rows)


@dataclass(frozen=True, slots=True)
class LongerPlan:
    """A table's longer runs before the rest of it, its control with more seeds: is the recipe too short?"""

    table: TablePlan
    seeds: int = 3  # of the control, the further ones after every fourth draw

    def entries(self) -> Iterator[Entry]:
        """Every run, in the order in which they are to be done."""
        longer = [entry for entry in self.table.entries() if entry.length > 1]
        control, further = longer[0], iter(range(1, self.seeds))
        for i, entry in enumerate(longer):
            yield entry
            if i >= len(_REFERENCES) and (i - len(_REFERENCES)) % 4 == 3:
                yield from (replace(control, seed=seed) for seed in itertools.islice(further, 1))

    def text(self, rows: Iterable[Row]) -> str:
        """What is there, the best first."""
        return listing(rows)


@dataclass(frozen=True, slots=True)
class DrawsPlan:
    """Exactly uniform architectures of a part of the space, one seed each: what is it like there?"""

    budget: str
    space: Space
    proxy: Proxy
    count: int
    role: str  # no table's population: rows of both may be read together
    length: float = 1.0

    def entries(self) -> Iterator[Entry]:
        """Every run, in the order in which they are to be done."""
        feasible = FeasibleSet(self.space, Budget.parse(self.budget, tolerance=TOLERANCE))
        for arch in feasible.draw(self.count, np.random.default_rng(DRAWS_SEED)):
            yield Entry(arch, self.role, 0, self.proxy, self.length)

    def text(self, rows: Iterable[Row]) -> str:
        """What is there, the best first."""
        return listing(rows)


_REFERENCES = ("resnet34", "resnet18", "jmlr-searched")


@dataclass(frozen=True, slots=True)
class TuningPlan:
    """Recipes compared on the control alone, on people that no result is reported on."""

    control: ArchSpec
    recipes: tuple[Proxy, ...]
    seeds: int = 1

    def entries(self) -> Iterator[Entry]:
        """Every run, seed by seed."""
        for seed in range(self.seeds):
            for proxy in self.recipes:
                yield Entry(self.control, "control", seed, proxy)

    def text(self, rows: Iterable[Row]) -> str:
        """What is there, the best first; then each recipe's mean over its seeds."""
        rows = list(rows)
        names = {proxy.id: proxy.name for proxy in self.recipes}
        ends: dict[str, list[float]] = {}
        for row in rows:
            if is_complete(row) and row["proxy"] in names:
                ends.setdefault(row["proxy"], []).append(row["l_error_mm"])
        means = [
            f"{names[proxy]:<16} {np.mean(found):.2f} ± {np.std(found, ddof=1):.2f} mm, {len(found)} seeds"
            for proxy, found in sorted(ends.items(), key=lambda each: np.mean(each[1]))
            if len(found) > 1
        ]
        return "\n".join([listing(rows), *means])


def listing(rows: Iterable[Row]) -> str:
    """One line a run: length by length, the best first; last those that did not end well."""
    order = sorted(rows, key=lambda r: (r["length"], r["status"] != "complete", r["l_error_mm"] or 0.0))
    return "\n".join(
        f"{_error(row):>8} x{row['length']:g} s{row['seed']} {row['role']:14} {row['key']}" for row in order
    )


def _error(row: Row) -> str:
    return f"{row['l_error_mm']:.2f}" if row["status"] == "complete" else str(row["status"])


SMALL = Proxy(
    "table",
    resolution=64,
    epochs=3,
    batch=64,
    optimizer="adamw",
    lr=8.5e-3,  # 3e-3 at a batch of 64
    weight_decay=0.05,
    power=1.0,
    evaluations=6,
    validation_images=720,
    synthetic=Synthetic(subjects=1800, frames=8, size=256, seed=1),
)
STEADY_SMALL = SMALL.replace(name="steady", epochs=6)  # seeds differ by 0.5 mm, with 3 epochs by 0.8
_SGD = SMALL.replace(
    name="sgd8",
    optimizer="sgd",
    lr=8.0,
    weight_decay=5e-4,
    validation_images=1440,
    synthetic=Synthetic(subjects=1800, frames=8, size=256, seed=100),
)
_ADAMW = _SGD.replace(name="adamw", optimizer="adamw", lr=8.5e-3, weight_decay=0.05)
_SHORTER = _ADAMW.replace(epochs=2, validation_images=720)
TUNED = (
    _SGD,
    _SGD.replace(name="sgd8avg05", average=0.05),
    _ADAMW,
    _ADAMW.replace(name="adamwavg", average=0.05),
    _SHORTER.replace(name="adamw_e2_3e-3"),
    _SHORTER.replace(name="adamw_e2_5e-3", lr=1.4e-2),
)
STEADY = (  # which of them differs least from one seed to the next
    _ADAMW.replace(name="adamw3e-3", validation_images=720),
    _ADAMW.replace(name="adamw1.5e-3", validation_images=720, lr=4.25e-3),
    _ADAMW.replace(name="adamw3e-3x2", validation_images=720, epochs=6),
    _ADAMW.replace(name="adamw2e-3x2", validation_images=720, epochs=6, lr=5.65e-3),
)
LARGE = STEADY_SMALL.replace(name="large", resolution=128, evaluations=4)
_LARGE = LARGE.replace(synthetic=Synthetic(subjects=1800, frames=8, size=256, seed=100))
TUNED_LARGE = (
    _LARGE.replace(name="l3e-3"),
    _LARGE.replace(name="l6e-3", lr=1.7e-2),
    _LARGE.replace(name="l1.5e-3", lr=4.25e-3),
    _LARGE.replace(name="l3e-3half", epochs=3),
    _LARGE.replace(name="l3e-3x2", epochs=12),
)
_MINI = PROXIES["mini"].replace(
    optimizer="sgd", lr=4.0, weight_decay=5e-4, epochs=2, subjects=640, frames=4
)  # as it was before it was tuned; each takes the place of about the same minutes, but the two long ones
_MINI_ADAMW = _MINI.replace(optimizer="adamw", lr=1.2e-2, weight_decay=0.05)
TUNED_MINI = (
    _MINI.replace(name="sgd64"),
    _MINI_ADAMW.replace(name="a64"),
    _MINI_ADAMW.replace(name="a64hi", lr=2.4e-2),
    _MINI_ADAMW.replace(name="c1", subjects=1280, epochs=1),
    _MINI_ADAMW.replace(name="c2", resolution=48, batch=64, subjects=1440, frames=5, epochs=1, lr=8.5e-3),
    _MINI_ADAMW.replace(name="c3", resolution=32, batch=64, subjects=1280, frames=8, epochs=1, lr=8.5e-3),
    _MINI_ADAMW.replace(name="a48", resolution=48, epochs=4),
    _MINI_ADAMW.replace(name="a32", resolution=32, epochs=8),
)
CONTROL = ArchSpec((3, 4, 6, 3), (24, 48, 104, 200))  # ResNet-34 in 1.2 GFLOPs, and the paper's network
SEARCHED = ArchSpec((5, 3, 4, 2), (24, 64, 104, 200))
FIRST_ROUND = (  # of least shrunken validation error after 42 rows; named before they were run again
    ArchSpec((10, 3, 3, 7), (16, 48, 120, 160)),
    ArchSpec((8, 5, 1, 4), (24, 24, 112, 256)),
)
FOUND = (ArchSpec((1, 3, 6, 2), (32, 56, 120, 192)),)  # first in nas.search --strategy tpe --seed 0
FOUND_LONGER = (ArchSpec((5, 3, 1, 3), (32, 40, 184, 192)),)  # first in a search at four times the length
DRAWN_LONGER = (ArchSpec((8, 5, 1, 4), (24, 24, 112, 256)),)  # the best of ten uniform draws there
_CPU_TABLE = TablePlan("cpu-1.2G", "1.2GFLOPs", SMALL, singles=120, repeated=24, longer=24)
TABLES: dict[str, Plan] = {
    "cpu-1.2G": _CPU_TABLE,
    "cpu-1.2G-longer": LongerPlan(_CPU_TABLE),
    "cpu-1.2G-shallow": DrawsPlan("1.2GFLOPs", Space(max_depth=6), SMALL, 12, "shallow", length=4.0),
    "cpu-1.2G-tuning": TuningPlan(CONTROL, TUNED),
    "cpu-1.2G-confirm": ConfirmPlan(SMALL, CONTROL, FIRST_ROUND, runs=8, level=0.975),
    "cpu-1.2G-steady-confirm": ConfirmPlan(
        STEADY_SMALL, CONTROL, FIRST_ROUND[:1], runs=8, level=0.975, first_seed=2000
    ),
    "cpu-1.2G-longer-confirm": ConfirmPlan(
        SMALL, CONTROL, FIRST_ROUND[:1], runs=6, length=4.0, first_seed=3000, paired=True
    ),
    "cpu-1.2G-search-confirm": ConfirmPlan(
        SMALL, CONTROL, FOUND, runs=12, level=0.975, first_seed=2000, paired=True
    ),
    "cpu-1.2G-second-longer-confirm": ConfirmPlan(
        SMALL, CONTROL, FOUND_LONGER, runs=20, level=0.99, length=4.0, first_seed=4000, paired=True
    ),
    "cpu-1.2G-drawn-longer": ConfirmPlan(  # with the same control; question 2
        SMALL, CONTROL, DRAWN_LONGER, runs=4, length=4.0, first_seed=4000, paired=True
    ),
    "cpu-1.2G-noise": TuningPlan(CONTROL, STEADY, seeds=4),
    "gpu-5.1G": TablePlan("gpu-5.1G", "5.1GFLOPs", LARGE, singles=200, repeated=24, longer=24),
    "gpu-5.1G-tuning": TuningPlan(REFERENCES["resnet34"], TUNED_LARGE, seeds=3),
    "gpu-5.1G-confirm": ConfirmPlan(LARGE, REFERENCES["resnet34"], (), runs=60, fixed=False),
    "mini-tuning": TuningPlan(REFERENCES["resnet34"], TUNED_MINI),
    "cpu-1.2G-table1": AblationPlan(SMALL, CONTROL, SEARCHED),
}


def kept_as() -> dict[str, tuple[str, float]]:
    """The fidelities that a table keeps as longer runs of its proxy: its id, and times how long."""
    tables = [plan.table for plan in TABLES.values() if isinstance(plan, LongerPlan)]
    return {each.proxy.longer(each.length).id: (each.proxy.id, each.length) for each in tables}
