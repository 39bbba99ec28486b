"""Predictions drawn over their images: a look tells what a number does not. What is drawn is the task's."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from nas.files import scratch_folder
from space.outputs import OwnFolder

COMMAND = "nas.predict"


class Overlay:
    """Context that collects pictures and moves them to `folder` at the end, or drops them on an exception."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._scratch: Path | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Overlay:
        return self

    def add(self, stem: str, image: np.ndarray) -> None:
        """One picture (H, W, 3) uint8 BGR, and the file's name without its ending."""
        if self._scratch is None:
            self._scratch = self._stack.enter_context(scratch_folder(self.folder.parent, self.folder.name))
        cv2.imwrite(str(self._scratch / f"{stem}.png"), image)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if kind is None and self._scratch is not None:
                OwnFolder.claim(self.folder, COMMAND).publish(self._scratch)
