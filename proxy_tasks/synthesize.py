"""Write a data set of synthetic faces in the challenge's layout.

    python -m proxy_tasks.synthesize --out faces --subjects 300 --frames 5

takes about half a minute a core for these 1,500 images of 800 x 800 pixels and writes image/, info/,
68landmarks/, list/ and resources/ under the folder, all at once when it is complete. The same seed gives
the same bytes. `--contact-sheet FILE.jpg` draws some of its people instead. docs/faces.md explains them.
"""

from __future__ import annotations

import argparse
import sys

from space.commandline import Parser, a_path, door


def _parser() -> Parser:
    summary = (__doc__ or "").split("\n")[0]
    parser = Parser(prog="python -m proxy_tasks.synthesize", description=summary)
    goal = parser.add_argument_group("where to").add_mutually_exclusive_group(required=True)
    goal.add_argument("--out", type=a_path, metavar="DIR", help="new or empty folder for the data set")
    goal.add_argument("--contact-sheet", type=a_path, metavar="FILE", help="draw 56 faces to a .jpg or .png")
    what = parser.add_argument_group("what to make")
    what.add_argument("--subjects", type=int, default=300, help="people with labels (default 300)")
    what.add_argument("--test-subjects", type=int, default=0, help="people without labels (default 0)")
    what.add_argument("--frames", type=int, default=5, help="images of each person (default 5)")
    what.add_argument("--size", type=int, default=800, help="image side, pixels (default 800)")
    what.add_argument("--seed", type=int, default=0, help="same seed, same bytes (default 0)")
    how = parser.add_argument_group("how")
    how.add_argument("--workers", type=int, help="processes (default: one a core)")
    what.add_argument(
        "--face-model", type=a_path, metavar="NPZ", help="another morphable model (docs/faces.md)"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit status."""
    return door(_parser, _run, argv, after_interrupt="nothing was written; run the same command again")


def _run(args: argparse.Namespace) -> int:
    print(_work(args))
    return 0


def _work(args: argparse.Namespace) -> str:
    """Does what was asked; returns what to tell the user."""
    if args.contact_sheet is not None:
        from proxy_tasks.jmlr.synthetic.sheet import contact_sheet

        return str(contact_sheet(args.contact_sheet, seed=args.seed, face_model=args.face_model))
    from proxy_tasks.jmlr.synthetic.dataset import synthesize

    settings = {name: value for name, value in vars(args).items() if name != "contact_sheet"}
    out = synthesize(progress=True, **settings)
    return f"{args.subjects} + {args.test_subjects} people, {args.frames} images of each: {out}"


if __name__ == "__main__":
    sys.exit(main())
