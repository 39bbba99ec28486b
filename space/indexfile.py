"""Indexes, and counts of what caps leave, kept on disk: workers and the next run need not count again.

A file's name is a hash of everything that the index follows from: the cost tables, the
window and the format. Whatever changes them makes another file; a file that is damaged or
cut short fails its check sums and is built again. Writing is atomic, so any number of
processes may ask at once. Where nothing can be written the index is just not kept.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from space.arrays import Ints
from space.files import replacing
from space.halves import Halves
from space.index import Index, build_index
from space.machine import cache_root
from space.meet import Limit, kept_counts
from space.walk import Walk

_FORMAT = 1  # raise it when an index's arrays change their meaning
_DAMAGE = (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error)


def load_or_build(halves: Halves, low: int, high: int) -> Index:
    """The index of this window, from its file where there is a sound one."""
    path = index_path(halves, low, high)
    with suppress(*_DAMAGE):
        parts = _load(path, [field.name for field in fields(Index)])
        return Index(**parts | {"stride": int(parts["stride"])})
    index = build_index(halves, low, high)
    with suppress(OSError):
        _save(path, {field.name: getattr(index, field.name) for field in fields(index)})
    return index


def load_or_count(walk: Walk, limits: Sequence[Limit]) -> Ints:
    """`kept_counts` of these limits, from their file where there is a sound one."""
    path = counts_path(walk, limits)
    with suppress(*_DAMAGE):
        counts: Ints = _load(path, ["counts"])["counts"]
        if counts.shape == walk.index.keys.shape:
            return counts
    counts = kept_counts(walk, limits)
    with suppress(OSError):
        _save(path, {"counts": counts})
    return counts


def index_path(halves: Halves, low: int, high: int) -> Path:
    """Where the index of a window lies."""
    return _path("index", (_FORMAT, low, high), [halves])


def counts_path(walk: Walk, limits: Sequence[Limit]) -> Path:
    """Where the counts of what limits leave of a window lie."""
    facts = (_FORMAT, walk.low, walk.high, [limit.most for limit in limits])
    return _path("caps", facts, [walk.halves, *(limit.halves for limit in limits)])


def _path(kind: str, facts: object, costs: Sequence[Halves]) -> Path:
    content = hashlib.sha256(repr((facts, costs[0].depths, costs[0].widths)).encode())
    for halves in costs:
        for field in fields(halves):
            if isinstance(part := getattr(halves, field.name), np.ndarray):
                content.update(part.tobytes())
    return cache_root() / "space" / f"{kind}-{content.hexdigest()[:20]}.npz"


def _load(path: Path, names: Sequence[str]) -> dict[str, Any]:
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:  # closed even if no zip
        return {name: file[name] for name in names}


def _save(path: Path, arrays: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, wait=False) as file:
        np.savez(file, **arrays)
