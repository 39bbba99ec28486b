"""Error against each property of an architecture, with the range in which the best lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.axes import AXES
from reports.figures.population import limits
from reports.figures.style import (
    ALL,
    BEST,
    RASTER,
    SECOND,
    axis_labels,
    few_ticks,
    mark,
    panels,
    shared_legend,
    styled,
)

if TYPE_CHECKING:
    from nas.record.estimates import Estimate


def draw(
    values: Mapping[str, np.ndarray],
    errors: np.ndarray,
    first: np.ndarray,
    ranges: Mapping[str, tuple[float, float, float]],
    marks: Mapping[str, Estimate],
    columns: int,
) -> Figure:
    """One panel a property; values, errors (n,) mm; first (n,) bool, of round 1; ranges low, median, high."""
    with styled():
        figure, grid = panels(len(values), columns)
        low, high = limits(errors, [each.mean for each in marks.values()])
        for i, (axes, key) in enumerate(zip(grid, values, strict=True)):
            _panel(axes, key, values[key], errors, first, ranges[key], marks)
            axes.set_ylim(low, high)
            axis_labels(axes, key, "l_error_mm" if i % columns == 0 else None)
            few_ticks(axes, 5, 5, whole_x=AXES[key].digits == ".0f")
        shared_legend(figure, grid[0], columns)
        return figure


def _panel(
    axes: Axes,
    key: str,
    values: np.ndarray,
    errors: np.ndarray,
    first: np.ndarray,
    best: tuple[float, float, float],
    marks: Mapping[str, Estimate],
) -> None:
    faint = 0.75 if len(errors) < 100 else 0.35
    size = 14 if len(errors) < 100 else 7
    many = len(errors) > RASTER
    axes.axvspan(best[0], best[2], color=BEST, alpha=0.13, lw=0, label="where the best lie")
    axes.axvline(best[1], color=BEST, lw=1, label="their median")
    for group, colour, label in ((first, ALL, "architectures"), (~first, SECOND, "second round")):
        if group.any():
            dots = axes.scatter(
                values[group], errors[group], s=size, c=colour, alpha=faint, lw=0, label=label
            )
            dots.set_rasterized(many)
    for kind, each in marks.items():
        at = AXES[key].get(each)
        assert at is not None, "what an architecture is, is known"
        mark(axes, kind, at, each.mean, {"winner": "best", "control": "control"}[kind])
