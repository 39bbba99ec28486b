"""Latency tables in the cache: one file for each set of conditions, with the times that it was made of."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from proxy_tasks.latency.device import AGAIN, require_here
from proxy_tasks.latency.stopwatch import Timed
from space.arch import ArchSpec
from space.files import read_object, write_json
from space.latency import Conditions, LatencyTable
from space.machine import cache_root


@dataclass(frozen=True, slots=True)
class Kept:
    """A table, how it came about (`about`, plain values), the networks behind it, and its check on others."""

    table: LatencyTable
    about: dict[str, Any]
    measured: tuple[Timed, ...]
    check: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; LatencyTable.from_dict reads the same."""
        measured = [{"arch": t.arch.to_dict(), "ms": t.milliseconds} for t in self.measured]
        return self.table.to_dict() | {"about": self.about, "measured": measured, "check": self.check}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Kept:
        """Inverse of to_dict; ValueError, one sentence, for what is no table of this version."""
        table = LatencyTable.from_dict(data)
        try:
            measured = tuple(Timed(ArchSpec.from_dict(t["arch"]), float(t["ms"])) for t in data["measured"])
            return cls(table, dict(data["about"]), measured, dict(data["check"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"the latency table is damaged ({error}): {AGAIN}") from None


def table_file(conditions: Conditions) -> Path:
    """Where the table of these conditions is kept."""
    text = json.dumps(asdict(conditions), sort_keys=True)
    return cache_root() / "latency" / f"{sha256(text.encode()).hexdigest()[:12]}.json"


def write(path: Path, kept: Kept) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, kept.to_dict())


def read(path: Path) -> Kept:
    """The table in a file, whichever machine's; ValueError, one sentence, where there is none."""
    try:
        data = read_object(path)
    except (OSError, ValueError):
        raise ValueError(f"{path} is no file of a latency table: {AGAIN}") from None
    return Kept.from_dict(data)


def read_here(path: Path) -> Kept:
    """The same, refused where it is of another device or version than this machine's."""
    kept = read(path)
    require_here(kept.table.conditions)
    return kept


def find(conditions: Conditions) -> Kept:
    """The table measured under these conditions; ValueError where there is none in the cache."""
    path = table_file(conditions)
    if not path.is_file():
        raise ValueError(f"no latency table of {conditions}, {conditions.software} is kept: {AGAIN}")
    return read(path)
