"""Shares of the FLOPs by stage: all architectures beside the best tenth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.axes import PARTS
from reports.figures.style import ALL, PRUNED, RASTER, mark, panels, styled

_APART = 0.2


def draw(values: np.ndarray, top: np.ndarray, points: Mapping[str, np.ndarray]) -> Figure:
    """values (n, 6) of all, top (k, 6) of the best tenth, points (6,): percent, in the order of PARTS."""
    with styled():
        figure, (axes,) = panels(1, 1, width=5.2, height=3.0)
        _group(axes, values, -_APART, PRUNED, f"all (n = {len(values)})")
        _group(axes, top, _APART, ALL, f"best tenth (n = {len(top)})")
        for kind, shape in points.items():
            for i, share in enumerate(shape):
                words = {"winner": "best", "control": "control"}[kind] if i == 0 else None
                mark(axes, kind, i + {"winner": -0.05, "control": 0.05}[kind], share, words)
        axes.set_xticks(range(len(PARTS)), PARTS)
        axes.set_xlabel("part of the network")
        axes.set_ylabel("share of the FLOPs (%)")
        most = max(values.max(), *(shape.max() for shape in points.values()))
        axes.set_ylim(0, 1.07 * most)
        axes.grid(False, axis="x")
        axes.tick_params(axis="x", length=0)
        figure.legend(loc="outside upper left", ncols=4)
        return figure


def _group(axes: Axes, values: np.ndarray, offset: float, colour: str, label: str) -> None:
    """Points side by side about the place of their part, the quartiles as a bar, the median as a line."""
    rng = np.random.default_rng(0)  # where a point stands sideways says nothing
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
    for i in range(values.shape[1]):
        at = i + offset + rng.uniform(-0.07, 0.07, len(values))
        many = len(values) > RASTER
        axes.scatter(at, values[:, i], s=5, c=colour, alpha=0.3, lw=0, rasterized=many)
        axes.bar(i + offset, high[i] - low[i], 0.24, low[i], color=colour, alpha=0.45, lw=0)
        axes.hlines(middle[i], i + offset - 0.12, i + offset + 0.12, color=colour, lw=2, zorder=5)
    axes.bar([0], [0], 0, color=colour, label=label)
