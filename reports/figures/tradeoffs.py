"""Error against cost, with the front that nothing beats in both."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from reports.figures.population import limits
from reports.figures.style import (
    ALL,
    BEST,
    RASTER,
    axis_labels,
    few_ticks,
    mark,
    panels,
    shared_legend,
    styled,
)


def draw(
    costs: Mapping[str, np.ndarray],
    errors: np.ndarray,
    fronts: Mapping[str, np.ndarray],
    control: Mapping[str, tuple[float, float]],
    columns: int,
) -> Figure:
    """One panel a cost; costs (n,), NaN where not measured; errors (n,) mm; fronts indices by rising cost."""
    with styled():
        figure, grid = panels(len(costs), columns)
        low, high = limits(errors, [error for _, error in control.values()])
        for i, (axes, key) in enumerate(zip(grid, costs, strict=True)):
            faint = 0.7 if len(errors) < 100 else 0.35
            many = len(errors) > RASTER
            axes.scatter(
                costs[key], errors, s=9, c=ALL, alpha=faint, lw=0, rasterized=many, label="architectures"
            )
            x, y = costs[key][fronts[key]], errors[fronts[key]]
            axes.plot(x, y, drawstyle="steps-post", color=BEST, lw=1.1, marker="o", ms=3, label="front")
            if key in control and np.isfinite(control[key][0]):
                mark(axes, "control", *control[key], label="control")
            axes.set_ylim(low, high)
            axes.margins(x=0.08)
            axis_labels(axes, key, "l_error_mm" if i % columns == 0 else None)
            few_ticks(axes, 4, 5)
        shared_legend(figure, grid[0], columns)
        return figure
