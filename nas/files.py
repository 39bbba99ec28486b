"""A hidden folder for work in progress, beside where its results will go.

A process that is killed outright cannot clean up, and what it leaves may be gigabytes. So each folder is held
by a lock of the kernel's (proxy_tasks/locks.py) for as long as its process lives, and whoever makes the next
one of the same name removes those that nobody holds. Making and removing happen under a lock on the parent,
so that no folder is seen between its making and its locking. Where a file system has no such locks (some
network ones), nothing is ever removed but one's own.
tests/test_nas_files.py
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from proxy_tasks.locks import hold_folder, locked_folder, release
from space.outputs import OwnFolder


@contextmanager
def scratch_folder(parent: Path, name: str) -> Iterator[Path]:
    """A fresh folder `.name-xxxxxxxx` in `parent`, gone when the block ends in any way that can be caught.

    So are the folders on the way to it that were made for it, where nothing else has come into them and the
    block has failed.
    """
    absent = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    parent.mkdir(parents=True, exist_ok=True)
    try:
        with locked_folder(parent) as can_tell:
            if can_tell:
                _sweep(parent, name)
            folder = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=parent))
            held = hold_folder(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            release(held)
    except BaseException:
        for made in absent:
            with suppress(OSError):
                made.rmdir()
        raise


@contextmanager
def remade(own: OwnFolder, *, keep: bool = False) -> Iterator[Path]:
    """An empty folder whose files become those of `own` when the block ends without an exception.

    What the command wrote there before goes, unless it shall `keep` it.
    """
    with scratch_folder(own.path.parent, own.path.name) as fresh:
        yield fresh
        own.publish(fresh, keep=keep)


def _sweep(parent: Path, name: str) -> None:
    """Remove the folders of this name whose process is gone."""
    ours = re.compile(re.escape(f".{name}-") + "[a-z0-9_]{8}")  # as tempfile names them
    for folder in parent.iterdir():
        if ours.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
            dead = hold_folder(folder)
            if dead is not None:
                shutil.rmtree(folder, ignore_errors=True)
                release(dead)
