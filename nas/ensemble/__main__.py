"""Average the retrained networks of a run, and score the average honestly.

    python -m nas.ensemble runs/NAME [--budget 10.3GFLOPs]

Predicts the validation images with every finished member, chooses members by
greedy selection on half of the validation subjects, and scores the choice, every
single member and the plain mean of all on the other half. Vertices and image-plane
landmarks are averaged, each member's carried back from its crop and mirror; the
pose is solved once from the average. Writes runs/NAME/ensemble/: members.json
(what predict reads), metrics.json, table.csv, table.md.

Cost: one forward pass (two with flip averaging) of each member over the validation
images, then PnP on --frames images a subject for every candidate that is tried.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from nas.cli import add_where
from space.commandline import a_path, door, parser_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from space.commandline import Parser


def parser() -> Parser:
    """The flags of this command."""
    p = parser_of("nas.ensemble", __doc__)
    what = p.add_argument_group("what to average")
    what.add_argument("run", type=a_path, metavar="RUN", help="folder of a search, with networks in retrain/")
    what.add_argument(
        "--members", nargs="+", default=(), metavar="NAME", help="folders under retrain/; default all"
    )
    what.add_argument(
        "--budget", metavar="B", help="most multiply-adds of all members together, e.g. 10.3GFLOPs"
    )
    how = p.add_argument_group("how")
    how.add_argument(
        "--no-flip", dest="flip", action="store_false", help="no averaging with the mirrored image"
    )
    how.add_argument(
        "--frames", type=int, default=200, help="images a subject to select on; 0 is all (default 200)"
    )
    how.add_argument(
        "--seed", type=int, default=0, help="of the division of the validation subjects in halves"
    )
    add_where(p)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    return door(parser, _run, argv)


def _run(args: argparse.Namespace) -> int:
    from nas.ensemble.build import Settings, build
    from space.budget import Budget

    cap = Budget.parse(args.budget, tolerance=0).high if args.budget else None
    settings = Settings(args.flip, args.frames, args.seed, cap)
    folder = build(
        args.run, settings, names=args.members, data=args.data, device=args.device, progress=not args.quiet
    )
    print((folder / "table.md").read_text("utf-8").rstrip())
    print(f"\nwritten to {folder}/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
