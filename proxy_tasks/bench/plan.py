"""What a table holds: which architectures, how often, how long; docs/evidence.md has the reasons.

Uniform architecture n is draw n of one seeded generator, so a longer sample begins with a shorter one. The
runs are listed in the order in which they are to be done: what is there at any moment is a table, each block
below makes it a better one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from proxy_tasks.bench.run import Entry
from proxy_tasks.proxy import Proxy, Synthetic
from space import ArchSpec, Budget, FeasibleSet, Space
from space.arch import REFERENCES
from space.scale import nearest

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


_REFERENCES = ("resnet34", "resnet18", "jmlr-searched")

SMALL = Proxy(
    "table",
    resolution=64,
    epochs=3,
    batch=64,
    lr=8.0,
    power=1.0,
    evaluations=6,
    validation_images=1440,
    synthetic=Synthetic(subjects=1800, frames=8, size=256, seed=1),
)
TABLES = {
    "cpu-1.2G": TablePlan("cpu-1.2G", "1.2GFLOPs", SMALL, singles=120, repeated=24, longer=24),
}
