"""The front that a search sought: its members with intervals, who is tied, and how fast it was covered.

The hypervolume is that of first runs, below the worst error and cost of all proposals, so that it only grows;
device time is what runs had taken when each proposal ended. nas/record/front.py
"""

from __future__ import annotations

import numpy as np

from nas.record.front import Front, Member, hypervolume
from nas.record.run_dir import RunDir
from nas.record.select import Selection
from nas.record.sought import best_known, cost_sought, front_sought
from proxy_tasks.kind import Score
from reports.durations import UNITS, unit_for
from reports.figures import front as figure
from reports.figures.style import both
from reports.run import Run
from reports.sections.answer import decisive
from reports.tables import Column, Drawing, Fact, Section, Table

LABELS = {"latency": "Latency (ms)", "params": "Parameters (M)", "activations": "Activations (M)"}


def section(run: Run, selection: Selection) -> Section | None:
    """None for a search that had L_error alone to minimise."""
    folder = RunDir(run.path)
    cost, front = cost_sought(folder, run.info), front_sought(folder, run.info, selection)
    if cost is None or front is None or not front.members:
        return None
    label, cost_of = LABELS[cost.name], best_known(cost, run.latencies, selection)
    proposals = np.array([[cost.of(r.arch), r.l_error_mm] for r in run.complete])
    covered, unit = _covered(run, proposals)
    control = selection.control
    points = figure.Points(
        label=label,
        time_label=f"Device time ({unit})",
        area_label=f"Hypervolume ({Score.of(run.info).unit or 'score'} × {front.unit.split()[0]})",
        proposals=proposals,
        members=np.array(
            [[m.cost, m.estimate.mean, *(m.interval or 2 * (m.estimate.mean,))] for m in front.members]
        ),
        control=(cost_of(control.arch), control.mean) if control else None,
        covered=covered,
    )
    wide, narrow = both(lambda columns: figure.draw(points, columns), 2, 1)
    alt = f"L_error against {label.lower()} with the front, and the hypervolume against device time"
    return Section(
        key="front",
        title="The front",
        facts={
            "verdict": Fact(front.verdict),
            "n": Fact(len(proposals), "d"),
            "members": Fact(len(front.members), "d"),
            "raced_at": Fact("" if decisive(selection) == run.fidelity else decisive(selection)),
            "measured": Fact(run.latencies.where if cost_of != cost.of else ""),
        },
        tables=(table(front, label), _curve(covered, unit)),
        drawings=(Drawing("front", alt, wide, narrow),),
    )


def table(front: Front, label: str) -> Table:
    """The members, cheapest first."""
    columns = (
        Column("architecture", "Architecture"),
        Column("cost", label, ".2f"),
        Column.of("l_error_mm"),
        Column("low_mm", "from (mm)", ".2f"),
        Column("high_mm", "to (mm)", ".2f"),
        Column("runs", "Runs", "d"),
        Column("role", "Role"),
        Column("tied", "Tied with the cheaper"),
    )
    return Table.make("front", columns, [_row(m) for m in front.members])


def _row(m: Member) -> dict[str, float | int | str | None]:
    low, high = m.interval or (None, None)
    return {
        "architecture": m.estimate.arch.id,
        "cost": m.cost,
        "l_error_mm": m.estimate.mean,
        "low_mm": low,
        "high_mm": high,
        "runs": len(m.estimate.values),
        "role": m.estimate.role,
        "tied": ", ".join(m.tied) or "none",
    }


def _covered(run: Run, proposals: np.ndarray) -> tuple[np.ndarray, str]:
    """(n, 2) device time and hypervolume after each proposal, in order of their ends; the unit of time."""
    hours = np.cumsum([run.hours([r]) for r in run.complete])
    unit = unit_for(float(hours[-1]))
    worst = proposals.max(axis=0)
    seen = [hypervolume(proposals[: i + 1].tolist(), (worst[0], worst[1])) for i in range(len(proposals))]
    return np.stack([hours * UNITS[unit], np.array(seen)], axis=1), unit


def _curve(covered: np.ndarray, unit: str) -> Table:
    columns = (Column("time", f"Device time ({unit})", ".3g"), Column("hypervolume", "Hypervolume", ".4g"))
    rows = [{"time": float(t), "hypervolume": float(v)} for t, v in covered]
    return Table.make("hypervolume", columns, rows)
