"""Runs side by side: their distributions, every pair tested, and what the numbers can and cannot say."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from nas.record.select import select
from reports import edf
from reports.contrast import LEVEL, POWER, Contrast, contrast, holm
from reports.figures import comparison as figure
from reports.figures import population as population_figure
from reports.figures.style import both
from reports.likeness import differences
from reports.run import Run, censored, errors
from reports.sections.population import COLUMNS, ceiling
from reports.sections.population import row as population_row
from reports.tables import Column, Drawing, Fact, Section, Table, Value

_PAIRS = (
    Column("first", "First"),
    Column("second", "Second"),
    Column("real", "Difference"),
    Column("n_first", "n first", "d"),
    Column("n_second", "n second", "d"),
    Column("wins", "P(first beats second)", ".3f"),
    Column("wins_low", "from", ".3f"),
    Column("wins_high", "to", ".3f"),
    Column("shift_mm", "Shift (mm)", "+.2f"),
    Column("p_value", "p", ".2g"),
    Column("p_holm", "p, Holm", ".2g"),
    Column("needed", "Sample size", ",.0f"),
    Column("more", "Still needed", ",.0f"),
)


def sections(runs: Sequence[Run], names: Sequence[str]) -> list[Section]:
    """The comparison of two or more runs."""
    if len(runs) < 2:
        raise ValueError(f"a comparison needs at least two runs, not {len(runs)}")
    populations = [[r for r in run.proposals if r.state in ("complete", "pruned")] for run in runs]
    pairs = pairs_table(names, [[*errors(p), *[math.inf] * censored(p)] for p in populations])
    return [
        _verdict(runs, names, pairs),
        _distributions(runs, names, populations),
        Section(
            key="pairs",
            title="Pair by pair",
            tables=(pairs,),
            facts={
                "tested": Fact(sum("p_value" in row for row in pairs.rows), "d"),
                "level": Fact(100 * LEVEL, ".0f", "%"),
                "power": Fact(POWER, ".1f"),
                "pruned": Fact(sum(censored(p) for p in populations), "d"),
            },
        ),
    ]


def pairs_table(names: Sequence[str], populations: Sequence[Sequence[float]]) -> Table:
    """Each pair of populations (errors, mm, infinite where pruned), p-values corrected for their number.

    Where rungs stopped runs of one side alone, nothing is tested: the final errors of its worse part are
    unknown, and counting them as worse than all would show a difference between two samples of one space.
    """
    couples = list(itertools.combinations(range(len(names)), 2))
    tested = [(a, b) for a, b in couples if _pruned(populations[a]) == _pruned(populations[b])]
    rng = np.random.default_rng(len(couples))
    found = [contrast(populations[a], populations[b], rng, comparisons=len(tested)) for a, b in tested]
    corrected = holm([each.p_value for each in found]).tolist() if found else []
    results = dict(zip(tested, zip(found, corrected, strict=True), strict=True))
    rows = []
    for a, b in couples:
        row: dict[str, Value] = {"first": names[a], "second": names[b]}
        row |= {"n_first": len(populations[a]), "n_second": len(populations[b])}
        rows.append(row | (_tested(*results[a, b]) if (a, b) in results else {"real": "not comparable"}))
    return Table.make("pairs", _PAIRS, rows)


def _pruned(population: Sequence[float]) -> bool:
    return any(math.isinf(error) for error in population)


def _tested(found: Contrast, p: float) -> dict[str, Value]:
    """The columns of a pair that was tested; p after Holm's correction."""
    return {
        "wins": found.wins,
        "wins_low": found.wins_low,
        "wins_high": found.wins_high,
        "shift_mm": found.median_difference,
        "p_value": found.p_value,
        "p_holm": p,
        "needed": found.needed,
        "more": max(0.0, found.needed - min(found.n)),
        "real": "real" if p <= 1 - LEVEL else "not shown",
    }


def sentence(row: dict) -> str:
    """Whether the difference of a pair is real at the given sample sizes, in one sentence."""
    if row["real"] == "not comparable":
        return (
            f"{row['first']} and {row['second']} are not comparable: rungs stopped runs of one of them "
            "alone, so the final errors of its worse part are unknown; compare searches of one scheduler."
        )
    first, second, p = row["first"], row["second"], f"p = {row['p_holm']:.2g}"
    chance, low, high = row["wins"], row["wins_low"], row["wins_high"]
    better, worse = first, second
    if chance < 0.5:
        better, worse, chance, low, high = second, first, 1 - chance, 1 - high, 1 - low
    sizes = f"n = {row['n_first']} and {row['n_second']}"
    odds = f"a random draw of {better} beats one of {worse} with probability {chance:.2f}"
    odds += f" [{low:.2f}, {high:.2f}]"
    if row["real"] == "real":
        return f"{better} is better than {worse}: {odds} ({p}, {sizes})."
    if math.isinf(row["needed"]):
        return f"No difference between {first} and {second} is seen at {sizes}: {odds} ({p})."
    return (
        f"The difference between {first} and {second} is not shown to be real at {sizes}: {odds} ({p}); "
        f"an effect of that size would need about {row['needed']:,.0f} trials of each."
    )


def _verdict(runs: Sequence[Run], names: Sequence[str], pairs: Table) -> Section:
    facts = {f"verdict_{i}": Fact(sentence(dict(row))) for i, row in enumerate(pairs.rows)}
    facts |= {f"warning_{i}": Fact(text) for i, text in enumerate(differences(runs, names))}
    return Section(key="verdict", title="The answer", facts=facts)


def _distributions(runs: Sequence[Run], names: Sequence[str], populations: Sequence[list]) -> Section:
    level = 1 - (1 - LEVEL) / len(runs)  # Bonferroni: all bands hold at once
    bands = {
        name: edf.bootstrap_band(errors(p), censored=censored(p), level=level)
        for name, p in zip(names, populations, strict=True)
    }
    curves = {
        name: edf.best_of(errors(p), np.arange(1, len(p) + 1), censored=censored(p))
        for name, p in zip(names, populations, strict=True)
    }
    equal = min(len(curve) for curve in curves.values())
    wide, narrow = both(lambda columns: figure.draw(bands, curves, columns), 2, 1)
    alt = "Error distributions of the runs with simultaneous bands; expected best of n"
    return Section(
        key="distributions",
        title="Their distributions",
        facts={
            "runs": Fact(len(runs), "d"),
            "level": Fact(100 * LEVEL, ".0f", "%"),
            "beyond": Fact(population_figure.beyond(bands.values()), "d"),
            "pruned": Fact(sum(censored(p) for p in populations), "d"),
            "equal": Fact(equal, "d"),
            "quarter": Fact(max(1, equal // 4), "d"),
            **{f"n_{i}": Fact(f"{name}: n = {band.n}") for i, (name, band) in enumerate(bands.items())},
        },
        tables=(_populations(runs, names, populations, curves), best_of_table(curves)),
        drawings=(Drawing("distributions", alt, wide, narrow),),
    )


def _populations(
    runs: Sequence[Run], names: Sequence[str], populations: Sequence[list], curves: dict
) -> Table:
    """Median, best, area and best of n of each, every figure at the same n and ceiling."""
    top = max(ceiling(run) for run in runs)
    equal = min(len(curve) for curve in curves.values())
    rows = []
    for run, name, population in zip(runs, names, populations, strict=True):
        control = select(run.records, run.fidelity).control
        row = population_row(name, population, control.mean if control else None, top)
        rows.append(row | {"best_of_mm": float(curves[name][max(1, equal // 4) - 1])})
    columns = [
        Column(c.key, "Best of a quarter at equal n (mm)", c.digits) if c.key == "best_of_mm" else c
        for c in COLUMNS
    ]
    return Table.make("populations", columns, rows)


def best_of_table(curves: dict[str, np.ndarray]) -> Table:
    """Expected best of 1, 2, 5, 10, ... random trials, as far as every run has that many."""
    equal = min(len(curve) for curve in curves.values())
    steps = [n for power in range(6) for n in (10**power, 2 * 10**power, 5 * 10**power) if n <= equal]
    keys = {name: f"{name} (mm)" for name in curves}  # a run may be called n
    columns = [Column("n", "n", "d"), *(Column(key, key, ".2f") for key in keys.values())]
    rows = [{"n": n} | {keys[name]: float(curve[n - 1]) for name, curve in curves.items()} for n in steps]
    return Table.make("best_of_n", columns, rows)
