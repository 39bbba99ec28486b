"""The distribution of errors over the architectures that were tried, with what is known about it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nas.record.select import Selection
from reports import edf
from reports.figures import population as figure
from reports.run import Run, censored, errors
from reports.tables import Column, Drawing, Fact, Section, Table, Value

if TYPE_CHECKING:
    from nas.record.store import TrialRecord

COLUMNS = (
    Column("population", "Population"),
    Column("n", "n", "d"),
    Column("complete", "Complete", "d"),
    Column("pruned", "Pruned", "d"),
    Column("best_mm", "Best (mm)", ".2f"),
    Column("median_mm", "Median (mm)", ".2f"),
    Column("median_low_mm", "from", ".2f"),
    Column("median_high_mm", "to", ".2f"),
    Column("best_of_mm", "Best of a quarter (mm)", ".2f"),
    Column("below_control", "Below the control (%)", ".1f"),
    Column("gain_mm", "Gain of one draw (mm)", ".3f"),
    Column("area", "Area", ".4f"),
)


def section(run: Run, selection: Selection) -> Section:
    """EDF, bands and figures of the proposals; `selection` is that of the search's own proxy."""
    populations = named_populations(run)
    control = selection.control.mean if selection.control else None
    bands = {name: edf.bootstrap_band(errors(p), censored=censored(p)) for name, p in populations.items()}
    marks = {"control": control, "winner": selection.best.mean if selection.best else None}
    known = [error for error in marks.values() if error is not None]
    drawing = Drawing(
        "edf",
        "Share of architectures at or below an error, with its band, the control and the best",
        figure.draw(bands, marks),
    )
    everything = run.complete
    figures = table(populations, control, ceiling(run))
    return Section(
        key="population",
        title="How good they are",
        facts={
            "n": Fact(sum(band.n for band in bands.values()), "d"),
            "complete": Fact(len(everything), "d"),
            "pruned": Fact(sum(censored(p) for p in populations.values()), "d"),
            "level": Fact(95, "d", "%"),
            "strategy": Fact(run.strategy),
            "uniform": Fact("yes" if run.is_uniform else "no"),
            "control_runs": Fact(len(selection.control.values) if selection.control else 0, "d"),
            "unbounded": Fact("yes" if has_infinite(figures) else "no"),
            "ceiling_mm": Fact(ceiling(run), ".1f", "mm"),
            "beyond": Fact(figure.beyond(bands.values(), known), "d"),
        },
        tables=(figures, _steps(bands)),
        drawings=(drawing,),
    )


def named_populations(run: Run) -> dict[str, list[TrialRecord]]:
    """Complete and pruned proposals; one population a round, since a narrowed space is another space."""
    rounds = {n: [r for r in p if r.state in ("complete", "pruned")] for n, p in run.rounds.items()}
    rounds = {n: p for n, p in rounds.items() if errors(p)}
    if len(rounds) == 1:
        return {"proposals": next(iter(rounds.values()))}
    return {f"round {n}": population for n, population in rounds.items()}


def has_infinite(figures: Table) -> bool:
    """Whether a median or an end of its interval is beyond what the trials can tell."""
    keys = ("median_mm", "median_low_mm", "median_high_mm")
    return any(math.isinf(row[key]) for row in figures.rows for key in keys)


def ceiling(run: Run) -> float:
    """Where the area under the EDF ends: the mean face's error, or the worst trial's without one."""
    return run.baseline_mm or max(errors(run.complete))


def table(
    populations: Mapping[str, Sequence[TrialRecord]], control: float | None, ceiling_mm: float
) -> Table:
    """Median, best and area figures of each population."""
    return Table.make("population", COLUMNS, [row(n, p, control, ceiling_mm) for n, p in populations.items()])


def row(
    name: str, population: Sequence[TrialRecord], control: float | None, ceiling_mm: float
) -> dict[str, Value]:
    """One population's figures; `control` and `ceiling_mm` in mm."""
    x, beyond = errors(population), censored(population)
    low, middle, high = edf.quantile_interval(x, censored=beyond)
    return {
        "population": name,
        "n": len(x) + beyond,
        "complete": len(x),
        "pruned": beyond,
        "best_mm": min(x),
        "median_mm": middle,
        "median_low_mm": low,
        "median_high_mm": high,
        "best_of_mm": edf.best_of(x, max(1, (len(x) + beyond) // 4), censored=beyond),
        "below_control": 100 * sum(e < control for e in x) / (len(x) + beyond)
        if control is not None
        else None,
        "gain_mm": edf.expected_gain(x, control, censored=beyond) if control is not None else None,
        "area": edf.area(x, ceiling_mm, censored=beyond),
    }


def _steps(bands: dict[str, edf.Band]) -> Table:
    """The curve and its band as drawn."""
    columns = (
        Column("population", "Population"),
        Column("l_error_mm", "L_error (mm)", ".2f"),
        Column("share", "Share", ".3f"),
        Column("low", "from", ".3f"),
        Column("high", "to", ".3f"),
    )
    rows = [
        {"population": name, "l_error_mm": x, "share": share, "low": low, "high": high}
        for name, band in bands.items()
        for x, share, low, high in zip(band.x, band.share, band.low, band.high, strict=True)
    ]
    return Table.make("edf", columns, rows)
