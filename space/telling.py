"""Nothing is silent for more than five seconds: what a command is at, told to whoever waits for it.

Work that may last names itself (`with doing("counting ..."):`) and prints nothing. A command's door
(space/commandline.py) watches what is printed. Before five silent seconds are over it tells that name on
standard error: on a terminal in one line that goes on counting the seconds until something else is printed;
in a file or pipe in a line, and in further ones ever more rarely, up to one a minute, so that a log of hours
stays short. A bar or other line that is open on the terminal stays there, with the seconds behind it. --quiet
keeps it silent.
tests/test_space_telling.py
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TextIO

FIRST = 4.2  # silent seconds until the first line, and between lines at least; an import may delay it
SELDOM = 60.0  # seconds between lines at most
SHARE = 5  # a line comes when a fifth more time has passed than at the one before
SOONER = 0.7  # of these seconds until something moves on a terminal, where it disturbs nothing
POLL = 0.25  # seconds between looks

_doing: list[str] = []  # what is done, the innermost last


class Heard(Protocol):
    """A raw stream that something was written to."""

    def fileno(self) -> int: ...


@contextlib.contextmanager
def doing(what: str) -> Iterator[None]:
    """Name what the block does, for a person who has to wait for it: 'measuring latencies'."""
    _doing.append(what)
    try:
        yield
    finally:
        _doing.remove(what)


def is_time(told: float, elapsed: float, first: float = FIRST) -> bool:
    """Whether a line is due `elapsed` seconds after the start, the one before having come at `told`."""
    return elapsed - told >= min(SELDOM, max(first, elapsed / SHARE))


def has_a_screen(stream: TextIO) -> bool:
    """Whether a bar can be drawn: a terminal, and one that says how large it is (some containers' do not)."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return False
    return size.columns > 0 and size.lines > 0


class Watch:
    """Hears what a command prints, and speaks where it has been silent for long."""

    def __init__(self, name: str, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self.name, self._clock = name, clock
        self._began = self._last = clock()
        self.patience = float(os.environ.get("JMLR_NAS_TELL_SECONDS", FIRST))  # of tests, which count lines
        self._lock = threading.RLock()  # again by a signal's handler that prints
        self._open = b""  # the line there that has no end yet
        self._shown = 0  # columns of our own line there
        self.show_on(stream)

    def show_on(self, stream: TextIO) -> None:
        """Speak on another stream from now on."""
        with self._lock:
            self._stream, self._screen = stream, has_a_screen(stream)

    def heard(self, raw: Heard, data: Any) -> None:
        """Something else is about to be printed."""
        with self._lock:
            here, there = os.fstat(self._stream.fileno()), os.fstat(raw.fileno())
            same = os.path.samestat(here, there)
            if not same and not stat.S_ISFIFO(there.st_mode):
                return  # a log, say, which nobody looks at
            self._clear()
            self._last = self._clock()
            if same:
                self._open = (self._open + bytes(data)).rpartition(b"\n")[2].rpartition(b"\r")[2]

    def look(self) -> None:
        """Speak if it is time."""
        with self._lock:
            now = self._clock()
            silent = now - self._last
            if silent < self.patience * (SOONER if self._screen else 1):
                return
            if self._screen:
                self._redraw(f"{silent:.0f} s")
            elif is_time(self._last - self._began, now - self._began, self.patience):
                self._last = now
                begins = "\n" if self._open else ""
                self._write(f"{begins}{self._words()} ({now - self._began:.0f} s so far)\n")
                self._open = b""

    def end(self) -> None:
        """Leave the terminal as if nothing had been said."""
        with self._lock:
            self._clear()

    def _words(self) -> str:
        return f"{self.name}: {_doing[-1] if _doing else 'at work'}"

    def _redraw(self, seconds: str) -> None:
        """Our line, or the open one with the seconds behind it; never wider than the terminal."""
        beneath = self._open.decode("utf-8", "replace")
        width = os.get_terminal_size(self._stream.fileno()).columns - 1
        text = f"{(beneath or self._words())[: max(0, width - len(seconds) - 2)].rstrip()}, {seconds}"
        self._write("\r" + text[:width].ljust(self._shown))
        self._shown = len(text)

    def _clear(self) -> None:
        if self._shown:
            beneath = self._open.decode("utf-8", "replace")
            self._write("\r" + " " * self._shown + "\r" + beneath)
            self._shown = 0

    def _write(self, text: str) -> None:
        """By the descriptor, so that it is not heard; a reader who left is no error."""
        with contextlib.suppress(OSError, ValueError):
            os.write(self._stream.fileno(), text.encode(self._stream.encoding or "ascii", "replace"))


_watch: Watch | None = None  # of the command that runs


def heard(raw: Heard, data: Any) -> None:
    """A stream of a command says that it is about to be written to."""
    watch = _watch
    if watch is not None:
        with contextlib.suppress(OSError, ValueError):
            watch.heard(raw, data)


def speak_on(stream: TextIO) -> None:
    """From now on a person sees this stream, such as when standard error becomes a log."""
    if _watch is not None:
        _watch.show_on(stream)


@contextlib.contextmanager
def watched(name: str) -> Iterator[Watch | None]:
    """Break the block's silences on standard error; None where that is not the process's own."""
    global _watch
    if _watch is not None or not _is_real(sys.stderr):
        yield None
        return
    over = threading.Event()
    _watch = watch = Watch(name, sys.stderr)

    def follow() -> None:
        while not over.wait(POLL):
            watch.look()

    thread = threading.Thread(target=follow, daemon=True, name="telling")
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()
        watch.end()
        _watch = None


def _is_real(stream: TextIO) -> bool:
    try:
        return stream.fileno() == 2
    except (AttributeError, OSError, ValueError):
        return False


def _forget() -> None:
    """In a forked process the thread is gone, and its lock may be held for ever."""
    global _watch
    _watch = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
