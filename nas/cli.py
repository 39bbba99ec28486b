"""What the commands about a run share: their parser, and errors as one sentence without a traceback.

0 done; 2 the request is wrong (ValueError); 1 the work failed (RuntimeError, a file
that cannot be read or written); 130 interrupted. Anything else is a bug and keeps
its traceback. Our own warnings are printed as sentences, other packages' are not.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from space.commandline import Parser

OURS = r"(nas|proxy_tasks|reports|space)\."


def parser_of(module: str, text: str | None) -> Parser:
    """The parser of `python -m MODULE`, with the module's docstring as its help."""
    return Parser(
        prog=f"python -m {module}", description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def add_where(p: Parser) -> None:
    """The flags of those that use trained networks of a run: on which data and device, and how loud."""
    p.add_argument("--data", type=Path, metavar="DIR", help="the data set, where it has moved")
    p.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    p.add_argument("--quiet", action="store_true", help="no progress on stderr")


def guarded(work: Callable[[], int], *, after_interrupt: str = "nothing was written") -> int:
    """Run a command; `after_interrupt` says what a Ctrl-C leaves and how to go on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", module=OURS)
        warnings.showwarning = _show
        try:
            return work()
        except ValueError as error:
            return _say(error, 2)
        except (RuntimeError, OSError) as error:
            return _say(error, 1)
        except KeyboardInterrupt:
            return _say(f"interrupted: {after_interrupt}", 130)


def _say(message: object, status: int) -> int:
    print(" ".join(str(message).split()), file=sys.stderr)
    return status


def _show(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)
