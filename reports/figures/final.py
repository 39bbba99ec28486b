"""Full training runs as curves, errors by kind of image, and a gallery of meshes over faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from reports.figures.style import ALL, as_label, axis_labels, few_ticks, looks, panels, styled
from reports.predictions import Group


def draw_curves(curves: Mapping[str, Sequence[tuple[float, float]]]) -> Figure:
    """Validation error by epoch of each run: label -> (epoch, mm)."""
    with styled():
        figure, (axes,) = panels(1, 1, width=5.0, height=3.0)
        for (colour, line), (label, points) in zip(looks(), curves.items(), strict=False):
            alone = "o" if len(points) == 1 else None
            name = as_label(label)
            axes.plot(*np.array(points).T, color=colour, ls=line, label=name, marker=alone, ms=4)
        axis_labels(axes, "epochs", "l_error_mm")
        few_ticks(axes, 7, 6, whole_x=True)
        figure.legend(loc="outside upper left", ncols=1 if len(curves) < 4 else 2)
        return figure


def draw_errors(groups: Mapping[str, Sequence[Group]], columns: int) -> Figure:
    """Mean error with its interval by each value: axis label -> groups."""
    with styled():
        figure, grid = panels(len(groups), columns, width=2.7, height=2.3)
        least, _, most = np.concatenate([_ends(found) for found in groups.values()], axis=1)
        room = 0.08 * (most.max() - least.min()) or 1.0
        for i, (axes, (label, found)) in enumerate(zip(grid, groups.items(), strict=True)):
            low, mean, high = _ends(found)
            at = [group.centre for group in found]
            reach = [mean - low, high - mean]
            axes.errorbar(at, mean, yerr=reach, color=ALL, marker="o", ms=4, lw=1.2, elinewidth=1, capsize=2)
            axes.set_ylim(least.min() - room, most.max() + room)
            axis_labels(axes, label, "l_error_mm" if i % columns == 0 else None)
            few_ticks(axes, 5, 5)
        return figure


def _ends(groups: Sequence[Group]) -> np.ndarray:
    """(3, k): low end, mean, high end; the mean itself where one subject gives no interval."""
    rows = [(g.mean_low_mm, g.mean_mm, g.mean_high_mm) for g in groups]
    return np.array(
        [[mean if end is None else end for end in (low, mean, high)] for low, mean, high in rows]
    ).T


def draw_sorts(sorts: Sequence[Group]) -> Figure:
    """Mean error by what sorts the samples with its interval, worst first."""
    with styled():
        figure, (axes,) = panels(1, 1, width=5.2, height=0.9 + 0.19 * len(sorts))
        low, mean, high = _ends(sorts)
        at = np.arange(len(sorts))
        axes.errorbar(
            mean, at, xerr=[mean - low, high - mean], fmt="o", color=ALL, ms=4, elinewidth=1, capsize=2
        )
        axes.set_yticks(at, [g.name for g in sorts])
        axes.set_ylim(len(sorts) - 0.5, -0.5)
        axes.grid(False, axis="y")
        axis_labels(axes, "l_error_mm")
        few_ticks(axes, 6)
        return figure


def draw_gallery(pictures: Sequence[tuple[str, float, np.ndarray]], columns: int) -> Figure:
    """Samples with their predictions: (kind, L_error mm, (S, S, 3) uint8 RGB)."""
    with styled():
        figure, grid = panels(len(pictures), columns, width=1.9, height=2.05)
        for axes, (kind, error, picture) in zip(grid, pictures, strict=True):
            axes.imshow(picture)
            axes.set_title(f"{kind}, {error:.1f} mm", loc="left", fontsize=7.5)
            axes.axis("off")
        return figure
