"""Write a data set of synthetic faces in the challenge's layout.

    python -m proxy_tasks.synthesize --out faces --subjects 300 --frames 5

takes about half a minute a core for these 1,500 images of 800 x 800 pixels and writes image/, info/,
68landmarks/, list/ and resources/ under the folder, all at once when it is complete. The same seed gives
the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m proxy_tasks.synthesize", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", required=True, help="new or empty folder for the data set"
    )
    parser.add_argument("--subjects", type=int, default=300, help="people with labels (default 300)")
    parser.add_argument("--test-subjects", type=int, default=0, help="people without labels (default 0)")
    parser.add_argument("--frames", type=int, default=5, help="images of each person (default 5)")
    parser.add_argument("--size", type=int, default=800, help="image side, pixels (default 800)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")
    parser.add_argument(
        "--face-model", type=Path, metavar="NPZ", help="another morphable model (docs/faces.md)"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    from proxy_tasks.jmlr.synthetic.dataset import synthesize

    try:
        out = synthesize(progress=True, **vars(args))
    except ValueError as error:
        print(f"synthesize: {error}", file=sys.stderr)
        return 2
    except (OSError, RuntimeError) as error:
        print(f"synthesize: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("synthesize: interrupted, nothing was written; run the same command again.", file=sys.stderr)
        return 130
    print(f"{args.subjects} + {args.test_subjects} people, {args.frames} images each: {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
