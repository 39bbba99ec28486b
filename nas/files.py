"""A hidden folder for work in progress, beside where its results will go.

A process that is killed outright cannot clean up, and what it leaves may be gigabytes. So each folder is held
by a lock of the kernel's (flock on the folder itself) for as long as its process lives, and whoever makes the
next one of the same name removes those that nobody holds. Making and removing happen under a lock on the
parent, so that no folder is seen between its making and its locking. Where a file system has no such locks
(some network ones), nothing is ever removed but one's own.
tests/test_nas_files.py
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def scratch_folder(parent: Path, name: str) -> Iterator[Path]:
    """A fresh folder `.name-xxxxxxxx` in `parent`, gone when the block ends in any way that can be caught."""
    parent.mkdir(parents=True, exist_ok=True)
    turn = _lock(parent, fcntl.LOCK_EX)
    try:
        if turn is not None:
            _sweep(parent, name)
        folder = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=parent))
        held = _lock(folder, fcntl.LOCK_EX)
    finally:
        _release(turn)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _release(held)


def _sweep(parent: Path, name: str) -> None:
    """Remove the folders of this name whose process is gone."""
    ours = re.compile(re.escape(f".{name}-") + "[a-z0-9_]{8}")  # as tempfile names them
    for folder in parent.iterdir():
        if ours.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
            dead = _lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if dead is not None:
                shutil.rmtree(folder, ignore_errors=True)
                _release(dead)


def _lock(folder: Path, how: int) -> int | None:
    """The descriptor that holds the lock; None where another holds it or there are no such locks."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, how)
            return descriptor
        except OSError:
            os.close(descriptor)
    return None


def _release(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)
