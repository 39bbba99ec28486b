"""What a trial held of a device, and what that adds up to."""

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


def _share(taken: list[tuple[datetime, float]], record: TrialRecord) -> float:
    if not taken:
        return 1.0
    started = datetime.fromisoformat(record.started) if record.started else taken[0][0]
    return ([share for since, share in taken if since <= started] or [taken[0][1]])[-1]
