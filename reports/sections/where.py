"""Where the good ones are: depths, widths and shares against the error, and the ranges that follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nas.record.narrow import ENOUGH_TO_NARROW, FRACTION, LEVEL, best_range, narrowed
from nas.record.run_dir import RunDir
from nas.record.select import Selection
from reports.axes import AXES, DEPTHS, SHARES, WIDTHS
from reports.figures import where as figure
from reports.figures.population import limits
from reports.figures.style import both
from reports.run import Run
from reports.tables import Column, Drawing, Fact, Section, Table
from space import Budget, Space
from space.caps import Caps
from space.latency import LatencyTable

if TYPE_CHECKING:
    from nas.record.store import TrialRecord

PROPERTIES = (*DEPTHS, *WIDTHS, *SHARES, "depth")
_COLUMNS = (
    Column("property", "Property"),
    Column("unit", "Unit"),
    Column("tried_low", "Tried from", ".3g"),
    Column("tried_high", "to", ".3g"),
    Column("best_low", "Best ones from", ".3g"),
    Column("best_median", "Median", ".3g"),
    Column("best_high", "to", ".3g"),
    Column("best_trial", "Best trial", ".3g"),
    Column("kept", "Range kept (%)", ".0f"),
)


def section(run: Run, selection: Selection) -> Section:
    """Error against each property, and the ranges of the best; `selection` of the search's own proxy."""
    trials = run.complete
    values = {key: np.array([AXES[key].get(r) for r in trials], dtype=float) for key in PROPERTIES}
    x = np.array([r.l_error_mm for r in trials])
    opening = min(record.round for record in trials)
    first = np.array([record.round == opening for record in trials])  # what a second round is narrowed by
    ranges = {key: best_range(values[key][first], x[first]) for key in PROPERTIES}
    control = selection.control
    marks = {"control": control} if control else {}
    if selection.best:
        marks["winner"] = selection.best
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
            "above": Fact(int((x > limits(x, [each.mean for each in marks.values()])[1]).sum()), "d"),
            **_narrowed(run, [record for record, kept in zip(trials, first, strict=True) if kept]),
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


def _narrowed(run: Run, first: list[TrialRecord]) -> dict[str, Fact]:
    """What a second round draws from, by the function that `--rounds 2` narrows with."""
    facts = {"fewest": Fact(ENOUGH_TO_NARROW, "d")}
    if "space" not in run.info or "budget" not in run.info:
        return facts
    budget = Budget(run.info["budget"]["target"], run.info["budget"]["tolerance"])
    try:
        part = narrowed(Space.from_dict(run.info["space"]), budget, first, _caps(run))
    except ValueError:  # its latency table is gone or another
        part = None
    if part is None:
        return facts
    return facts | {"flags": Fact(flags(part.space)), "architectures": Fact(part.left, ",d")}


def _caps(run: Run) -> Caps:
    table = RunDir(run.path).latency_table
    return Caps.from_dict(run.info.get("caps", {}), LatencyTable.load(table) if table.exists() else None)


def flags(space: Space) -> str:
    """A space as the flags of a search: "--min-depth 2,2,2,1 --max-depth 21,7,10,9 ..."."""
    bounds, usual = space.to_dict(), Space()
    names = ("min_depth", "max_depth", "min_width", "max_width")
    found = [f"--{name.replace('_', '-')} {','.join(map(str, bounds[name]))}" for name in names]
    if space.block != usual.block:
        found.append(f"--block {space.block}")
    if space.width_step != usual.width_step:
        found.append(f"--width-step {space.width_step}")
    if space.free_widths:
        found.append("--free-widths")
    return " ".join(found)
