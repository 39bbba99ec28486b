"""What a trial held of a device, what that adds up to, and how long it took by the clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.record.store import TrialRecord


def note_resources(about: dict[str, Any], **now: Any) -> None:
    """Note in run.json's contents what a trial takes from now on, if it is not what it took before.

    `now`: launcher, cpus and gpus of a trial, ray_address.
    """
    taken = about.setdefault("resources", [])
    if not taken or {name: taken[-1][name] for name in now} != now:
        taken.append({"since": datetime.now(UTC).isoformat(timespec="milliseconds"), **now})


def device_hours(about: Mapping[str, Any], records: Iterable[TrialRecord]) -> float:
    """Hours of one device that these runs held: of a GPU, or of a core where they had no GPU.

    `about` is run.json. Its `resources` say what a trial took, and from when, since a resumed search may
    change it. A run that ran out of memory and had a whole device is counted at its share; where nothing is
    recorded, a run counts as one device.
    """
    taken = [(datetime.fromisoformat(r["since"]), r["gpus"] or r["cpus"]) for r in about.get("resources", ())]
    return sum(_share(taken, record) * record.seconds for record in records) / 3600


def clock_hours(records: Iterable[TrialRecord]) -> float:
    """Hours by the clock: from the first start to the last thing that is known, a start or an ending."""
    times = [datetime.fromisoformat(t) for r in records for t in (r.started, r.finished) if t]
    return (max(times) - min(times)).total_seconds() / 3600 if times else 0.0


def _share(taken: list[tuple[datetime, float]], record: TrialRecord) -> float:
    if not taken:
        return 1.0
    started = datetime.fromisoformat(record.started) if record.started else taken[0][0]
    return ([share for since, share in taken if since <= started] or [taken[0][1]])[-1]
