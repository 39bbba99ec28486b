"""Several populations in one figure: distributions with bands, and the best to expect of n draws."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from reports.edf import Band
from reports.figures.population import curves as draw_curves
from reports.figures.style import axis_labels, few_ticks, looks, panels, styled


def draw(bands: Mapping[str, Band], best_of: Mapping[str, np.ndarray], columns: int) -> Figure:
    """Left the EDFs; right the expected best of n (curve[n - 1], mm) as far as all of them reach."""
    with styled():
        figure, (left, right) = panels(2, columns, width=4.1, height=3.0)
        draw_curves(left, bands)
        equal = min(len(curve) for curve in best_of.values())
        n = np.arange(1, equal + 1)
        for (colour, line), curve in zip(looks(), best_of.values(), strict=False):
            right.plot(n, curve[:equal], color=colour, ls=line, marker="o" if equal == 1 else None, ms=4)
        few_ticks(right, 6, 6, whole_x=True)
        if equal > 20:
            right.set_xscale("log")
            right.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if equal < 500 else (1.0,)))
            right.xaxis.set_minor_formatter(NullFormatter())
            right.xaxis.set_major_formatter(lambda n, _: f"{n:.0f}")
        axis_labels(right, "random draws n", "expected best L_error (mm)")
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=max(1, columns))
        return figure
