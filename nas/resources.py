"""What one trial takes of a machine or cluster: that it may not fit, and what it adds up to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.store import TrialRecord


class NoRoom(ValueError):
    """No cluster answers, or it cannot hold a single trial."""


@dataclass(frozen=True, slots=True)
class Resources:
    """CPUs and GPUs of one trial, and the cluster to join: None starts Ray on this machine."""

    cpus: float
    gpus: float = 0.0
    address: str | None = None


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
