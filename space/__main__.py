"""Size of a feasible set, where its FLOPs go, a few samples.

    python -m space --budget 5.1GFLOPs
    python -m space --budget 5.1GFLOPs --max-depth 4,8,24,4 --free-widths --json
    python -m space --budget 5.1GFLOPs --max-params 20M --max-activations 1x
    python -m space --budget 5.1GFLOPs --max-latency 1.2x --latency-table FILE
    python -m space --budget 0.5GFLOPs --outputs 2          networks that answer with two numbers

Under a second for the default space; caps are counted in some more, the first time. All that is written
are the indexes behind the counts, some megabytes in the cache ($JMLR_NAS_CACHE, else ~/.cache/jmlr-nas).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from space.commandline import Parser, a_path, door
from space.feasible import FeasibleSet
from space.flags import (
    add_budget_flags,
    add_cap_flags,
    add_outputs_flag,
    add_space_flags,
    budget_from,
    cap_texts,
    capped,
    space_from,
)
from space.latency import LatencyTable
from space.summary import render, summarise

MOST_SAMPLES = 100_000  # each is described in words: a minute for all of these


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    return door(_parser, _run, argv, after_interrupt="nothing but the count's index was written")


def _run(args: argparse.Namespace) -> int:
    if args.samples < 0 or args.seed < 0:
        raise ValueError(f"--samples and --seed are at least 0, not {min(args.samples, args.seed)}")
    if args.samples > MOST_SAMPLES:
        raise ValueError(f"--samples is at most {MOST_SAMPLES:,}, not {args.samples:,}")
    table = LatencyTable.load(args.latency_table) if args.latency_table else None
    feasible = capped(FeasibleSet(space_from(args), budget_from(args)), cap_texts(args), table)
    summary = summarise(feasible, args.samples, args.seed)
    if args.json:
        print(json.dumps(summary, indent=2))
    else:
        print(render(feasible, summary, plain=not _speaks_unicode()))
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="python -m space", description="Size of a feasible set, where its FLOPs go, a few samples."
    )
    add_budget_flags(parser.add_argument_group("the budget"))
    space = parser.add_argument_group("the space, for all stages or for each")
    add_space_flags(space)
    add_outputs_flag(space)
    caps = parser.add_argument_group("caps beside the budget")
    add_cap_flags(caps)
    caps.add_argument(
        "--latency-table", type=a_path, metavar="FILE", help="made by python -m proxy_tasks.latency calibrate"
    )
    shown = parser.add_argument_group("what to show")
    shown.add_argument(
        "--samples", type=int, default=5, metavar="N", help="architectures to show (default 5)"
    )
    shown.add_argument("--seed", type=int, default=0, metavar="N", help="of the samples (default 0)")
    shown.add_argument("--json", action="store_true", help="everything as JSON")
    return parser


def _speaks_unicode() -> bool:
    try:
        "█±–".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
