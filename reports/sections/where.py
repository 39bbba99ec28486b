"""Where the good ones are: depths, widths and shares against the error, and the ranges that follow."""

from __future__ import annotations

import numpy as np

from nas.bootstrap import FRACTION, LEVEL, best_range
from nas.select import Selection
from reports.axes import AXES, DEPTHS, SHARES, WIDTHS
from reports.figures import where as figure
from reports.figures.style import both
from reports.run import Run
from reports.tables import Column, Drawing, Fact, Section, Table

PROPERTIES = (*DEPTHS, *WIDTHS, *SHARES, "depth")
_COLUMNS = (
    Column("property", "Property"),
    Column("unit", "Unit"),
    Column("tried_low", "Tried from", ".1f"),
    Column("tried_high", "to", ".1f"),
    Column("best_low", "Best ones from", ".1f"),
    Column("best_median", "Median", ".1f"),
    Column("best_high", "to", ".1f"),
    Column("best_trial", "Best trial", ".1f"),
    Column("kept", "Range kept (%)", ".0f"),
)


def section(run: Run, selection: Selection) -> Section:
    trials = run.complete
    values = {key: np.array([AXES[key].get(r) for r in trials], dtype=float) for key in PROPERTIES}
    x = np.array([r.l_error_mm for r in trials])
    opening = min(record.round for record in trials)
    first = np.array([record.round == opening for record in trials])  # what a second round is narrowed by
    ranges = {key: best_range(values[key][first], x[first]) for key in PROPERTIES}
    control = selection.control
    marks = {"control": (control.arch, control.mean)} if control else {}
    if selection.best:
        marks["winner"] = (selection.best.arch, selection.best.mean)
    wide, narrow = both(lambda columns: figure.draw(values, x, first, ranges, marks, columns), 4, 2)
    alt = "L_error against the depth, width and share of the FLOPs of each stage"
    return Section(
        key="where",
        title="Where the good ones are",
        facts={
            "n": Fact(len(trials), "d"),
            "fraction": Fact(100 * FRACTION, ".0f", "%"),
            "n_first": Fact(int(first.sum()), "d"),
            "drawn": Fact(max(1, int(FRACTION * int(first.sum()))), "d"),
            "level": Fact(100 * LEVEL, ".0f", "%"),
            "rounds": Fact(len({record.round for record in trials}), "d"),
            "flags": Fact(flags(ranges)),
        },
        tables=(table({key: v[first] for key, v in values.items()}, x[first], ranges),),
        drawings=(Drawing("where", alt, wide, narrow),),
    )


def table(
    values: dict[str, np.ndarray], errors: np.ndarray, ranges: dict[str, tuple[float, float, float]]
) -> Table:
    """What was tried, and where the best of it lies. values (n,) by property, errors (n,) mm."""
    rows = []
    for key in PROPERTIES:
        low, median, high = ranges[key]
        tried = float(values[key].min()), float(values[key].max())
        rows.append(
            {
                "property": AXES[key].name,
                "unit": AXES[key].unit,
                "tried_low": tried[0],
                "tried_high": tried[1],
                "best_low": low,
                "best_median": median,
                "best_high": high,
                "best_trial": float(values[key][np.argmin(errors)]),
                "kept": 100 * (high - low) / (tried[1] - tried[0]) if tried[1] > tried[0] else 100.0,
            }
        )
    return Table.make("ranges", _COLUMNS, rows)


def flags(ranges: dict[str, tuple[float, float, float]]) -> str:
    """The narrowed space as words: "d₁ 2-9, d₂ 1-7, ...", depths and widths only."""
    ends = {key: (int(ranges[key][0]), int(ranges[key][2])) for key in (*DEPTHS, *WIDTHS)}
    return ", ".join(f"{AXES[key].symbol} {low}–{high}" for key, (low, high) in ends.items())
