"""The front that a search sought, where it sought one, read from its run directory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.record.costs import Latencies
from nas.record.front import CostOf, Front, front_of
from nas.record.objectives import Cost, second_of
from nas.record.run_dir import RunDir, outputs_counted
from nas.record.select import Selection
from space import ArchSpec
from space.latency import LatencyTable


def cost_sought(run: RunDir, about: Mapping[str, Any]) -> Cost | None:
    """The second objective of a run; None where L_error was its only one."""
    second = second_of(about.get("config", {}).get("objectives", "l_error"))
    if second is None:
        return None
    table = LatencyTable.load(run.latency_table) if second == "latency" else None
    return Cost(second, table, outputs_counted(about))


def best_known(cost: Cost, latencies: Latencies) -> CostOf:
    """An architecture's cost: measured where it was, else as the search took it to be."""

    def of(arch: ArchSpec) -> float:
        measured = latencies.ms(arch) if cost.name == "latency" else None
        return cost.of(arch) if measured is None else measured

    return of


def front_sought(run: RunDir, about: Mapping[str, Any], selection: Selection) -> Front | None:
    """The front of a run's finalists; None where L_error was its only objective."""
    cost = cost_sought(run, about)
    if cost is None or not selection.rows:
        return None
    return front_of(selection.rows, best_known(cost, Latencies.of(about)), cost.unit)


def to_dict(front: Front) -> dict[str, Any]:
    """Plain values, for JSON."""
    return {
        "unit": front.unit,
        "members": [
            {
                "arch": m.estimate.arch.id,
                "cost": m.cost,
                "l_error_mm": m.estimate.mean,
                "interval_mm": m.interval,
                "runs": len(m.estimate.values),
                "tied": list(m.tied),
            }
            for m in front.members
        ],
        "also": [e.arch.id for e in front.also],
        "verdict": front.verdict,
    }
