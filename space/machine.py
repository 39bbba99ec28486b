"""Where files that can be made again are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """$JMLR_NAS_CACHE, else $XDG_CACHE_HOME/jmlr-nas, else ~/.cache/jmlr-nas; not created here."""
    if own := os.environ.get("JMLR_NAS_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).expanduser() / "jmlr-nas"
