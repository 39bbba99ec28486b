"""Arrays on disk that are filled row by row, in any order, by many threads, and survive a kill.

One .npy file a field. Rows are written by `pwrite`, so that a full disk is an OSError and not a bus
error in a memory map. A row counts as done only after its bytes were synced (done.npy is written
last), so a process or machine that dies costs the rows since the last sync and never leaves half of
one. tests/test_crops_row_arrays.py
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from space.files import replacing

Fields = Mapping[str, tuple[tuple[int, ...], np.dtype]]


class RowArrays:
    """Open arrays of `count` rows in a folder, created or taken up where they were left.

    fields: name to (shape of a row, dtype);  done (count,) bool: rows that a sync has covered
    """

    def __init__(self, folder: Path, fields: Fields, count: int) -> None:
        self.folder, self.fields, self.count = folder, fields, count
        self.done = self._load_done()
        self._check_disk()
        self._files: dict[str, int] = {}
        self._starts: dict[str, int] = {}
        for name, (shape, dtype) in fields.items():
            path = folder / f"{name}.npy"
            if not self.done.any():
                array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(count, *shape))
            else:
                array = np.lib.format.open_memmap(path, mode="r")
            self._starts[name] = array.offset
            del array
            self._files[name] = os.open(path, os.O_RDWR)

    def close(self) -> None:
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files = {}

    def write(self, row: int, values: Mapping[str, NDArray]) -> None:
        """Store one row; safe from any thread."""
        for name, (shape, dtype) in self.fields.items():
            data = np.asarray(values[name], dtype=dtype, order="C")
            if data.shape != shape:
                raise ValueError(f"row {row} of {name} has shape {data.shape}, not {shape}")
            view, position = (
                data.reshape(-1).view(np.uint8).data,
                self._starts[name] + row * data.nbytes,
            )
            while view:
                try:
                    written = os.pwrite(self._files[name], view, position)
                except OSError as error:
                    if error.errno in (errno.ENOSPC, errno.EDQUOT):
                        raise RuntimeError(_full(self.folder)) from error
                    raise
                view, position = view[written:], position + written

    def sync(self, rows: Sequence[int]) -> None:
        """Make all that was written safe, then mark the rows as done."""
        for descriptor in self._files.values():
            os.fsync(descriptor)
        self.done[list(rows)] = True
        with replacing(self.folder / "done.npy") as file:
            np.save(file, self.done)

    def close_ranks(self) -> NDArray[np.int64]:
        """Move the last done rows into the places of those not done; all done rows then come first.

        returns (N,): the original row that each of the N first rows holds now. Nothing that is moved
        is overwritten, so a second attempt after a kill does the same again.
        """
        order = np.arange(self.count)
        good = int(self.done.sum())
        holes = np.flatnonzero(~self.done[:good])
        movers = good + np.flatnonzero(self.done[good:])
        for name in self.fields:
            array = np.load(self.folder / f"{name}.npy", mmap_mode="r+")
            for hole, mover in zip(holes, movers, strict=True):
                array[hole] = array[mover]
            array.flush()
        order[holes] = movers
        return order[:good]

    def _load_done(self) -> NDArray[np.bool_]:
        """What an earlier attempt marked; nothing, if its files are not of this kind."""
        nothing = np.zeros(self.count, dtype=bool)
        try:
            done = np.load(self.folder / "done.npy", allow_pickle=False)
            for name, (shape, dtype) in self.fields.items():
                array = np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
                if array.shape != (self.count, *shape) or array.dtype != dtype:
                    return nothing
        except (OSError, ValueError, EOFError):
            return nothing
        return done if done.shape == (self.count,) and done.dtype == bool else nothing

    def _check_disk(self) -> None:
        row_bytes = sum(int(np.prod(shape)) * dtype.itemsize for shape, dtype in self.fields.values())
        needed = row_bytes * int((~self.done).sum())
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise RuntimeError(
                f"{self.folder} needs {needed / 1e9:.1f} GB more and its disk has {free / 1e9:.1f} GB free: "
                "set JMLR_NAS_CACHE to a larger disk"
            )


def _full(folder: Path) -> str:
    return f"the disk of {folder} is full: free some space or set JMLR_NAS_CACHE to another, and start again"
