"""This machine: where what can be made again is kept, and how many cores and bytes a process may use.

A machine has often more cores than a process is granted: Slurm and container run-times restrict it by
affinity (a set of cores), by a quota of time in its control groups (so many microseconds of each period),
or both. More threads than that only take turns.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_CGROUPS, _OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def cache_root() -> Path:
    """$JMLR_NAS_CACHE, else $XDG_CACHE_HOME/jmlr-nas, else ~/.cache/jmlr-nas; not created here."""
    if own := os.environ.get("JMLR_NAS_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).expanduser() / "jmlr-nas"


def cores() -> int:
    """Cores that this process may keep busy, at least 1: its affinity's, or its quota where that is less."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def cpu_quota(root: Path = _CGROUPS, own: Path = _OWN) -> float | None:
    """Cores' worth of time that the control groups grant; None where they set no limit or cannot be read.

    The tightest limit of the process's group and of all groups around it holds.
    """
    return min(_quotas(root, own), default=None)


def memory_bytes(root: Path = _CGROUPS, own: Path = _OWN) -> int:
    """Bytes of memory that this process may use: the machine's, or its control groups' limit where less."""
    return min(_limits(root, own))


def _limits(root: Path, own: Path) -> Iterator[int]:
    yield os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for folder, version in _groups(root, own, "memory"):
        with suppress(OSError, ValueError):  # version 2 says "max" for none, 1 a number beyond any machine
            name = "memory.max" if version == 2 else "memory.limit_in_bytes"
            yield int((folder / name).read_text())


def _quotas(root: Path, own: Path) -> Iterator[float]:
    for folder, version in _groups(root, own):
        with suppress(OSError, ValueError):
            if version == 2:
                quota, period = (folder / "cpu.max").read_text().split()  # "max 100000" has no limit
            else:
                quota, period = ((folder / f"cpu.cfs_{each}_us").read_text() for each in ("quota", "period"))
            if float(quota) > 0 and float(period) > 0:  # version 1 says -1 for none
                yield float(quota) / float(period)


def _groups(root: Path, own: Path, controller: str = "cpu") -> Iterator[tuple[Path, int]]:
    """Folders of the process's control groups for CPU time, or `controller`, and of all around them, with
    their version.

    A container sees its own group at the root, whatever path the kernel names.
    """
    with suppress(OSError, ValueError):
        for line in own.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            bases = [root / controllers, root / controller] if controllers else [root]
            parts = Path(path.lstrip("/"))
            for base in bases:
                for folder in (parts, *parts.parents):
                    if ".." not in folder.parts:
                        yield base / folder, 1 if controllers else 2
