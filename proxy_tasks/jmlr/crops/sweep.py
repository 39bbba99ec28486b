"""Remove what abandoned builds of crop caches left behind.

A build that was stopped leaves <id>.partial/ to go on with, which for the challenge's data is tens of
gigabytes. Where nobody goes on, nobody would remove it. A folder goes when nothing in it has changed for
ABANDONED_DAYS and nobody holds its lock, which a builder holds for as long as it lives; so a build of this
week can be resumed, and one that is under way is never touched. Lock files stay, for the reason that
cache.py gives. tests/test_crops_sweep.py.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from proxy_tasks.locks import HeldError, locked

ABANDONED_DAYS = 7.0


def sweep(crops: Path, keep: Path) -> list[Path]:
    """Remove abandoned *.partial and *.old-* folders of `crops`, but not `keep`; returns those removed."""
    gone = []
    for folder in sorted((*crops.glob("*.partial"), *crops.glob("*.old-*"))):
        if folder != keep and _idle_days(folder) > ABANDONED_DAYS and _remove(folder):
            gone.append(folder)
    return gone


def _idle_days(folder: Path) -> float:
    """Days since anything in a folder changed; negative where it cannot be read or has just gone."""
    try:
        last = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    except OSError:
        return -1.0
    return (time.time() - last) / 86_400.0


def _remove(folder: Path) -> bool:
    """Remove a folder under its lock, if that is free and the folder is still idle."""
    try:
        with locked(folder.with_suffix(".lock")):
            if _idle_days(folder) <= ABANDONED_DAYS:
                return False
            shutil.rmtree(folder)
    except (
        HeldError,
        OSError,
    ):  # held by a builder, somebody else's, or on a disk without locks: not ours to remove
        return False
    return True
