"""Error distributions as step functions inside their simultaneous bands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.edf import Band
from reports.figures.style import BEST, CONTROL, as_label, axis_labels, few_ticks, looks, panels, styled

_FENCE = 3.0  # interquartile ranges above the upper quartile, beyond which an error would squeeze the rest


def limits(errors: Iterable[float], marks: Iterable[float] = (), margin: float = 0.06) -> tuple[float, float]:
    """Range of an axis of errors, mm: all of them but for a far upper tail, and every one of `marks`."""
    x, marked = np.asarray(list(errors), dtype=float), list(marks)
    lower, upper = np.quantile(x, [0.25, 0.75])
    high = min(x.max(), upper + _FENCE * max(upper - lower, 1e-9 + 0.001 * abs(upper)))
    low, high = min([x.min(), *marked]), max([high, *marked])
    room = margin * (high - low) or 0.5
    return float(low - room), float(high + room)


def beyond(bands: Iterable[Band], marks: Iterable[float] = ()) -> int:
    """Trials to the right of the axis of `curves` with the same bands and marks."""
    everything = np.concatenate([_repeated(band) for band in bands])
    return int((everything > limits(everything, marks)[1]).sum())


def _repeated(band: Band) -> np.ndarray:
    """Every trial's error, ties repeated."""
    counts = np.rint(np.diff(band.share, prepend=0) * band.n).astype(int)
    return np.repeat(band.x, counts)


def draw(bands: Mapping[str, Band], marks: Mapping[str, float | None] | None = None) -> Figure:
    """One curve and band for each population; vertical lines at the control's and the winner's mean."""
    with styled():
        figure, (axes,) = panels(1, 1, width=4.6, height=3.1)
        curves(axes, bands, {kind: x for kind, x in (marks or {}).items() if x is not None})
        figure.legend(loc="outside upper left", ncols=3)
        return figure


def curves(axes: Axes, bands: Mapping[str, Band], marks: Mapping[str, float] | None = None) -> None:
    """The curves and bands of all populations on one pair of axes, and lines at the marks (mm)."""
    known = marks or {}
    low, high = limits(np.concatenate([_repeated(band) for band in bands.values()]), known.values())
    for (colour, line), (name, band) in zip(looks(), bands.items(), strict=False):
        _curve(axes, band, f"{as_label(name)} (n = {band.n})", colour, low, high, line)
    _lines(axes, known)
    axes.set_xlim(low, high)
    axes.set_ylim(-0.02, 1.02)
    axis_labels(axes, "l_error_mm", "share of architectures at or below")
    few_ticks(axes, 7, 6)


def _curve(axes: Axes, band: Band, label: str, colour: str, low: float, high: float, line: str = "-") -> None:
    x = np.concatenate([[low - 1], band.x, [max(high, band.x[-1]) + 1]])
    share = np.concatenate([[0], band.share, band.share[-1:]])
    lower = np.concatenate([[0], band.low, band.low[-1:]])
    upper = np.concatenate([[band.high_before], band.high, band.high[-1:]])
    axes.fill_between(x, lower, upper, step="post", color=colour, alpha=0.16, lw=0)
    axes.step(x, share, where="post", color=colour, ls=line, label=label)


def _lines(axes: Axes, marks: Mapping[str, float]) -> None:
    styles = {"control": (CONTROL, "--", "control, mean"), "winner": (BEST, "-.", "best, mean")}
    for kind, x in marks.items():
        colour, line, label = styles[kind]
        axes.axvline(x, color=colour, ls=line, lw=1.1, label=label)
