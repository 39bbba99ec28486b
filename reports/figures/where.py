"""Error against each property of an architecture, with the range in which the best lie."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.axes import AXES, shares
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
from space import ArchSpec

Marks = Mapping[str, tuple[ArchSpec, float]]


def draw(
    values: Mapping[str, np.ndarray],
    errors: np.ndarray,
    first: np.ndarray,
    ranges: Mapping[str, tuple[float, float, float]],
    marks: Marks,
    columns: int,
) -> Figure:
    """One panel a property; values, errors (n,) mm; first (n,) bool, of round 1; ranges low, median, high."""
    with styled():
        figure, grid = panels(len(values), columns)
        low, high = limits(errors, [error for _, error in marks.values()])
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
    marks: Marks,
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
    for kind, (arch, error) in marks.items():
        mark(axes, kind, value_of(arch, key), error, {"winner": "best", "control": "control"}[kind])


def value_of(arch: ArchSpec, key: str) -> float:
    """A spec's own property, for architectures that are no proposal."""
    stage = int(key[-1]) - 1 if key[-1].isdigit() else 0
    if key.startswith("share"):
        return shares(arch)[stage]  # C2 is the second part, after the stem
    if key == "depth":
        return sum(arch.depths)
    return (arch.depths if key[0] == "d" else arch.widths)[stage]
