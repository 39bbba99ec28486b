"""How the runs went: learning curves with the rungs that stopped some, and the best so far against effort."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nas.record.select import Selection
from reports import edf
from reports.durations import duration
from reports.figures import learning as figure
from reports.figures.style import both
from reports.run import Run
from reports.tables import Column, Drawing, Fact, Section, Table

if TYPE_CHECKING:
    from nas.record.store import TrialRecord


def section(run: Run, selection: Selection) -> Section:
    """Curves, rungs, and the best so far; `selection` is that of the search's own proxy."""
    shown = [r for r in run.records if r.curve and r.fidelity == run.fidelity]
    steps = progress(run)
    control = selection.control.mean if selection.control else None
    best = selection.best.arch if selection.best else None
    wide, narrow = both(lambda columns: figure.draw(shown, best, steps, control, columns), 3, 1)
    alt = "Learning curves of all runs; best error so far against trials and against hours"
    improvements = [row for row in steps.rows if row["improved"] == "yes"]
    return Section(
        key="learning",
        title="How the runs went",
        facts={
            "curves": Fact(len(shown), "d"),
            "complete": Fact(len(run.complete), "d"),
            "pruned": Fact(sum(r.state == "pruned" for r in run.proposals), "d"),
            "rungs": Fact(len(rungs(run).rows), "d"),
            "above": Fact(_cut_off(shown), "d"),
            "time": duration(run.hours(run.proposals)),
            "last_trial": Fact(improvements[-1]["trials"], "d"),
            "last_mm": Fact(improvements[-1]["best_mm"], ".2f", "mm"),
        },
        tables=(rungs(run), steps),
        drawings=(Drawing("learning", alt, wide, narrow),),
    )


def _cut_off(records: Sequence[TrialRecord]) -> int:
    """Runs whose curve begins above the axis."""
    if not records:
        return 0
    _, high = figure.curve_limits(records)
    return sum(max(value for _, value in record.curve) > high for record in records)


def rungs(run: Run) -> Table:
    """Where runs were stopped: of those that reached a rung, how many ended there."""
    stops = Counter(r.curve[-1][0] for r in run.proposals if r.state == "pruned" and r.curve)
    columns = (
        Column("epochs", "Rung (epochs)", ".3g"),
        Column("reached", "Reached it", "d"),
        Column("stopped", "Stopped there", "d"),
        Column("share", "Share (%)", ".0f"),
    )
    rows = []
    for epochs in sorted(stops):
        reached = sum(bool(r.curve) and r.curve[-1][0] >= epochs for r in run.proposals)
        share = 100 * stops[epochs] / reached
        rows.append({"epochs": epochs, "reached": reached, "stopped": stops[epochs], "share": share})
    return Table.make("rungs", columns, rows)


def progress(run: Run) -> Table:
    """The best so far after each proposal that ended, by trials and hours, and what chance would give."""
    ended = sorted((r for r in run.proposals if r.finished), key=lambda r: (r.finished, r.round, r.number))
    errors = [r.l_error_mm for r in ended]
    complete = [e for e in errors if e is not None]
    chance = iter(edf.best_of(complete, np.arange(1, len(complete) + 1)).tolist())
    rows, best, hours, expected = [], np.inf, 0.0, None
    for count, record in enumerate(ended, 1):
        hours += run.hours([record])
        error = record.l_error_mm
        expected = next(chance) if error is not None else expected
        improved = error is not None and error < best
        best = min(best, np.inf if error is None else error)
        rows.append(
            {
                "trials": count,
                "hours": hours,
                "best_mm": best if np.isfinite(best) else None,
                "chance_mm": expected,
                "architecture": record.arch.id,
                "improved": "yes" if improved else "no",
            }
        )
    columns = (
        Column("trials", "Trials", "d"),
        Column("hours", "Device time (h)", ".2f"),
        Column("best_mm", "Best so far (mm)", ".2f"),
        Column("chance_mm", "Expected in random order (mm)", ".2f"),
        Column("architecture", "Architecture"),
        Column("improved", "Improved", hidden=True),
    )
    return Table.make("progress", columns, rows)
