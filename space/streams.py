"""What a command prints never ends its work, and is readable wherever it is read.

The reader of a pipe may leave (`| head -1`), a disk may be full, a stream may be closed before the command
begins (`>&-`), a terminal may know ASCII alone. Printing then goes on into nothing, or in plain letters, and
the work is done to its end; only a result that could not be written at all (a full disk) is a failure, which
`Printed.failure` tells. tests/test_doors_streams.py asks every command.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

from space.telling import heard

PLAIN = "jmlr-nas.plain"  # an error handler of codecs: what to write for letters that a stream cannot show
_INSTEAD = {"±": "+-", "–": "-", "—": "-", "×": "x", "≤": "<=", "≥": ">=", "→": "->", "…": "...", "█": "#"}


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(_INSTEAD.get(letter) or _base(letter) for letter in letters), error.end


def _base(letter: str) -> str:
    """The ASCII letter under an accent, or a question mark."""
    return unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode() or "?"


codecs.register_error(PLAIN, _plainly)


class _Patient(io.FileIO):
    """A descriptor that takes everything: what cannot be written is dropped, and the first reason is kept."""

    failure: OSError | None = None

    def write(self, data: object) -> int:
        heard(self, data)
        try:
            return super().write(data)  # type: ignore[arg-type]
        except BrokenPipeError:
            pass  # the reader has what it wanted
        except OSError as error:
            self.failure = self.failure or error
        return memoryview(data).nbytes  # type: ignore[arg-type]


def patient(descriptor: int, encoding: str, *, owned: bool = False) -> TextIO:
    """A text stream on a descriptor (which it closes, where `owned`) whose writes never raise."""
    raw = _Patient(descriptor, "w", closefd=owned)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding, errors=PLAIN, line_buffering=descriptor != 1 or raw.isatty()
    )


@dataclass(frozen=True, slots=True)
class Printed:
    """Where a command prints while it runs."""

    out: TextIO

    def failure(self) -> OSError | None:
        """Why what was printed to standard output is lost, unless its reader left by itself."""
        try:
            self.out.flush()
        except BrokenPipeError:
            return None
        except OSError as error:
            return error
        raw = getattr(getattr(self.out, "buffer", None), "raw", None)
        return raw.failure if isinstance(raw, _Patient) else None


@contextlib.contextmanager
def patient_streams() -> Iterator[Printed]:
    """Standard output and error as patient streams for the length of a command.

    Streams that somebody has put in their place (a test, a notebook) stay as they are.
    """
    before = sys.stdout, sys.stderr
    if before[0] is sys.__stdout__:
        _open_what_is_closed()
        sys.stdout = _instead_of(sys.stdout, 1)
    if before[1] is sys.__stderr__:
        sys.stderr = _instead_of(sys.stderr, 2)
    try:
        yield Printed(sys.stdout)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = before


def _instead_of(stream: TextIO | None, descriptor: int) -> TextIO:
    if stream is not None:
        with contextlib.suppress(OSError):
            stream.flush()
    return patient(descriptor, stream.encoding if stream is not None else "utf-8")


def _open_what_is_closed() -> None:
    """The next file that is opened must not become standard output, or print() would write into it."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one
            os.set_inheritable(descriptor, True)
