"""Say what is wrong with a data set in the WCPA layout: what, where, and how many.

    python -m proxy_tasks.check DATA [--json] [--limit N] [--overlay FILE.png]

Reads every file once, in parallel, and writes nothing but the overlay: a picture of crops with the
projected vertices drawn over them, mirrored ones too. Exit status: 0 nothing wrong, 1 problems found,
2 not a data set. About 550 images of 800 x 800 pixels a second a core.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from space.commandline import Parser, a_path, door
from space.machine import cores

MOST_WORKERS = 512  # threads; more only wait for each other


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    return door(_parser, _run, argv)


def _run(args: argparse.Namespace) -> int:
    from proxy_tasks.jmlr.wcpa.dataset import SPLITS, WcpaDataset, list_file
    from proxy_tasks.jmlr.wcpa.faults import find_faults

    _check_request(args)
    present = [split for split in SPLITS if list_file(args.data, split).is_file()]
    dataset = WcpaDataset.open(args.data, present[:1] or SPLITS, check_files=False)
    faults = find_faults(dataset, workers=args.workers or cores(), progress=True, limit_px=args.pixels)
    report = _report(dataset, faults, args.limit)
    print(json.dumps(report, indent=1) if args.json else _text(report))
    if args.overlay:
        _write_overlay(dataset, {fault.where for fault in faults}, args.overlay)
    return 1 if faults else 0


def _parser() -> Parser:
    parser = Parser(
        prog="python -m proxy_tasks.check",
        description="Say what is wrong with a data set in the WCPA layout.",
    )
    what = parser.add_argument_group("what to check")
    what.add_argument("data", type=a_path, metavar="DATA", help="the data set's folder")
    how = parser.add_argument_group("how to say it")
    how.add_argument("--json", action="store_true", help="a JSON object instead of text")
    how.add_argument("--limit", type=int, default=3, metavar="N", help="examples of each problem (default 3)")
    what.add_argument(
        "--pixels",
        type=float,
        default=5.0,
        metavar="PX",
        help="farthest median landmark distance (default 5)",
    )
    what.add_argument("--workers", type=int, default=0, metavar="N", help="threads (default one a core)")
    how.add_argument("--overlay", type=a_path, metavar="FILE.png", help="draw vertices over twelve crops")
    return parser


def _check_request(args: argparse.Namespace) -> None:
    """ValueError, one sentence, for numbers and names that cannot be meant."""
    from proxy_tasks.pictures import require_place

    if not 0 <= args.workers <= MOST_WORKERS:
        raise ValueError(
            f"--workers is 1 or more, up to {MOST_WORKERS}, or 0 for one a core, not {args.workers}"
        )
    if not args.pixels >= 0:
        raise ValueError(f"--pixels is 0 or more, not {args.pixels}")
    if args.limit < 0:
        raise ValueError(f"--limit is 0 or more, not {args.limit}")
    if args.overlay:
        require_place(args.overlay, "--overlay")


def _report(dataset: Any, faults: Sequence[Any], limit: int) -> dict[str, Any]:
    problems: dict[str, dict[str, Any]] = {}
    for kind, where, detail in faults:
        problem = problems.setdefault(kind, {"count": 0, "examples": []})
        problem["count"] += 1
        if len(problem["examples"]) < limit:
            problem["examples"].append({"where": where, "detail": detail})
    return {
        "path": str(dataset.path),
        "id": dataset.id,
        "vertices": dataset.topology.vertex_count,
        "triangles": len(dataset.topology.triangles),
        "splits": {
            split: {"images": len(rows), "subjects": len(dataset.subjects(split))}
            for split, rows in dataset.rows.items()
        },
        "clean": not faults,
        "problems": problems,
    }


def _text(report: dict[str, Any]) -> str:
    splits = ", ".join(
        f"{split} {counts['images']} images of {counts['subjects']} subjects"
        for split, counts in report["splits"].items()
    )
    lines = [f"{report['path']}: {splits}; {report['vertices']} vertices, {report['triangles']} triangles"]
    for kind, problem in sorted(report["problems"].items(), key=lambda item: -item[1]["count"]):
        lines.append(f"{problem['count']:8d}  {kind}")
        lines += [f"          {example['where']}: {example['detail']}" for example in problem["examples"]]
        hidden = problem["count"] - len(problem["examples"])
        if hidden:
            lines.append(f"          and {hidden} more")
    return "\n".join([*lines, "no problems found"] if report["clean"] else lines)


def _write_overlay(dataset: Any, faulty: set[str], path: Path) -> None:
    from proxy_tasks.jmlr.crops.label_sheet import sheet, spread_rows
    from proxy_tasks.pictures import write_picture

    whole = [row for row in dataset.rows.get("train", ()) if str(row) not in faulty]
    if not whole:
        print("no training image is whole, so there is nothing to draw", file=sys.stderr)
        return
    write_picture(path, sheet(dataset, spread_rows(whole, 12)), "--overlay")
    print(f"drew {path}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
