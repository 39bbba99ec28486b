"""How every command of this project answers: with its result, or with one sentence and the right status.

    0    done
    1    the work failed: RuntimeError, a file or disk that does not do as asked, no memory
    2    the request is wrong: ValueError, or flags that cannot be parsed
    130  interrupted

A sentence begins with the command's name and goes to standard error. Anything else is a bug and keeps its
traceback. Our own warnings are printed as sentences, other packages' are not.
tests/test_space_commandline.py and tests/test_doors.py ask every command for what it cannot do.
"""

from __future__ import annotations

import argparse
import errno
import math
import sys
import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

from space.streams import patient_streams
from space.telling import Watch, watched

OURS = r"(nas|proxy_tasks|reports|space)\."  # modules whose warnings a person is shown

ADVICE = {  # what the operating system's few words do not say
    errno.ENOSPC: "free space, then run the command again",
    errno.EDQUOT: "free space, then run the command again",
    errno.ENOTDIR: "a part of this path is a file",
    errno.EMFILE: "raise `ulimit -n`",
}
NEVER = (errno.ENAMETOOLONG, errno.ELOOP)  # no disk could serve such a path, so the request is wrong


class Help(argparse.RawDescriptionHelpFormatter):
    """The docstring as it is written, and every flag with its default."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text, value = action.help or "", action.default
        untold = value in (None, argparse.SUPPRESS, "", (), []) or isinstance(value, bool)
        if untold or not action.option_strings:
            return text
        parts = value if isinstance(value, list | tuple) else [value]
        shown = " ".join(f"{part:g}" if isinstance(part, float) else str(part) for part in parts)
        said = "default" in text or f"({shown}" in text
        return text if said else f"{text} ({shown})".strip()


class Parser(argparse.ArgumentParser):
    """argparse's own, but for what it prints where a request cannot be parsed, and --version.

    argparse prints its usage text above the sentence, and a tired person reads the wrong one of the two.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"formatter_class": Help, **kwargs})
        self.add_argument("--version", action=_Version)

    def error(self, message: str) -> NoReturn:
        """End with status 2; `message` already says which argument, and what was given."""
        self.exit(2, f"{name_of(self)}: {message}; {self.prog} --help says what it takes\n")


class _Version(argparse.Action):
    """Print which release this is, read only when asked, and end."""

    def __init__(self, option_strings: Sequence[str], dest: str, **_: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help="print the release and end")

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(f"jmlr-nas {version()}")
        parser.exit()


def version() -> str:
    """The release that is installed; 'unknown' in a tree that nothing was installed from."""
    import importlib.metadata

    try:
        return importlib.metadata.version("jmlr-nas")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def parser_of(module: str, text: str | None) -> Parser:
    """The parser of `python -m MODULE`, with the module's docstring as its help."""
    return Parser(prog=f"python -m {module}", description=text)


def name_of(parser: argparse.ArgumentParser) -> str:
    """A command as its sentences begin: nas.search, not python -m nas.search."""
    return parser.prog.removeprefix("python -m ")


def a_path(text: str) -> Path:
    """An argument that names a file or folder; an empty one is an unset variable of a shell, not `.`."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the path is empty: is the variable in it set?")
    return Path(text)


def a_name(text: str) -> str:
    """An argument that names something, a file perhaps; see a_path."""
    return text if a_path(text) else ""


def door(
    parser: Callable[[], Parser],
    work: Callable[[argparse.Namespace], int],
    argv: Sequence[str] | None = None,
    *,
    after_interrupt: str = "nothing was written",
) -> int:
    """Run a command and answer for it; the exit status.

    `after_interrupt` says what a Ctrl-C leaves and how to go on, unless the KeyboardInterrupt itself does.
    Printing never ends the work (space/streams.py). SystemExit comes from the parser alone: --help, and
    requests that cannot be parsed.
    """
    name = _asked_for()
    with patient_streams() as printed, watched(name) as watch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", module=OURS)
        warnings.showwarning = _show
        try:
            made = parser()
            name = name_of(made)
            status = work(_heeded(made.parse_args(argv), name, watch))
        except SystemExit as end:
            if printed.failure() is None:
                raise
            status = int(end.code or 0)
        except KeyboardInterrupt as interrupt:
            status = say(name, f"interrupted: {interrupt if str(interrupt) else after_interrupt}", 130)
        except ValueError as error:
            status = say(name, error, 2)
        except MemoryError as error:
            status = say(name, f"there is not enough memory for this{f' ({error})' if str(error) else ''}", 1)
        except OSError as error:
            status = say(name, sentence_of(error), 2 if error.errno in NEVER else 1)
        except RuntimeError as error:
            status = say(name, error, 1)
        failure = printed.failure()
        if failure is not None:
            status = say(name, f"what it printed is lost: {sentence_of(failure)}", status or 1)
        return status


def _heeded(args: argparse.Namespace, name: str, watch: Watch | None) -> argparse.Namespace:
    """The same, once its --quiet has been heeded by whoever breaks silences."""
    if watch is not None:
        watch.name = name
        if getattr(args, "quiet", False):
            watch.patience = math.inf
    return args


def _asked_for() -> str:
    """The module behind `python -m`, for what goes wrong before there is a parser."""
    return next((name for flag, name in pairwise(sys.orig_argv) if flag == "-m"), "this command")


def sentence_of(error: OSError) -> str:
    """What the operating system refused, of which file, and why."""
    if error.errno is None or error.strerror is None:
        return str(error)
    where = "" if error.filename is None else f"{error.filename}: "
    advice = ADVICE.get(error.errno)
    return f"{where}{error.strerror}" + (f" ({advice})" if advice else "")


def say(name: str, message: object, status: int) -> int:
    """Print what is wrong as one sentence; returns the status."""
    print(f"{name}: {' '.join(str(message).split())}", file=sys.stderr)
    return status


def _show(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)
