"""Indexes kept on disk, so that a search's workers and its next run need not count again.

A file's name is a hash of everything that the index follows from: the cost tables, the
window and the format. Whatever changes them makes another file; a file that is damaged or
cut short fails its check sums and is built again. Writing is atomic, so any number of
processes may ask at once. Where nothing can be written the index is just not kept.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import zipfile
import zlib
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import numpy as np

from space.halves import Halves
from space.index import Index, build_index
from space.machine import cache_root

_FORMAT = 1  # raise it when an index's arrays change their meaning
_DAMAGE = (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error)


def load_or_build(halves: Halves, low: int, high: int) -> Index:
    """The index of this window, from its file where there is a sound one."""
    path = index_path(halves, low, high)
    with suppress(*_DAMAGE):
        return _load(path)
    index = build_index(halves, low, high)
    with suppress(OSError):
        _save(path, index)
    return index


def index_path(halves: Halves, low: int, high: int) -> Path:
    content = hashlib.sha256(repr((_FORMAT, low, high, halves.depths, halves.widths)).encode())
    for field in fields(halves):
        if isinstance(part := getattr(halves, field.name), np.ndarray):
            content.update(part.tobytes())
    return cache_root() / "space" / f"index-{content.hexdigest()[:20]}.npz"


def _load(path: Path) -> Index:
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:  # closed even if no zip
        parts = {field.name: file[field.name] for field in fields(Index)}
    return Index(**parts | {"stride": int(parts["stride"])})


def _save(path: Path, index: Index) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    own = path.with_name(f".{path.stem}-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with own.open("wb") as file:
            np.savez(file, **{field.name: getattr(index, field.name) for field in fields(index)})
        own.replace(path)
    finally:
        own.unlink(missing_ok=True)
