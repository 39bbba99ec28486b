"""What the commands about a run share beside their door (space/commandline.py)."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from space.commandline import Parser, a_path
from space.streams import patient
from space.telling import speak_on


def add_where(p: Parser) -> None:
    """The flags of those that use trained networks of a run: on which data and device, and how loud."""
    where = p.add_argument_group("on what, and how loud")
    where.add_argument("--data", type=a_path, metavar="DIR", help="the data set, where it has moved")
    where.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    where.add_argument("--quiet", action="store_true", help="no progress on stderr")


@contextlib.contextmanager
def chatter_to(log: Path) -> Iterator[TextIO]:
    """Send file descriptors 1 and 2 and all logging to `log`; yields the stream that people see.

    Writing there never raises: a reader that leaves, or a terminal that knows no ±, ends no search.
    Descriptors, not sys.stderr: Ray's C++ parts and child processes write there directly.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(1), os.dup(2)]
    real = _writes_to(sys.stderr, 2)
    stream = patient(os.dup(2), sys.stderr.encoding, owned=True) if real else sys.stderr
    handler = logging.StreamHandler(open(log, "a", buffering=1, encoding="utf-8"))  # noqa: SIM115  closed below
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        for descriptor in (1, 2):
            os.dup2(handler.stream.fileno(), descriptor)
        root.handlers, root.level = [handler], logging.INFO
        optuna = logging.getLogger("optuna")  # comes with a handler of its own, bound to the old stderr
        optuna.handlers, optuna.propagate = [], True
        speak_on(stream)
        yield stream
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        root.handlers, root.level = before, level
        for descriptor, old in zip((1, 2), saved, strict=True):
            os.dup2(old, descriptor)
            os.close(old)
        handler.stream.close()
        speak_on(sys.stderr)
        if real:
            stream.close()


def _writes_to(stream: Any, descriptor: int) -> bool:
    try:
        return stream.fileno() == descriptor
    except (AttributeError, OSError, ValueError):
        return False


def say(stream: TextIO | None, line: str) -> None:
    """Print a line at once, where somebody reads."""
    if stream is not None:
        print(line, file=stream, flush=True)
