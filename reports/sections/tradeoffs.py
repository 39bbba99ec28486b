"""What error costs: L_error against multiply-adds, parameters, activations and measured latency."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nas.record.estimates import Estimate
from nas.record.select import Selection
from reports.axes import AXES, COSTS
from reports.figures import tradeoffs as figure
from reports.figures.population import limits
from reports.figures.style import both
from reports.latency import CACHE, measured
from reports.pareto import pareto_front
from reports.run import Run
from reports.tables import Column, Drawing, Fact, Section, Table

_MEASURED = 10  # architectures whose latency is taken: the best of the proposals, and the control
_SHOWN = 12


def section(run: Run, selection: Selection, folder: Path) -> Section:
    """`folder` keeps the measured latencies."""
    best = _best_runs(run)
    control = selection.control
    wanted = ([control.arch] if control else []) + [record.arch for record in best[:_MEASURED]]
    milliseconds, hardware = dict(run.latencies.measured), run.latencies.where
    if not milliseconds:  # a search of before they were recorded
        milliseconds, hardware = measured(wanted, folder / CACHE)
    x = np.array([record.l_error_mm for record in best])
    costs = {key: np.array([AXES[key].get(record) for record in best], dtype=float) for key in COSTS[:3]}
    costs["latency_ms"] = np.array([milliseconds.get(record.arch.id, np.nan) for record in best])
    fronts = {key: _front(values, x) for key, values in costs.items()}
    point = _control_point(control, milliseconds) if control else {}
    wide, narrow = both(lambda columns: figure.draw(costs, x, fronts, point, columns), 4, 2)
    alt = "L_error against FLOPs, parameters, activations and latency, with the front of each"
    return Section(
        key="tradeoffs",
        title="What error costs",
        facts={
            "n": Fact(len(best), "d"),
            "above": Fact(int((x > limits(x, [control.mean] if control else [])[1]).sum()), "d"),
            "measured": Fact(int(np.isfinite(costs["latency_ms"]).sum()), "d"),
            "control": Fact("yes" if control and control.arch.id in milliseconds else "no"),
            "hardware": Fact(hardware),
        },
        tables=(table(best, costs, fronts),),
        drawings=(Drawing("tradeoffs", alt, wide, narrow),),
    )


def _best_runs(run: Run) -> list:
    """One trial for each architecture, its first, best first: a repeated draw is one point."""
    first = {record.arch: record for record in reversed(run.complete)}
    return sorted(first.values(), key=lambda record: (record.l_error_mm, record.arch.id))


def _front(costs: np.ndarray, errors: np.ndarray) -> np.ndarray:
    known = np.flatnonzero(np.isfinite(costs))
    return known[pareto_front(costs[known], errors[known])]


def _control_point(control: Estimate, milliseconds: dict[str, float]) -> dict[str, tuple[float, float]]:
    costs = {"gmacs": control.macs / 1e9, "mparams": control.params / 1e6}
    costs |= {"mactivations": control.activations / 1e6}
    costs |= {"latency_ms": milliseconds.get(control.arch.id, float("nan"))}
    return {key: (cost, control.mean) for key, cost in costs.items()}


def table(best: list, costs: dict[str, np.ndarray], fronts: dict[str, np.ndarray]) -> Table:
    """The architectures on any front, best first, and on which they stand."""
    columns = (
        Column("architecture", "Architecture"),
        Column.of("l_error_mm"),
        *(Column.of(key) for key in COSTS),
        Column("front", "On the front of"),
    )
    words = {
        "gmacs": "FLOPs",
        "mparams": "parameters",
        "mactivations": "activations",
        "latency_ms": "latency",
    }
    on = {i: [words[key] for key in COSTS if i in set(fronts[key].tolist())] for i in range(len(best))}
    rows = [
        {
            "architecture": record.arch.id,
            "l_error_mm": record.l_error_mm,
            **{key: float(costs[key][i]) for key in COSTS},
            "front": "all four" if len(on[i]) == len(COSTS) else ", ".join(on[i]),
        }
        for i, record in enumerate(best)
        if on[i]
    ]
    return Table.make("tradeoffs", columns, rows[:_SHOWN])
