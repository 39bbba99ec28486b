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


def best_known(cost: Cost, latencies: Latencies, selection: Selection) -> CostOf:
    """An architecture's cost: as measured, if all that the front compares were; else as the search took it.

    Among those a measured time beside a predicted one would say which was measured, not which is faster.
    """
    compared = [e.arch for e in selection.rows if e.rerun] or [e.arch for e in selection.rows]
    if cost.name != "latency" or any(latencies.ms(arch) is None for arch in compared):
        return cost.of

    def of(arch: ArchSpec) -> float:
        measured = latencies.ms(arch)
        return cost.of(arch) if measured is None else measured

    return of


def front_sought(run: RunDir, about: Mapping[str, Any], selection: Selection) -> Front | None:
    """The front of a run's finalists; None where L_error was its only objective."""
    cost = cost_sought(run, about)
    if cost is None or not selection.rows:
        return None
    return front_of(selection.rows, best_known(cost, Latencies.of(about), selection), cost.unit)


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
