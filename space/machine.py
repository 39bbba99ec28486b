"""This machine: where what can be made again is kept between runs, and how many cores there are."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """$JMLR_NAS_CACHE, else $XDG_CACHE_HOME/jmlr-nas, else ~/.cache/jmlr-nas; not created here."""
    if own := os.environ.get("JMLR_NAS_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).expanduser() / "jmlr-nas"


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
