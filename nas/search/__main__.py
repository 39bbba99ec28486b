"""Search architectures under a FLOPs budget: propose, train under a proxy, race the best, say who won.

    python -m nas.search --budget 5.1GFLOPs                      a reduced demonstration on synthetic faces
    python -m nas.search --budget 5.1GFLOPs --data WCPA --trials 64 --scheduler asha --max-hours 12
    python -m nas.search --resume                                go on with the newest search under runs/

Without a GPU the first takes some minutes on two cores. All of it is written to one run
directory: run.json, study.log, best/*.json, log.txt (nas/record/run_dir.py). Exit status: 0 done,
2 the request is wrong, 1 the work failed, 130 interrupted. docs/search.md says more.
"""

from __future__ import annotations

import argparse
import sys

from space.commandline import Parser, door


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    return door(_parser, lambda given: _run(given, argv), argv, after_interrupt="nothing was begun")


def _parser() -> Parser:
    from nas.search.flags import parser

    return parser(__doc__ or "")


def _run(given: argparse.Namespace, argv: list[str]) -> int:
    from nas.search.request import dry_run, open_session

    session = open_session(given, argv)
    return dry_run(session) if given.dry_run else session.run()


if __name__ == "__main__":
    sys.exit(main())
