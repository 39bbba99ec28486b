"""Who is to be run again: a table's candidates by a rule that can be written down before the runs.

    the best of the table        the uniform draws of least validation error, shrunken for the noise of seeds
    the best that it predicts    of many exact draws, those of least expected error by a Gaussian process
                                 fitted to the table (proxy_tasks.bench.surrogate); nobody has trained them

Only validation errors are read, never those on the test people. tests/test_bench_naming.py
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from proxy_tasks.bench.surrogate import Surrogate
from proxy_tasks.bench.table import UNIFORM, RunTable
from space import ArchSpec, FeasibleSet
from space.rows import specs

SCREENED = 100_000


@dataclass(frozen=True, slots=True)
class Named:
    """A candidate: what named it, and the validation error that is expected of it, mm."""

    name: str
    arch: ArchSpec
    expected_mm: float

    def write(self, folder: Path) -> Path:
        """Write NAME.json, a spec file."""
        path = folder / f"{self.name}.json"
        value = {"arch": self.arch.to_dict(), "named": self.name, "expected_mm": round(self.expected_mm, 3)}
        path.write_text(json.dumps(value, indent=1) + "\n")
        return path


def best(table: RunTable, count: int) -> list[Named]:
    """The `count` uniform draws of least shrunken error. ValueError as RunTable.shrunken."""
    shrunk = table.shrunken()
    order = [i for i in table.ranking() if table.roles[i] == UNIFORM]
    return [Named(f"table-{n}", table.archs[i], float(shrunk[i])) for n, i in enumerate(order[:count], 1)]


def predicted(
    table: RunTable, feasible: FeasibleSet, count: int, seed: int = 0, screened: int = SCREENED
) -> list[Named]:
    """The `count` draws of least expected error, no two of the same depths; ValueError as Surrogate.fit."""
    draws = feasible.draw_array(screened, np.random.default_rng(seed))
    expected = Surrogate.fit(table, "gp", seed).curves(draws)[:, -1]
    found: dict[tuple[int, ...], Named] = {}
    for i in expected.argsort(kind="stable"):
        if len(found) == count:
            break
        (arch,) = specs(feasible.space, draws[i : i + 1])
        named = Named(f"predicted-{len(found) + 1}", arch, float(expected[i]))
        found.setdefault(arch.depths, named)
    return list(found.values())
