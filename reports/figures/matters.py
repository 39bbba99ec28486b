"""Importances as bars with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from reports.axes import AXES
from reports.figures.style import ALL, few_ticks, panels, styled
from reports.importance import Importance


def draw(groups: Mapping[str, Sequence[str]], found: Mapping[str, Importance], columns: int) -> Figure:
    """One panel a forest; properties in their own order, so that stages can be compared."""
    with styled():
        figure, grid = panels(len(groups), columns, width=3.6, height=2.6)
        right = max(100 * float(each.high.max()) for each in found.values())
        left = min(0.0, *(100 * float(each.low.min()) for each in found.values()))
        room = 0.06 * (right - left) or 1.0
        for axes, (name, keys) in zip(grid, groups.items(), strict=True):
            importance = found[name]
            value, at = 100 * importance.value, np.arange(len(keys))
            reach = 100 * np.stack([importance.value - importance.low, importance.high - importance.value])
            axes.barh(at, value, color=ALL, alpha=0.75, height=0.62)
            axes.errorbar(value, at, xerr=reach, fmt="none", ecolor="#222222", elinewidth=1, capsize=2)
            axes.axvline(0, color="#555555", lw=0.7)
            axes.set_yticks(at, [AXES[key].name for key in keys])
            axes.invert_yaxis()
            axes.set_xlim(left - room, right + room)
            axes.set_xlabel("importance (% of the variance)")
            axes.grid(False, axis="y")
            axes.tick_params(axis="y", length=0)
            few_ticks(axes, 5)
        return figure
