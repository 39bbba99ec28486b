"""Which properties matter: permutation importance of each depth, width and stage share."""

from __future__ import annotations

import numpy as np

from nas.record.select import Selection
from reports.axes import AXES, DEPTHS, SHARES, WIDTHS
from reports.figures import matters as figure
from reports.figures.style import both
from reports.importance import FEWEST, Importance, permutation_importance
from reports.run import Run
from reports.tables import Column, Drawing, Fact, Section, Table

NOTHING = 0.10  # of the variance held out; a forest that explains less has learnt nothing to speak of
GROUPS = {"depths and widths": (*DEPTHS, *WIDTHS), "shares of the FLOPs": SHARES}


def section(run: Run, selection: Selection) -> Section:
    """Importances with their uncertainty; facts alone where there are too few trials."""
    trials = run.complete
    facts = {"n": Fact(len(trials), "d"), "fewest": Fact(FEWEST, "d"), "level": Fact(95, "d", "%")}
    if len(trials) < FEWEST:
        return Section(key="matters", title="Which properties matter", facts=facts)
    x = np.array([record.l_error_mm for record in trials])
    rng = np.random.default_rng(len(trials))
    found = {}
    for name, keys in GROUPS.items():
        values = np.array([[AXES[key].get(record) for key in keys] for record in trials], dtype=float)
        found[name] = permutation_importance(values, x, rng)
    for name, words in zip(GROUPS, ("explained_sizes", "explained_shares"), strict=True):
        facts[words] = Fact(100 * max(0.0, found[name].explained), ".0f", "%")
    silent = [name for name in GROUPS if found[name].explained < NOTHING]
    if silent:
        which = "The forests explain" if len(silent) == len(GROUPS) else f"The forest on {silent[0]} explains"
        facts["warning"] = Fact(f"{which} next to nothing")
    wide, narrow = both(lambda columns: figure.draw(GROUPS, found, columns), 2, 1)
    alt = "Permutation importance of each depth, width and share of the FLOPs, with intervals"
    return Section(
        key="matters",
        title="Which properties matter",
        facts=facts,
        tables=(table(found),),
        drawings=(Drawing("importance", alt, wide, narrow),),
    )


def table(found: dict[str, Importance]) -> Table:
    """Importances in percent of the variance, most important first within its group."""
    columns = (
        Column("property", "Property"),
        Column("importance", "Importance (% of variance)", ".1f"),
        Column("low", "from", ".1f"),
        Column("high", "to", ".1f"),
        Column("group", "Forest on"),
    )
    rows = [
        {
            "group": name,
            "property": AXES[GROUPS[name][i]].name,
            "importance": 100 * float(importance.value[i]),
            "low": 100 * float(importance.low[i]),
            "high": 100 * float(importance.high[i]),
        }
        for name, importance in found.items()
        for i in np.argsort(-importance.value)
    ]
    return Table.make("importance", columns, rows)
