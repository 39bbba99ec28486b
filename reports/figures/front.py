"""The front of two objectives with its error bars, and how much of it a search had covered by when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from reports.figures.population import limits
from reports.figures.style import ALL, BEST, axis_labels, few_ticks, mark, panels, shared_legend, styled


@dataclass(frozen=True, slots=True)
class Points:
    """What is drawn. Costs in the unit of `label`, errors in mm.

    proposals  (n, 2) cost and first error     members  (m, 4) cost, mean, ends of its interval, by rising
    cost covered    (n, 2) device time and hypervolume after each proposal
    """

    label: str
    time_label: str
    area_label: str
    proposals: np.ndarray
    members: np.ndarray
    control: tuple[float, float] | None
    covered: np.ndarray


def draw(points: Points, columns: int) -> Figure:
    """Two panels: the front, and its hypervolume against device time."""
    with styled():
        figure, grid = panels(2, columns, width=3.1, height=2.4)
        _front(grid[0], points)
        grid[1].plot(*points.covered.T, drawstyle="steps-post", color=ALL)
        axis_labels(grid[1], points.time_label, points.area_label)
        for axes in grid:
            few_ticks(axes, 5, 5)
        shared_legend(figure, grid[0], columns)
        return figure


def _front(axes: object, points: Points) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    cost, mean, low, high = points.members.T
    tried, their_error = points.proposals.T
    axes.scatter(tried, their_error, s=9, c=ALL, alpha=0.5, lw=0, label="proposals, one run each")
    axes.plot(cost, mean, drawstyle="steps-post", color=BEST, lw=1.1)
    bars: Sequence[np.ndarray] = [mean - low, high - mean]
    axes.errorbar(cost, mean, yerr=bars, fmt="o", ms=3, color=BEST, lw=0.9, label="front, 95 % intervals")
    if points.control is not None:
        mark(axes, "control", *points.control, label="control")
    others = [points.control[1]] if points.control else []
    axes.set_ylim(*limits(points.proposals[:, 1], [*others, *low.tolist(), *high.tolist()]))
    axis_labels(axes, points.label, "l_error_mm")
