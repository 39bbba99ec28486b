"""An npz that is written a chunk at a time and appears whole.

Each large array grows as a .npy file mapped into memory; at the end the files go
into the archive uncompressed, as numpy.savez would put them, and the archive is
renamed into place. An exception leaves nothing behind.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from pathlib import Path
from types import TracebackType

import numpy as np


class NpzStream:
    """Context: `count` rows of float32 arrays of the given row shapes, and some small arrays."""

    def __init__(self, path: Path, count: int, shapes: dict[str, tuple[int, ...]]):
        self.path, self.count, self.shapes = path, count, shapes
        self._done = 0

    def __enter__(self) -> NpzStream:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix=f".{self.path.name}-", dir=self.path.parent))
        self._arrays = {
            name: np.lib.format.open_memmap(
                self._folder / f"{name}.npy", "w+", np.float32, (self.count, *shape)
            )
            for name, shape in self.shapes.items()
        }
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
            shutil.rmtree(self._folder, ignore_errors=True)

    def _finish(self) -> None:
        for array in self._arrays.values():
            array.flush()
        archive = self._folder / "archive"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED, allowZip64=True) as file:
            for member in sorted(self._folder.glob("*.npy")):
                file.write(member, member.name)
        os.replace(archive, self.path)
