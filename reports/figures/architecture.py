"""Backbones beside each other as in Fig. 2 of the JMLR paper: stages, blocks, widths, share of the FLOPs."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from reports.axes import PARTS, shares
from reports.figures.style import ENDS, STAGES, panels, styled
from space import ArchSpec
from space.plan import OUTPUTS

_COLOURS = (ENDS, *STAGES, ENDS)
_SLOT = 0.17  # least share of the panel that a stage takes: room for the words above a single block


def draw(networks: Sequence[tuple[str, ArchSpec]], columns: int = 2, outputs: int = OUTPUTS) -> Figure:
    """For each (title, spec) a bar per block, as tall as it is wide in channels, and its FLOPs by part.

    outputs: of the networks
    """
    with styled():
        figure, grid = panels(2 * len(networks), columns, width=3.5, height=1.85)
        widest = max(max(arch.widths) for _, arch in networks)
        largest = max(max(shares(arch, outputs)) for _, arch in networks)
        for row, (title, arch) in enumerate(networks):
            _blocks(grid[2 * row], title, arch, widest)
            _shares(grid[2 * row + 1], shares(arch, outputs), largest)
        return figure


def _blocks(axes: Axes, title: str, arch: ArchSpec, widest: int) -> None:
    """Blocks in order of depth, each a bar; the stage's depth and width written above it."""
    slots = [max(depth + 1, _SLOT * (sum(arch.depths) + 4)) for depth in arch.depths]
    at, ticks = 0.0, []
    for stage, (depth, width) in enumerate(zip(arch.depths, arch.widths, strict=True)):
        ticks.append(at + slots[stage] / 2)
        first = ticks[-1] - depth / 2
        for block in range(depth):
            axes.add_patch(Rectangle((first + block + 0.07, 0), 0.86, width, color=STAGES[stage], lw=0))
        words = f"{depth} × {width}"
        axes.text(ticks[-1], width + 0.03 * widest, words, ha="center", va="bottom", fontsize=7)
        at += slots[stage]
    axes.set_title(title, loc="left")
    axes.set_xlim(0, at)
    axes.set_ylim(0, 1.25 * widest)
    axes.set_xticks(ticks, PARTS[1:5])
    axes.tick_params(axis="x", length=0)
    axes.grid(False)
    axes.set_ylabel("width (channels)")


def _shares(axes: Axes, values: Sequence[float], largest: float) -> None:
    """Percent of the multiply-adds by part."""
    bars = axes.barh(range(len(PARTS)), values, color=_COLOURS, height=0.72)
    axes.bar_label(bars, [f"{value:.1f} %" for value in values], padding=3, fontsize=7)
    axes.set_yticks(range(len(PARTS)), PARTS)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.25 * largest)
    axes.set_xlabel("share of the FLOPs (%)")
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
