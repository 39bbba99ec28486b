"""What happened: how every trial ended and why, the noise between seeds, and what was run on what."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping
from typing import Any

from nas.record.select import Selection
from nas.record.storage import without_password
from reports.run import Run
from reports.sections.answer import decisive, title_of
from reports.tables import Column, Fact, Section, Table

_STATES = ("complete", "pruned", "failed", "running")
_ROLES = {"proposal": "proposals", "control": "control", "repeat": "re-runs"}


def section(run: Run, selection: Selection) -> Section:
    """How runs ended and why, the noise between seeds, and everything that was recorded of the search."""
    facts = {state: Fact(sum(r.state == state for r in run.own), "d") for state in _STATES}
    facts |= {"runs": Fact(len(run.own), "d"), "active": Fact("yes" if run.active else "no")}
    if selection.noise_sd_mm is not None:
        facts["noise_mm"] = Fact(selection.noise_sd_mm, ".2f", "mm")
        facts["decisive"] = Fact(decisive(selection))
    return Section(
        key="happened",
        title="What happened",
        facts=facts,
        tables=(outcomes(run), reasons(run), noise(run), about(run), settings(run)),
    )


def outcomes(run: Run) -> Table:
    """Runs by role, study and how they ended."""
    columns = (Column("role", "Runs"), *(Column(state, state.capitalize(), "d") for state in _STATES))
    columns += (Column("all", "All", "d"),)
    rows = []
    for role, words in _ROLES.items():
        states = Counter(r.state for r in run.records if r.role == role)
        rows.append({"role": words, **{s: states[s] for s in _STATES}, "all": states.total()})
    return Table.make("outcomes", columns, rows)


def reasons(run: Run) -> Table:
    """Why runs were pruned or failed, most frequent first."""
    found = Counter(
        (r.state, r.reason or "no reason recorded") for r in run.records if r.state in ("pruned", "failed")
    )
    columns = (Column("state", "Ended"), Column("reason", "Reason"), Column("runs", "Runs", "d"))
    rows = [{"state": s, "reason": why, "runs": n} for (s, why), n in found.most_common()]
    return Table.make("reasons", columns, rows)


def noise(run: Run) -> Table:
    """Re-runs of one architecture at one fidelity: how far seeds alone move the error."""
    groups: dict[tuple[str, str], list] = {}
    for r in run.records:
        if r.state == "complete" and r.role != "proposal":
            groups.setdefault((r.arch.id, r.fidelity), []).append(r)
    columns = (
        Column("architecture", "Architecture"),
        Column("role", "Role"),
        Column("fidelity", "Proxy"),
        Column("runs", "Seeds", "d"),
        Column("mean_mm", "Mean (mm)", ".2f"),
        Column("spread_mm", "SD (mm)", ".2f"),
        Column("least_mm", "Least (mm)", ".2f"),
        Column("most_mm", "Most (mm)", ".2f"),
    )
    rows = []
    for (_, fidelity), group in groups.items():
        x = [r.l_error_mm for r in group]
        rows.append(
            {
                "architecture": title_of(group[0].arch, group[0].name),
                "role": "control" if any(r.role == "control" for r in group) else "re-run",
                "fidelity": fidelity,
                "runs": len(x),
                "mean_mm": statistics.fmean(x),
                "spread_mm": statistics.stdev(x) if len(x) > 1 else None,
                "least_mm": min(x),
                "most_mm": max(x),
            }
        )
    return Table.make("noise", columns, sorted(rows, key=lambda row: row["mean_mm"]))


_FIRST = ("command", "commit", "started", "seed", "data", "versions")
_SAME = ("hardware", "baseline_l_error_mm")  # said elsewhere: by run, and in `baseline`
_SETTING = (Column("key", "What"), Column("value", "Value"))


def about(run: Run) -> Table:
    """The command, data, hardware and versions, one to a row."""
    hardware = Counter(r.hardware for r in run.records if r.hardware)
    facts: dict[str, Any] = {key: run.info[key] for key in _FIRST if key in run.info}
    facts["hardware"] = ", ".join(
        f"{name} ({n} run{'s' if n > 1 else ''})" for name, n in hardware.most_common()
    )
    return Table.make("about", _SETTING, [{"key": key, "value": text} for key, text in _flat(facts)])


def settings(run: Run) -> Table:
    """Everything else that run.json holds."""
    rest = {key: value for key, value in run.info.items() if key not in (*_FIRST, *_SAME)}
    if rest.get("race_proxy") == rest.get("proxy"):
        rest.pop("race_proxy", None)
    return Table.make("settings", _SETTING, [{"key": key, "value": text} for key, text in _flat(rest)])


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as dotted keys, without passwords; what is empty says nothing and is left out."""
    rows = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key}.")
        elif value not in (None, "", [], ()):
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            rows.append((prefix + key, without_password(text)))
    return rows
