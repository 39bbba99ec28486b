"""Compute redistribution: the FLOPs of each stage in the best tenth against all, as SCRFD shows it."""

from __future__ import annotations

import math

import numpy as np

from nas.record.estimates import Estimate
from nas.record.select import Selection
from nas.record.store import TrialRecord
from reports.axes import PARTS, outputs_counted, shares
from reports.figures import redistribution as figure
from reports.run import Run
from reports.tables import Column, Drawing, Fact, Section, Table, Value

BEST = 0.10
_COLUMNS = (
    Column("part", "Part"),
    Column("all_low", "All: 1st quartile (%)", ".1f"),
    Column("all_median", "median", ".1f"),
    Column("all_high", "3rd quartile", ".1f"),
    Column("best_low", "Best tenth: 1st quartile (%)", ".1f"),
    Column("best_median", "median", ".1f"),
    Column("best_high", "3rd quartile", ".1f"),
    Column("best", "Best (%)", ".1f"),
    Column("control", "Control (%)", ".1f"),
)


def section(run: Run, selection: Selection) -> Section:
    """Shares of the FLOPs by stage, of all and of the best tenth."""
    trials = sorted(run.complete, key=lambda r: (r.l_error_mm, r.arch.id))
    values = np.array([_shares(r) for r in trials])
    top = values[: math.ceil(BEST * len(trials))]
    marks = {"winner": selection.best, "control": selection.control}
    points = {kind: np.array(_shares(each)) for kind, each in marks.items() if each}
    alt = "Share of the FLOPs by stage, of all architectures and of the best tenth"
    return Section(
        key="redistribution",
        title="Where their FLOPs go",
        facts={
            "n": Fact(len(values), "d"),
            "top": Fact(len(top), "d"),
            "best_share": Fact(100 * BEST, ".0f", "%"),
            "quartiles": Fact(50, "d", "%"),
        },
        tables=(table(values, top, points),),
        drawings=(Drawing("redistribution", alt, figure.draw(values, top, points)),),
    )


def _shares(each: TrialRecord | Estimate) -> tuple[float, ...]:
    return shares(each.arch, outputs_counted(each.arch, each.macs))


def table(values: np.ndarray, top: np.ndarray, points: dict[str, np.ndarray]) -> Table:
    """Quartiles of each part's share; values (n, 6), top (k, 6), points (6,), percent."""
    quartiles = [np.quantile(group, [0.25, 0.5, 0.75], axis=0) for group in (values, top)]
    rows = []
    for i, part in enumerate(PARTS):
        row: dict[str, Value] = {"part": part}
        for name, quartile in zip(("all", "best"), quartiles, strict=True):
            row |= {f"{name}_{end}": float(quartile[k, i]) for k, end in enumerate(("low", "median", "high"))}
        row |= {"best": float(points["winner"][i])} if "winner" in points else {}
        row |= {"control": float(points["control"][i])} if "control" in points else {}
        rows.append(row)
    return Table.make("shares", _COLUMNS, rows)
