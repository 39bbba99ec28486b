"""How far a long piece of work is: a bar on a terminal, now and then a line where there is none.

In a file or pipe a bar is a screenful of rubbish. There a line is printed within five seconds, and then ever
more rarely, up to one a minute: somebody who looks sees life, and a log of hours stays short.
tests/test_proxy_progress.py
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, TextIO

from space.telling import has_a_screen, is_time

__all__ = ["Bar", "Lines", "bar", "has_a_screen", "is_time"]


class Bar(Protocol):
    """Counts up to a total; a context."""

    def update(self, n: int) -> Any: ...

    def __enter__(self) -> Any: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any: ...


def bar(total: int, unit: str, what: str, *, show: bool = True) -> Bar:
    """Of `total` things, on stderr; nothing at all unless `show`."""
    if show and not has_a_screen(sys.stderr):
        return Lines(total, unit, what, sys.stderr)
    from tqdm import tqdm

    return tqdm(total=total, unit=unit, desc=what, disable=not show, file=sys.stderr)


class Lines:
    """A line now and then, such as 'crops: 1,200 of 8,000 img, 2 min left'."""

    def __init__(
        self, total: int, unit: str, what: str, stream: TextIO, clock: Callable[[], float] = time.monotonic
    ):
        self.total, self.unit, self.what, self.stream, self.clock = total, unit, what, stream, clock
        self.done, self.began, self.told = 0, clock(), 0.0

    def __enter__(self) -> Lines:
        return self

    def update(self, n: int) -> None:
        """Count n more; perhaps print."""
        self.done += n
        elapsed = self.clock() - self.began
        if is_time(self.told, elapsed):
            self.told = elapsed
            self._print(elapsed)

    def _print(self, elapsed: float) -> None:
        left = elapsed / max(1, self.done) * (self.total - self.done)
        print(
            f"{self.what}: {self.done:,} of {self.total:,} {self.unit}, {_span(left)} left",
            file=self.stream,
            flush=True,
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The last line, where there was one before it."""
        if kind is None and self.told:
            seconds = self.clock() - self.began
            print(f"{self.what}: {self.done:,} {self.unit} in {seconds:.0f} s", file=self.stream, flush=True)


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
