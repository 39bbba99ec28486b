"""A training state on disk that neither a kill nor Ctrl-C can spoil, and when one is written.

Written beside its place and renamed over it; the one before is kept as
`<name>.previous`, so that a file that a disk damages costs one interval.
Loaded with weights_only: tensors and plain containers, never code.

A thread writes. Ctrl-C only ever reaches the main thread, so it cannot come out of torch's writer as an
error of the file (which would record a trial as failed that a person only stopped), and training goes on
meanwhile. At most one a minute is written, and the last; a run shorter than that has none, since to begin it
anew costs less than what 128 of them would ask of shared storage. tests/test_proxy_checkpoint.py
"""

from __future__ import annotations

import os
import pickle
import queue
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch
from torch import Tensor

from proxy_tasks.machine_errors import is_device_broken, is_out_of_memory

FORMAT = 2  # raise when a state's meaning changes, so that an older one is refused
EVERY = 60.0  # seconds between checkpoints of a run
SETTING = "JMLR_NAS_CHECKPOINT_SECONDS"  # environment variable that gives another number; 0 is every interval


def save(path: Path, state: dict[str, Any]) -> None:
    """Replace the state at `path`; at every moment one whole state can be loaded.

    OSError where the disk takes it not, also where torch's writer would name a line of its own source.
    Ctrl-C is raised once the file is whole.
    """
    writer = _Writer()
    writer.write(path, state)
    writer.finish()


class Saver:
    """The checkpoints of one run, as many as are worth their bytes; use it in a `with` block.

    Leaving the block waits for the file that is being written.
    """

    def __init__(
        self, path: Path, seconds: float | None = None, *, clock: Callable[[], float] = time.monotonic
    ):
        self._path, self._clock = path, clock
        self._seconds = every_seconds() if seconds is None else seconds
        self._begun = self._written = clock()
        self._writer = _Writer()

    def __enter__(self) -> Saver:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._writer.finish(raises=kind is None)

    def offer(self, state: Callable[[], dict[str, Any]], *, last: bool = False) -> bool:
        """Between two steps: write the state if it is time, or if the run ends here and was long enough.

        `state` is only called for one that is written, and copied before this returns whether it is. OSError
        where it or the one before could not be written.
        """
        now = self._clock()
        due = now - (self._begun if last else self._written) >= self._seconds
        self._writer.raise_error()
        if not last and self._writer.busy:
            return False  # storage that takes longer than a minute is not asked for more
        if due:
            self._written = now
            self._writer.write(self._path, on_cpu(state()))
        if last:
            self._writer.finish()
        return due


def every_seconds() -> float:
    """Least time between two checkpoints of a run: a minute, or what the environment says."""
    text = os.environ.get(SETTING, "")
    try:
        return float(text) if text else EVERY
    except ValueError:
        raise ValueError(f"{SETTING} is a number of seconds, not {text!r}") from None


def on_cpu(state: Any) -> Any:
    """A copy of nested containers with all tensors on the CPU, which later steps do not change."""
    if isinstance(state, Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, Mapping):
        return {name: on_cpu(value) for name, value in state.items()}
    return [on_cpu(value) for value in state] if isinstance(state, list | tuple) else state


class _Writer(threading.Thread):
    """Writes states, in order, until it is told to finish.

    It starts before there is anything to lose, and what was given to it is written whatever happens to the
    thread that gave it. Thread.join would forget it once Ctrl-C has interrupted the waiting.
    """

    def __init__(self) -> None:
        super().__init__(name="checkpoint", daemon=True)
        self._todo: queue.SimpleQueue[tuple[Path, dict[str, Any]] | None] = queue.SimpleQueue()
        self._ended, self._given, self._taken = threading.Event(), 0, 0
        self._error: BaseException | None = None
        self.start()

    @property
    def busy(self) -> bool:
        """Whether something that was given is not on disk yet."""
        return self._given != self._taken

    def write(self, path: Path, state: dict[str, Any]) -> None:
        """Put `state` at `path`, soon."""
        self._given += 1
        self._todo.put((path, state))

    def run(self) -> None:
        """Write what comes, and keep the first error for whoever asks next."""
        while (item := self._todo.get()) is not None:
            try:
                _write(*item)
            except BaseException as error:
                self._error = self._error or error
            del item
            self._taken += 1
        self._ended.set()

    def raise_error(self) -> None:
        """Raise what went wrong since the last time."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def finish(self, *, raises: bool = True) -> None:
        """Wait until everything is whole, through one Ctrl-C; then raise that, or what went wrong."""
        self._todo.put(None)
        try:
            self._ended.wait()
        except BaseException:
            self._ended.wait()
            raise
        if raises:
            self.raise_error()


def _write(path: Path, state: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        write_file(fresh, state)
        if path.exists():
            os.replace(path, previous(path))
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def write_file(path: Path, state: Any) -> None:
    """torch.save to a new file, safely on disk when this returns.

    What stops it is raised as it is: the disk's OSError, or Ctrl-C, where torch would say that a position in
    the file is not the expected one.
    """
    with open(path, "wb") as file:
        told = _Told(file)
        try:
            torch.save(state, cast(BinaryIO, told))
        except RuntimeError as error:
            raise (told.error or error) from error
        file.flush()
        os.fsync(file.fileno())


class _Told:
    """A file for torch's writer, which turns the disk's errors into its own; this keeps the first."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.error: BaseException | None = None

    def write(self, data: Any) -> int:
        try:
            return self._file.write(data)
        except BaseException as error:
            self.error = self.error or error
            raise

    def flush(self) -> None:
        """Nothing: `_write` flushes."""


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """The newest whole state at `path`, or None where there is none.

    Warns with the name of a damaged file before it falls back to the one before, and puts the damaged
    one aside as `<name>.damaged`, so that the next save does not put it in the good one's place. What is the
    machine's is raised: too little memory, a broken device, a disk that cannot be read.
    """
    for candidate in (path, previous(path)):
        if not candidate.exists():
            continue
        try:
            return torch.load(candidate, map_location=device, weights_only=True)
        except (RuntimeError, EOFError, OSError, pickle.UnpicklingError, ValueError) as error:
            if is_out_of_memory(error) or is_device_broken(error) or isinstance(error, OSError):
                raise  # of the machine, not of the file: what is good must not be put aside
            first = str(error).splitlines()[0].split(". ")[0] if str(error) else type(error).__name__
            warnings.warn(f"checkpoint {candidate} is damaged ({first}); trying the one before", stacklevel=2)
            if candidate == path:
                os.replace(path, path.with_name(f"{path.name}.damaged"))
    return None


def previous(path: Path) -> Path:
    """Where the state before the newest one is kept."""
    return path.with_name(f"{path.name}.previous")


def require_same(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """ValueError, naming what differs, where the checkpoint's identity is not that of the run."""
    if found.get("format", 1) != wanted["format"]:
        raise ValueError(
            f"checkpoint {path} is of format {found.get('format', 1)}, and this version writes "
            f"{wanted['format']}: remove it to train from the start"
        )
    other = [f"{k} {found.get(k)}, not {v}" for k, v in wanted.items() if found.get(k) != v]
    if other:
        raise ValueError(
            f"checkpoint {path} is of another run ({'; '.join(other)}): "
            "remove it, or train into another folder"
        )
