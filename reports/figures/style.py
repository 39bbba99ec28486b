"""One look for every figure: sizes in inches at which the text is read, colours that all eyes tell apart.

Colours are Okabe and Ito's, which stay distinct under every common colour blindness; what matters is marked
by shape too. Panels are about two inches a side with 8 point text: at half of their width they are still
readable. Figures are made without pyplot, so nothing is global and a figure belongs to whoever asked for
it.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from reports.axes import AXES

ALL = "#0072B2"  # the population
BEST = "#D55E00"  # the winner, and what follows from the best
CONTROL = "#222222"
LOST = "#CC79A7"  # failed, or not over
PRUNED = "#9A9A9A"
RUNS = ("#0072B2", "#009E73", "#D55E00", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
SECOND = RUNS[1]  # the population of a second round
STAGES = ("#0B3C6F", "#3F7FBF", "#E0A030", "#B5482A")  # C2 to C5, dark to warm
ENDS = "#C8CDD2"  # stem and head
MARK = {"winner": ("*", BEST, 90), "control": ("D", CONTROL, 26)}
RASTER = 300  # points above which a scatter is drawn as an image inside the SVG
DPI = 200
_STEPS = (1, 2, 2.5, 5, 10)  # between ticks, times a power of ten: numbers that one reads at a glance

_RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.edgecolor": "#555555",
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "axes.grid": True,
    "grid.color": "#E6E8EA",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.4,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "legend.borderaxespad": 0.2,
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "svg.hashsalt": "jmlr-nas",
    "svg.fonttype": "path",
    "mathtext.default": "regular",
}


@contextmanager
def styled() -> Iterator[None]:
    """The house style for what is drawn inside; nothing outside changes."""
    with matplotlib.rc_context(_RC):
        yield


def panels(count: int, columns: int, width: float = 2.05, height: float = 1.9) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels in rows of `columns`; width and height of a panel in inches."""
    columns = min(columns, count)
    rows = -(-count // columns)
    layout = ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.06, wspace=0.02, hspace=0.04)
    figure = Figure(figsize=(width * columns, height * rows), layout=layout)
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for spare in grid[count:]:
        spare.remove()
    return figure, list(grid[:count])


def looks() -> Iterator[tuple[str, str]]:
    """Colours and line styles for as many curves as there are, no two of 21 alike."""
    return itertools.cycle((colour, line) for line in ("-", "--", ":") for colour in RUNS)


def as_label(name: str) -> str:
    """A name as matplotlib is to show it: no dollar opens a formula, no underscore hides it from a legend."""
    shown = name.replace("$", r"\$")
    return f"\u200b{shown}" if shown.startswith("_") else shown


def axis_labels(axes: Axes, x: str | None = None, y: str | None = None) -> None:
    """Label by property (a key of AXES), or by the text itself where it is none."""
    if x:
        axes.set_xlabel(AXES[x].label if x in AXES else x)
    if y:
        axes.set_ylabel(AXES[y].label if y in AXES else y)


def rename(figure: Figure, words: Callable[[str], str]) -> None:
    """Put every text of a figure through `words`."""
    for text in figure.findobj(Text):
        assert isinstance(text, Text), "findobj finds what it is asked for"
        text.set_text(words(text.get_text()))


def few_ticks(axes: Axes, x: int, y: int | None = None, *, whole_x: bool = False) -> None:
    """At most so many ticks, so that labels do not meet at half width; an axis of names is left alone."""
    least = 1 if whole_x else 2
    axes.xaxis.set_major_locator(MaxNLocator(x, steps=_STEPS, integer=whole_x, min_n_ticks=least))
    if y:
        axes.yaxis.set_major_locator(MaxNLocator(y, steps=_STEPS))


def mark(axes: Axes, kind: str, x: float, y: float, label: str | None = None) -> None:
    """The winner's star or the control's diamond, the same everywhere."""
    shape, colour, size = MARK[kind]
    axes.scatter([x], [y], marker=shape, c=colour, s=size, zorder=6, label=label, edgecolors="white", lw=0.6)


def shared_legend(figure: Figure, axes: Axes, columns: int) -> None:
    """One legend for all panels, above them, outside the drawing."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, labels, loc="outside upper left", ncols=min(columns + (columns > 2), len(labels))
        )


def both(draw: Callable[[int], Figure], wide: int, narrow: int) -> tuple[Figure, Figure | None]:
    """The same figure in two arrangements; none for a phone where the wide one is as narrow already."""
    return draw(wide), draw(narrow) if narrow < wide else None


def png(figure: Figure) -> bytes:
    """The figure as PNG bytes, the same for the same figure."""
    with styled():
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()


def write(figure: Figure, folder: Path, name: str, kinds: Sequence[str] = ("png", "svg")) -> None:
    """name.png and name.svg in `folder`, without dates, so that a rebuilt report is the same file."""
    with styled():
        for kind in kinds:
            metadata = {"Date": None} if kind == "svg" else {"Software": None}
            figure.savefig(folder / f"{name}.{kind}", format=kind, metadata=metadata)
