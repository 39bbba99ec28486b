"""Optuna storages: a journal for one writer, or any URL.

The driver is the only writer (it holds the run's lock), so the journal needs
no lock of its own and none can be left behind; a line torn by a kill or a full
disk is cut off before the next is written. Readers need no lock either.
tests/test_record_store.py, tests/test_search_faults.py
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend

from nas.record.run_dir import RunError


class StoreError(RuntimeError):
    """The store cannot be written or read."""


class SingleWriterJournal(JournalFileBackend):
    """Optuna's journal file for one writer: no lock, and a torn end is cut off, not tripped on."""

    def __init__(self, path: Path, *, repair: bool = False) -> None:
        if repair:
            _cut_torn_end(path)
            Path(f"{path}.lock").unlink(missing_ok=True)
        super().__init__(str(path))
        self.path, self._batches = path, 0

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Log entries from number `log_number_from` on; RunError for a line within that is damaged."""
        try:
            yield from super().read_logs(log_number_from)
        except ValueError as error:  # a torn end is no error, so this is a line within
            raise RunError(
                f"{self._file_path} is damaged before its end ({error}): restore it from a copy, "
                "or delete it from the first line that is no JSON object on and resume from there"
            ) from error

    @contextmanager
    def batch(self, wait: bool = True) -> Iterator[None]:
        """Wait for the disk once, after everything written inside, or not at all.

        A wait is most of what a write costs (3.6 ms of 3.7 here). What was written but not waited for is
        lost with the machine's power, never with the process.
        """
        self._batches += 1
        try:
            yield
        finally:
            self._batches -= 1
        if wait and not self._batches:
            self._synchronise()

    def _synchronise(self) -> None:
        descriptor = os.open(self._file_path, os.O_WRONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write entries at the end, all or none; StoreError where the disk takes no more."""
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        descriptor = os.open(self._file_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        size = os.fstat(descriptor).st_size
        try:
            written = 0
            while written < len(lines):
                written += os.write(descriptor, lines[written:])
            if not self._batches:
                os.fsync(descriptor)
        except OSError as error:
            os.ftruncate(descriptor, size)
            raise StoreError(
                f"cannot write {self._file_path} ({os.strerror(error.errno or 0)}): what was recorded so far "
                "is safe; free space, then continue with --resume"
            ) from error
        finally:
            os.close(descriptor)


def _cut_torn_end(path: Path) -> None:
    """Drop whatever follows the last whole line of JSON."""
    if not path.exists():
        return
    with open(path, "r+b") as file:
        lines = file.read().splitlines(keepends=True)
        while lines and not _is_whole(lines[-1]):
            lines.pop()
        file.truncate(sum(map(len, lines)))


def _is_whole(line: bytes) -> bool:
    if not line.endswith(b"\n"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def is_in_memory(url: str) -> bool:
    """Whether a storage would forget a search at its end: no name at all, or SQLite without a file."""
    return not url.strip() or re.fullmatch(r"sqlite(\+\w+)?:/{0,3}(:memory:)?(\?.*)?", url) is not None


def require_storage(url: str) -> None:
    """RunError for a storage that could keep nothing."""
    if is_in_memory(url):
        raise RunError(
            f"the storage {url!r} is in memory and gone with the process: name a file (sqlite:///FILE) or a "
            "server"
        )


def from_anywhere(url: str | None) -> str | None:
    """The URL of the same storage in any working directory."""
    file = sqlite_file(url)
    return url if file is None or url is None else url.replace(str(file), str(file.absolute()), 1)


def sqlite_file(url: str | None) -> Path | None:
    """The file of a SQLite URL; None for any other storage."""
    found = re.match(r"sqlite(?:\+\w+)?:///([^?:][^?]*)", url or "")
    return Path(found[1]) if found else None


def without_password(url: str) -> str:
    """A URL as it may be shown; any other text as it is."""
    head, at, tail = url.rpartition("@")
    scheme, slashes, user = head.partition("://")
    return f"{scheme}{slashes}{user.split(':')[0]}@{tail}" if at else url
