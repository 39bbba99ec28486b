"""Where a search keeps its things, and who may write there.

    runs/<name>/run.json       config, seed, versions, data, hardware, baseline
                study.log      the store (Optuna journal), unless --storage names another
                best/*.json    specs of the winner and of those tied with it
                checkpoints/   of each unfinished trial, <study>_<number>.pt, and the one before (.previous)
                tensorboard/   learning curves, one folder a trial
                log.txt        what Ray, Optuna and torch had to say
                lock           held (flock) by the one search that may write

The lock is the kernel's, so a killed search leaves nothing to clean up.
tests/test_record_run_dir.py
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class RunError(ValueError):
    """A run directory that cannot serve as asked."""


@dataclass(frozen=True, slots=True)
class RunDir:
    """Paths inside one run directory; creates nothing by itself."""

    path: Path

    @property
    def run_json(self) -> Path:
        return self.path / "run.json"

    @property
    def study_log(self) -> Path:
        return self.path / "study.log"

    @property
    def best(self) -> Path:
        return self.path / "best"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def checkpoints(self) -> Path:
        """By its whole path, however --out was given: workers start in other folders, on other nodes too."""
        return Path(os.path.abspath(self.path)) / "checkpoints"

    def checkpoint(self, study: str, number: int) -> Path:
        return self.checkpoints / f"{study}_{number}.pt"

    def tensorboard(self, study: str, number: int) -> Path:
        return self.path / "tensorboard" / f"{study}_{number}"

    def holds_a_search(self) -> bool:
        """Whether a search has written here."""
        return self.run_json.exists() or self.study_log.exists()

    def check_place(self) -> None:
        """RunError where a file stands in the way of the folder."""
        for path in (self.path, *self.path.parents):
            if path.exists():
                if not path.is_dir():
                    raise RunError(f"--out {self.path} cannot be a folder: {path} is a file")
                return

    def make(self) -> None:
        """The folder, where it is not there yet; RunError where it cannot be."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"--out {self.path} cannot be made ({error.strerror}): choose another") from None

    def forget(self) -> None:
        """Remove a search that has recorded nothing, and the folder if nothing else is in it."""
        for path in (self.run_json, self.log, self.path / "lock"):
            path.unlink(missing_ok=True)
        with suppress(OSError):
            self.path.rmdir()

    def read(self) -> dict[str, Any]:
        """The contents of run.json; RunError where there is no search."""
        try:
            contents = json.loads(self.run_json.read_text())
        except FileNotFoundError:
            raise RunError(
                f"{self.path} holds no search (no run.json): give the folder that nas.search wrote"
            ) from None
        except ValueError as error:  # no JSON, or no text at all
            raise RunError(f"{self.run_json} is damaged ({error}): restore it or start a new run") from None
        if not isinstance(contents, dict):
            raise RunError(f"{self.run_json} is damaged (no JSON object): restore it or start a new run")
        return contents

    def write(self, contents: dict[str, Any]) -> None:
        """Replace run.json as a whole."""
        write_json(self.run_json, contents)

    def is_active(self) -> bool:
        """Whether a search holds this directory now."""
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only search here; RunError names the other one."""
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "another process"
                raise RunError(
                    f"a search is already running in {self.path} ({holder}): "
                    "wait for it, or choose another folder with --out"
                ) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)


def write_json(path: Path, contents: Any) -> None:
    """Write `contents` so that a reader sees the old file or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(contents, indent=2) + "\n")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def newest(root: Path) -> RunDir:
    """The run directory under `root` that was started last."""
    found = sorted(root.glob("*/run.json"), key=lambda p: (p.stat().st_mtime, p.parent.name))
    if not found:
        raise RunError(f"there is no search under {root}/ to resume: name its folder with --out")
    return RunDir(found[-1].parent)
