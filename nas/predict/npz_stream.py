"""An npz that is written a chunk at a time and appears whole.

Each large array grows as a .npy file mapped into memory; at the end the files go
into the archive uncompressed, as numpy.savez would put them, and the archive is
renamed into place. An exception leaves nothing behind.
"""

from __future__ import annotations

import os
import zipfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np

from nas.files import scratch_folder
from space.outputs import require_place as require_folder

MARK = b"nas.predict"  # comment of the archive, by which a file of ours is known
WRITTEN = ("subject_id", "verts", "R", "T")  # arrays of the unmarked files of before there was a mark


def mapped_array(path: Path, shape: tuple[int, ...]) -> np.memmap:
    """A float32 .npy file mapped into memory, with its room on the disk taken at once.

    So a disk that is too full is an OSError here, and not a bus error that ends Python at some later row.
    """
    array = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    if hasattr(os, "posix_fallocate"):  # not on macOS
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def require_place(path: Path) -> None:
    """ValueError where an npz cannot be written to `path`: a folder, or a file that is no prediction."""
    require_folder(path.parent)
    if path.is_dir():
        raise ValueError(f"--out {path} is a folder: give the name of a file in it")
    if not path.exists():
        return
    try:
        with zipfile.ZipFile(path) as file:
            ours = file.comment == MARK or {f"{name}.npy" for name in WRITTEN} <= set(file.namelist())
    except (zipfile.BadZipFile, OSError):
        ours = False
    if not ours:
        raise ValueError(f"--out {path} exists and holds no predictions: name another file")


class NpzStream:
    """Context: `count` rows of float32 arrays of the given row shapes, and some small arrays."""

    def __init__(self, path: Path, count: int, shapes: dict[str, tuple[int, ...]]):
        self.path, self.count, self.shapes = path, count, shapes
        self._done = 0

    def __enter__(self) -> NpzStream:
        with ExitStack() as stack:
            self._folder = stack.enter_context(scratch_folder(self.path.parent, self.path.name))
            self._arrays = {
                name: mapped_array(self._folder / f"{name}.npy", (self.count, *shape))
                for name, shape in self.shapes.items()
            }
            self._scratch = stack.pop_all()
        return self

    def put_whole(self, arrays: dict[str, np.ndarray]) -> None:
        """Arrays that are at hand, such as names; strings stay fixed-width."""
        for name, array in arrays.items():
            np.save(self._folder / f"{name}.npy", array, allow_pickle=False)

    def put(self, **chunk: np.ndarray) -> None:
        """The next rows of every growing array."""
        length = len(next(iter(chunk.values())))
        for name, array in self._arrays.items():
            array[self._done : self._done + length] = chunk[name]
        self._done += length

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                assert self._done == self.count, f"{self._done} of {self.count} rows were put"
                self._finish()
        finally:
            self._arrays.clear()
            self._scratch.close()

    def _finish(self) -> None:
        for array in self._arrays.values():
            array.flush()
        archive = self._folder / "archive"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED, allowZip64=True) as file:
            for member in sorted(self._folder.glob("*.npy")):
                file.write(member, member.name)
            file.comment = MARK
        os.replace(archive, self.path)
