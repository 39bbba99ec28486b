"""Ctrl-C from a command's first import on is one sentence: every package here imports this first.

`space.commandline.door` answers for a command that has begun; until then its modules are imported, which
takes from a tenth of a second to several. Python's own start before that is not ours to guard.
tests/test_doors_interrupts.py
"""

import os
import sys
from itertools import pairwise
from types import TracebackType

ROOMS = ("space", "proxy_tasks", "nas", "reports")


def _say_it_in_a_sentence(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        os.write(2, b"interrupted: nothing was begun\n")
        os._exit(130)
    sys.__excepthook__(kind, error, trace)


def _is_one_of_our_commands() -> bool:
    """Whoever imports this project as a library keeps their own hook."""
    return any(flag == "-m" and name.partition(".")[0] in ROOMS for flag, name in pairwise(sys.orig_argv))


if _is_one_of_our_commands():
    sys.excepthook = _say_it_in_a_sentence
