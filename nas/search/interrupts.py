"""Ctrl-C, or a scheduler's SIGTERM: once for a clean end, twice for an end at once."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, at a moment when nothing is half written."""


class Interrupts:
    """The first Ctrl-C ends the search at its next safe moment, the second at once."""

    def __init__(self) -> None:
        self.pending = False
        self.safe = False  # whether the handler itself may raise

    @contextlib.contextmanager
    def caught(self) -> Iterator[Interrupts]:
        """Ctrl-C and SIGTERM are this object's for the length of the block; the handlers before come back."""
        before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            for s in before:
                signal.signal(s, self._handle)
        except ValueError:  # not the main thread: somebody else handles signals
            yield self
            return
        try:
            yield self
        finally:
            for s, handler in before.items():
                signal.signal(s, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.pending:
            os._exit(130)
        self.pending = True
        if self.safe:
            raise Interrupted

    def check(self) -> None:
        """Raise Interrupted if one is pending: for moments when nothing is half written."""
        if self.pending:
            raise Interrupted
