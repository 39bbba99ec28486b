"""The answer first: the best against the control, how sure that is, what it cost, and what to run next."""

from __future__ import annotations

import shlex

from nas.record.costs import Latencies, bargain, verdict
from nas.record.estimates import Estimate
from nas.record.hours import clock_hours
from nas.record.select import Selection, select
from reports.axes import outputs_counted
from reports.durations import UNITS, duration, unit_for
from reports.figures import architecture
from reports.figures.style import both
from reports.run import Run
from reports.tables import Column, Drawing, Fact, Section, Table, Value
from space import REFERENCES, ArchSpec
from space.specfile import reference_name

_SHOWN = 8  # rows of the ranking on the page; trials.csv has every trial
_COLUMNS = (
    Column("rank", "Rank", "d"),
    Column("architecture", "Architecture"),
    Column("l_error_mm", "L_error (mm)", ".2f"),
    Column("spread_mm", "SD (mm)", ".2f"),
    Column("runs", "Runs", "d"),
    Column("role", "Role"),
    Column("gmacs", "FLOPs (G)", ".3f"),
    Column("mparams", "Params (M)", ".1f"),
    Column("mactivations", "Activ. (M)", ".1f"),
    Column("latency_ms", "Latency (ms)", ".1f"),
    Column("tied", "Tied"),
    Column("chance", "Best? (%)", ".0f"),
)


def section(run: Run, selection: Selection) -> Section:
    """Verdict, best and control, ranking, cost, and what to run next."""
    return Section(
        key="answer",
        title="The answer",
        facts=_facts(run, selection),
        tables=(ranking(selection, latencies=run.latencies), *_before_the_race(run, selection), cost(run)),
        drawings=(_picture(selection),),
    )


def title_of(arch: ArchSpec, name: str = "") -> str:
    """A reference by its usual name, anything else by its id."""
    known = {"resnet18": "ResNet-18", "resnet34": "ResNet-34", "resnet50": "ResNet-50"}
    found = name or reference_name(arch)
    return known.get(found, found) or arch.id


def decisive(selection: Selection) -> str:
    """The proxy that the answer is read at: the race's where there was one."""
    return selection.rows[0].fidelity


def _before_the_race(run: Run, selection: Selection) -> tuple[Table, ...]:
    """The ranking at the search's own proxy, where a longer one decided between the few best."""
    if decisive(selection) == run.fidelity:
        return ()
    before = select(run.records, run.fidelity)
    return (ranking(before, "ranking_before_the_race", run.latencies),)


def ranking(
    selection: Selection,
    name: str = "ranking",
    latencies: Latencies = Latencies(),  # noqa: B008  frozen
) -> Table:
    """The best architectures with what they cost, and the control wherever it stands."""
    ranked = enumerate(selection.rows, 1)
    shown = [(rank, row) for rank, row in ranked if rank <= _SHOWN or row.role == "control"]
    return Table.make(name, _COLUMNS, [_row(rank, row, selection, latencies) for rank, row in shown])


def _row(rank: int, row: Estimate, selection: Selection, latencies: Latencies) -> dict[str, Value]:
    chance = selection.chances.get(row.arch.id)
    return {
        "rank": rank,
        "architecture": title_of(row.arch, row.name),
        "role": "control" if row.role == "control" else "re-run" if row.rerun else "one run",
        "l_error_mm": row.mean,
        "spread_mm": row.spread,
        "runs": len(row.values),
        "gmacs": row.macs / 1e9,
        "mparams": row.params / 1e6,
        "mactivations": row.activations / 1e6,
        "latency_ms": latencies.ms(row.arch),
        "tied": "yes" if row.arch in selection.tied else "no",
        "chance": None if chance is None else 100 * chance,
    }


def cost(run: Run) -> Table:
    """Runs and hours by what they were for."""
    purposes = {"proposal": "proposals", "control": "control", "repeat": "re-runs of the best"}
    records = {words: [r for r in run.records if r.role == role] for role, words in purposes.items()}
    total = run.hours(run.records)
    unit = unit_for(total)
    columns = (
        Column("purpose", "Runs"),
        Column("runs", "Number", "d"),
        Column("time", f"Device time ({unit})", ".1f"),
        Column("hours", "hours", hidden=True),
        Column("share", "Share (%)", ".0f"),
    )
    rows = []
    for purpose, found in (records | {"all": run.own}).items():
        hours = run.hours(found)
        share = 100 * hours / total if total else None
        row = {"purpose": purpose, "runs": len(found), "time": hours * UNITS[unit], "hours": hours}
        rows.append(row | {"share": share})
    return Table.make("cost", columns, rows)


def _facts(run: Run, selection: Selection) -> dict[str, Fact]:
    best, control = selection.best, selection.control
    assert best is not None  # Run.open refuses a run without a finished proposal
    facts = {
        "verdict": Fact(verdict(selection, run.latencies)),
        "best": Fact(best.arch.id),
        "best_mm": Fact(best.mean, ".2f", "mm"),
        "best_runs": Fact(len(best.values), "d"),
        "best_gflops": Fact(best.macs / 1e9, ".3f", "GFLOPs"),
        "depths": Fact(str(best.arch.depths)),
        "widths": Fact(str(best.arch.widths)),
        "block": Fact(best.arch.block),
        "tied": Fact(len(selection.tied), "d"),
        "level": Fact(95, "d", "%"),
        "name": Fact(run.name),
        "active": Fact("yes" if run.active else "no"),
        "runs": Fact(len(run.own), "d"),
        "interrupted": Fact("yes" if is_interrupted(run) else "no"),
        "time": duration(run.hours(run.records)),
        "wall_time": duration(clock_hours(run.records)),
    }
    facts |= _costs("best", best, run.latencies)
    if found := bargain(selection, run.latencies):
        facts["bargain"] = Fact(found)
    if run.latencies.where:
        facts["latency_of"] = Fact(run.latencies.where)
    if control:
        facts |= _costs("control", control, run.latencies)
        facts |= {
            "control": Fact(title_of(control.arch, control.name)),
            "control_mm": Fact(control.mean, ".2f", "mm"),
        }
        facts |= {"control_runs": Fact(len(control.values), "d")}
    if selection.interval:
        low, high = selection.interval
        facts |= {"best_low_mm": Fact(low, ".2f", "mm"), "best_high_mm": Fact(high, ".2f", "mm")}
    if selection.gain:
        names = ("gain_mm", "gain_low_mm", "gain_high_mm")
        facts |= {name: Fact(v, "+.2f", "mm") for name, v in zip(names, selection.gain, strict=True)}
    if selection.noise_sd_mm is not None:
        facts["noise_mm"] = Fact(selection.noise_sd_mm, ".2f", "mm")
    if selection.paired_sd_mm is not None:
        facts["paired_mm"] = Fact(selection.paired_sd_mm, ".2f", "mm")
    if run.baseline_mm is not None:
        facts["baseline_mm"] = Fact(run.baseline_mm, ".2f", "mm")
    if decisive(selection) != run.fidelity:
        facts |= {"decisive": Fact(decisive(selection)), "own_proxy": Fact(run.fidelity)}
    return facts | {f"next_{i}": Fact(step) for i, step in enumerate(next_steps(run, selection), 1)}


def _costs(who: str, row: Estimate, latencies: Latencies) -> dict[str, Fact]:
    """Parameters, activations and measured latency of the best or the control."""
    facts = {
        f"{who}_mparams": Fact(row.params / 1e6, ".1f", "M parameters"),
        f"{who}_mactivations": Fact(row.activations / 1e6, ".1f", "M activations"),
    }
    if (ms := latencies.ms(row.arch)) is not None:
        facts[f"{who}_ms"] = Fact(ms, ".1f", "ms")
    return facts


def is_interrupted(run: Run) -> bool:
    """Whether runs were begun that no search is finishing."""
    return not run.active and any(record.state == "running" for record in run.records)


def next_steps(run: Run, selection: Selection) -> list[str]:
    """The commands that follow from where the run stands."""
    where = shlex.quote(str(run.path))
    if run.active:
        return [f"python -m nas.status {where}", f"python -m reports.build {where}"]
    if is_interrupted(run):
        return [f"python -m nas.search --resume --out {where}"]
    if any((run.path / "ensemble").glob("*.json")):
        return [f"python -m nas.predict {where} --split test --out predictions.npz"]
    if any((run.path / "retrain").glob("*/metrics.json")):
        return [f"python -m nas.ensemble {where}"]
    more = []
    if selection.control_is_tied or (selection.gain and selection.gain[0] < 0):
        trials = 2 * len(run.proposals)
        more = [f"python -m nas.search --resume --out {where} --trials {trials}"]
    keep = max(1, min(4, len([arch for arch in selection.tied if _is_proposal(arch, selection)])))
    return [*more, f"python -m nas.retrain {where} --top {keep}"]


def _is_proposal(arch: ArchSpec, selection: Selection) -> bool:
    return selection.control is None or arch != selection.control.arch


def _picture(selection: Selection) -> Drawing:
    """The best beside ResNet-34, and beside the control where that is another network."""
    assert selection.best is not None
    networks = [(f"Best: {selection.best.arch.id}", selection.best.arch)]
    if selection.control and selection.control.arch != REFERENCES["resnet34"]:
        networks.append((f"Control: {title_of(selection.control.arch)}", selection.control.arch))
    networks.append(("ResNet-34", REFERENCES["resnet34"]))
    outputs = outputs_counted(selection.best.arch, selection.best.macs)
    wide, narrow = both(lambda columns: architecture.draw(networks, columns, outputs), 2, 1)
    return Drawing("architecture", "Blocks, widths and FLOPs by stage of " + networks[0][1].id, wide, narrow)
