"""What every command of this room does with errors: one sentence and an exit status, no traceback.

0 done; 2 the request is wrong (ValueError); 1 the work failed (RuntimeError, a file
that cannot be read or written); 130 interrupted. Anything else is a bug and keeps
its traceback. Our own warnings are printed as sentences, other packages' are not.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

OURS = r"(nas|proxy_tasks|space)\."


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
