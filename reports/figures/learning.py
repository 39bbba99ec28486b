"""Learning curves of every run, and the best so far against trials and hours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from reports.durations import UNITS, unit_for
from reports.figures.population import limits
from reports.figures.style import (
    ALL,
    BEST,
    CONTROL,
    LOST,
    PRUNED,
    RASTER,
    axis_labels,
    few_ticks,
    panels,
    styled,
)
from reports.tables import Table
from space import ArchSpec

if TYPE_CHECKING:
    from nas.record.store import TrialRecord


def draw(
    records: Sequence[TrialRecord],
    best: ArchSpec | None,
    progress: Table,
    control_mm: float | None,
    columns: int,
) -> Figure:
    """Three panels: the curves of `records`; the best so far by trials and by hours, rows of `progress`."""
    with styled():
        figure, (curves, by_trials, by_hours) = panels(
            3, columns, width=2.75 if columns > 1 else 3.9, height=2.5
        )
        _curves(curves, records, best)
        rows = [row for row in progress.rows if row["best_mm"] is not None]
        _best_so_far(by_trials, rows, [row["trials"] for row in rows], "trials ended", control_mm)
        unit = unit_for(rows[-1]["hours"])
        times = [row["hours"] * UNITS[unit] for row in rows]
        _best_so_far(by_hours, rows, times, f"device time ({unit})", control_mm)
        named = [axes.get_legend_handles_labels() for axes in (curves, by_trials)]
        handles, labels = ([*first, *second] for first, second in zip(*named, strict=True))
        figure.legend(handles, labels, loc="outside upper left", ncols=5 if columns > 1 else 2)
        return figure


@dataclass(frozen=True, slots=True)
class _Kind:
    """How the curves of some runs are drawn; later kinds lie over earlier ones."""

    label: str
    colour: str
    alpha: float
    belongs: Callable[[TrialRecord, ArchSpec | None], bool]
    is_crowd: bool  # many thin lines, fainter the more there are
    shows_ends: bool = False  # a dot where a curve was cut off


_KINDS = (
    _Kind("complete", ALL, 0.5, lambda r, best: r.state == "complete" and r.role == "proposal", True),
    _Kind("stopped at a rung", PRUNED, 0.7, lambda r, best: r.state == "pruned", True, True),
    _Kind("failed or running", LOST, 0.9, lambda r, best: r.state in ("failed", "running"), True, True),
    _Kind("control", CONTROL, 0.9, lambda r, best: r.role == "control" and r.state == "complete", False),
    _Kind("best", BEST, 1.0, lambda r, best: r.arch == best and r.state == "complete", False),
)


def _curves(axes: Axes, records: Sequence[TrialRecord], best: ArchSpec | None) -> None:
    for order, kind in enumerate(_KINDS):
        if group := [r for r in records if kind.belongs(r, best)]:
            _draw_kind(axes, kind, group, zorder=2 + order)
    for epochs in sorted({r.curve[-1][0] for r in records if r.state == "pruned"}):
        axes.axvline(epochs, color=PRUNED, lw=0.8, ls=(0, (1, 2)), zorder=1)
    axis_labels(axes, "epochs", "l_error_mm")
    if records:
        axes.set_ylim(curve_limits(records))
        axes.set_xlim(0, 1.03 * max(r.curve[-1][0] for r in records))
        few_ticks(axes, 6, 6)
    else:
        axes.text(0.5, 0.5, "no curve was recorded", ha="center", transform=axes.transAxes, color=PRUNED)
        axes.set(xticks=[], yticks=[])


def _draw_kind(axes: Axes, kind: _Kind, group: Sequence[TrialRecord], zorder: float) -> None:
    raster = len(group) > RASTER
    lines = LineCollection(
        [r.curve for r in group],
        colors=kind.colour,
        alpha=kind.alpha * (_faintness(len(group)) if kind.is_crowd else 1.0),
        lw=0.6 if kind.is_crowd else 1.3,
        zorder=zorder,
        rasterized=raster,
    )
    axes.add_collection(lines)
    axes.plot([], [], color=kind.colour, label=kind.label)
    if kind.shows_ends:
        ends = np.array([r.curve[-1] for r in group])
        axes.scatter(ends[:, 0], ends[:, 1], s=5, c=kind.colour, lw=0, zorder=zorder + 1, rasterized=raster)


def _faintness(curves: int) -> float:
    return 0.3 if curves > 200 else 0.6 if curves > 40 else 1.0


def curve_limits(records: Sequence[TrialRecord]) -> tuple[float, float]:
    """Axis of errors, mm: down to the best, up to what most runs had after the first tenth of the epochs.

    Before that a curve falls so steeply that it would flatten the rest. Where the first point comes later,
    all of them are shown but for a far tail.
    """
    points = np.array([point for r in records for point in r.curve])
    tenth, least = 0.1 * points[:, 0].max(), points[:, 1].min()
    early = points[points[:, 0] <= tenth, 1]
    if early.size == 0:
        return limits(points[points[:, 0] == points[:, 0].min(), 1], [least])
    high = max(float(np.quantile(early, 0.75)), least)
    room = 0.05 * (high - least) or 0.5
    return float(least - room), float(high + room)


def _best_so_far(
    axes: Axes, rows: Sequence, x: Sequence[float], label: str, control_mm: float | None
) -> None:
    """The best error after each of `rows`, at the places `x`."""
    y = [row["best_mm"] for row in rows]
    alone = "o" if len(rows) == 1 else None
    axes.plot(
        x, [row["chance_mm"] for row in rows], color=PRUNED, lw=1, ls=":", label="random order, expected"
    )
    axes.step(x, y, where="post", color=ALL, label="best so far", marker=alone, ms=4)
    if control_mm is not None:
        axes.axhline(control_mm, color=CONTROL, ls="--", lw=1, label="control, mean")
    low, high = min([*y, control_mm or y[0]]), max([*y, control_mm or y[0]])
    room = 0.08 * (high - low) or 0.5
    axes.set_ylim(low - room, high + room)
    axes.set_xlim(0, 1.04 * max(x) or 1)
    axis_labels(axes, label, "best L_error so far (mm)")
    few_ticks(axes, 5, 5, whole_x=all(float(each).is_integer() for each in x))
    if not max(x):
        axes.set_xticks([0])  # a run that takes no time at all, as in a simulation
