"""Locks between processes, held by the kernel for as long as their process lives.

So a kill leaves nothing to clean up. Files are locked by `filelock`, which neither empties nor removes them:
a lock file stays, as removing it would let two in at once, and says who holds it. A folder is locked on
itself, which leaves no file at all. tests/test_proxy_locks.py
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout


class HeldError(RuntimeError):
    """Another process holds the lock; `holder` says which, where it has said so."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(f"{path} is held by {holder}")
        self.holder = holder


@contextmanager
def locked(path: Path, *, waiting: Callable[[], object] | None = None) -> Iterator[None]:
    """Hold the lock file at `path` and note in it who does.

    HeldError where another process holds it, unless `waiting` is given: that is called once, and the lock
    waited for. OSError where the file cannot be made or its disk knows no locks.
    """
    lock = _lock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if waiting is None:
            raise HeldError(path, holder_of(path)) from None
        waiting()
        lock.acquire()
    try:
        path.write_text(f"process {os.getpid()} on {socket.gethostname()}\n")
        yield
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Whether a process holds the lock file; False where there is none, or no way to tell."""
    if not path.exists():
        return False
    try:
        with _lock(path).acquire(timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False


def holder_of(path: Path) -> str:
    """What the lock file says of its holder."""
    try:
        return path.read_text(errors="replace")[:200].strip() or "another process"
    except OSError:
        return "another process"


def _lock(path: Path) -> FileLock:
    """No marker file where a disk has no locks: a kill would leave it, and the next start would wait."""
    return FileLock(path, fallback_to_soft=False)


@contextmanager
def locked_folder(path: Path) -> Iterator[bool]:
    """Hold a folder, waiting for it; says whether there are such locks on its disk."""
    descriptor = hold_folder(path, wait=True)
    try:
        yield descriptor is not None
    finally:
        release(descriptor)


def hold_folder(path: Path, *, wait: bool = False) -> int | None:
    """What holds the folder until it is released; None where another does, or there are no such locks."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            return descriptor
        except OSError:
            os.close(descriptor)
    return None


def release(descriptor: int | None) -> None:
    """Let a folder go."""
    if descriptor is not None:
        os.close(descriptor)
