"""All searches under a folder, a line each: how far, alive or not, the best, how old.

tests/test_status.py
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nas.record.run_dir import RunDir
from nas.record.store import Store, TrialRecord
from proxy_tasks.kind import Score

ENDED = ("complete", "pruned", "failed")


def runs_at_most(trials: int, repeats: int, finalists: int, *, longer: bool) -> dict[str, int]:
    """Runs of a search by purpose if nothing is dropped; the race usually ends earlier."""
    runs = {"proposals": trials, "control": repeats, "race": repeats * finalists}
    return {**runs, "longer race": repeats * (finalists + 1)} if longer else runs


@dataclass(frozen=True, slots=True)
class Overview:
    """One search. best: the lowest score of a run; score: in its task's words; why: why it cannot be read."""

    run: str
    state: str  # running, done, stopped or unreadable
    done: int = 0
    planned: int = 0
    best: float | None = None
    best_arch: str = ""
    score: str = ""
    age_hours: float | None = None
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def planned(about: dict[str, Any]) -> int:
    """Runs at most, as run.json has them; 0 where it does not say."""
    config = about.get("config") or {}
    if not (config.get("trials") and config.get("finalists")):
        return 0
    longer = about.get("race_proxy") != about.get("proxy")
    return sum(runs_at_most(config["trials"], config["repeats"], config["finalists"], longer=longer).values())


def overview(run: RunDir) -> Overview:
    """Of one search; what cannot be read is said in its line, for the others' sake."""
    try:
        about = run.read()
        records = Store.open(run.path).records()
    except (ValueError, RuntimeError, OSError) as error:
        return Overview(str(run.path), "unreadable", why=" ".join(str(error).split()))
    score, least = Score.of(about), _least(records)
    done = sum(r.state in ENDED for r in records)
    over = any(run.best.glob("*.json")) and not any(r.state == "running" for r in records)
    return Overview(
        run=str(run.path),
        state="running" if run.is_active() else "done" if over else "stopped",
        done=done,
        planned=max(planned(about), done),
        best=least.l_error_mm if least else None,
        best_arch=least.arch.id if least else "",
        score=score.amount(least.l_error_mm) if least and least.l_error_mm is not None else "",
        age_hours=_age(about),
    )


def _least(records: Sequence[TrialRecord]) -> TrialRecord | None:
    """The run of least error among the proposals; the fidelity is theirs, so they compare."""
    done = [r for r in records if r.role == "proposal" and r.l_error_mm is not None]
    return min(done, key=lambda r: (r.l_error_mm, r.number)) if done else None


def _age(about: dict[str, Any]) -> float | None:
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(about["started"])).total_seconds() / 3600
    except (KeyError, TypeError, ValueError):
        return None


def overviews(root: Path) -> list[Overview]:
    """Every search below `root`, the newest first."""
    found = [overview(RunDir(file.parent)) for file in root.glob("*/run.json")]
    return sorted(found, key=lambda o: (math.inf if o.age_hours is None else o.age_hours, o.run))


def lines(found: Sequence[Overview]) -> str:
    """As a table."""
    width = max(len(o.run) for o in found)
    rows = [f"{'run':<{width}}  {'state':<10}  {'runs':>9}  {'age':>6}  best proposal"]
    for o in found:
        best = o.why or (f"{o.score}  {o.best_arch}" if o.best is not None else "-")
        rows.append(
            f"{o.run:<{width}}  {o.state:<10}  {f'{o.done}/{o.planned}':>9}  {_span(o.age_hours):>6}  {best}"
        )
    return "\n".join(rows)


def _span(hours: float | None) -> str:
    if hours is None:
        return "-"
    return f"{hours * 60:.0f} min" if hours < 1 else f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} d"
