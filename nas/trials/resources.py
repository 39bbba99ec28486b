"""What one trial takes of a machine or cluster: that it may not fit, and what it adds up to."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.record.store import TrialRecord


ANSWER = 5.0  # seconds that a cluster has to answer


class NoRoom(ValueError):
    """No cluster answers, or it cannot hold a single trial."""


@dataclass(frozen=True, slots=True)
class Resources:
    """CPUs and GPUs of one trial, and the cluster to join: None starts Ray on this machine."""

    cpus: float
    gpus: float = 0.0
    address: str | None = None


def check_address(address: str) -> None:
    """NoRoom where no cluster listens at `address`: Ray itself tries for minutes, then ends the process.

    With `auto` Ray looks for a node on this machine, which is quick, unless RAY_ADDRESS says where.
    """
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", "auto")
        if address == "auto":
            return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        raise NoRoom(f"--ray-address is auto or the HOST:PORT of a cluster's head, not {address!r}")
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER).close()
    except (OSError, OverflowError) as error:
        raise NoRoom(no_cluster(address)) from error


def no_cluster(address: str) -> str:
    """What to say where no cluster answers."""
    where = "on this machine" if address == "auto" else f"at {address}"
    return f"no Ray cluster answers {where}: start one with `ray start --head`, or leave --ray-address out"


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
