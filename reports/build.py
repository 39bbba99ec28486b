"""The report of a search, from its run directory alone.

    python -m reports.build runs/NAME

Writes runs/NAME/report/: index.html (self-contained, opens from disk), figures/ as PNG and SVG, tables/ as
CSV. Works while the search runs. Usual cost: under a minute for 1,000 trials, of which up to 12 s measure
latencies.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from space.commandline import a_path, door, parser_of

if TYPE_CHECKING:
    from reports.run import Run
    from reports.tables import Section, Table
    from space.commandline import Parser


def parser() -> Parser:
    """The flags of this command."""
    p = parser_of("reports.build", __doc__)
    what = p.add_argument_group("what to report")
    what.add_argument("run", type=a_path, metavar="RUN", help="folder of a search, finished or running")
    what.add_argument(
        "--predictions",
        type=a_path,
        metavar="FILE.npz",
        help="of nas.predict --split val (default: those in RUN)",
    )
    where = p.add_argument_group("where to")
    where.add_argument("--out", type=a_path, metavar="DIR", help="where to write (default RUN/report)")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    return door(parser, _run, argv, after_interrupt="nothing was changed")


def _run(args: argparse.Namespace) -> int:
    from reports.run import Run

    print(build(Run.open(args.run), args.out, [args.predictions] if args.predictions else []))
    return 0


def build(run: Run, folder: Path | None = None, predictions: Sequence[Path] = ()) -> Path:
    """Write the report of `run` into `folder` (default: its own report/); returns the page.

    ValueError for a folder that holds files of others.
    """
    from nas.files import remade
    from proxy_tasks.kind import Score
    from reports.latency import CACHE
    from reports.page import write_page
    from space.outputs import OwnFolder
    from space.telling import doing

    inside = folder is None
    folder = folder or run.path / "report"
    with remade(OwnFolder.claim(folder, "reports.build", inside=inside)) as fresh:
        if (folder / CACHE).is_file():
            shutil.copy(folder / CACHE, fresh)
        with doing("drawing the report's figures"):
            sections = gather(run, fresh, predictions)
            title, score = f"Search report: {run.name}", Score.of(run.info)
            write_page(fresh, title, sections, "report.html.j2", score=score)
    return folder / "index.html"


def gather(run: Run, folder: Path, predictions: Sequence[Path] = ()) -> list[Section]:
    """Every section of the report, in its order and the task's words; `folder` keeps what was measured."""
    from nas.record.select import select
    from proxy_tasks.kind import Score
    from reports.sections import (
        answer,
        errors,
        final,
        front,
        happened,
        learning,
        matters,
        population,
        redistribution,
        tradeoffs,
        where,
    )
    from reports.standing import at_own_proxy

    selection = select(run.records)
    later = (front.section(run, selection), final.section(run), errors.section(run, predictions))
    own = at_own_proxy(run, selection)
    first = answer.section(run, selection)
    found = [
        replace(first, tables=(*first.tables, trials(run))),
        population.section(run, own),
        where.section(run, own),
        redistribution.section(run, own),
        tradeoffs.section(run, own, folder),
        learning.section(run, own),
        matters.section(run, selection),
        happened.section(run, selection),
    ]
    sections = [*found[:1], *(section for section in later if section), *found[1:]]
    return [section.in_words(Score.of(run.info)) for section in sections]


def trials(run: Run) -> Table:
    """Every run with every property: what the figures are drawn from."""
    from reports.axes import AXES
    from reports.tables import Column, Table

    words = ("study", "role", "state", "fidelity", "name", "reason", "started", "finished", "hardware")
    numbers = ("number", "round", "seed")
    columns = [Column("architecture", "architecture"), *(Column(k, k) for k in words)]
    columns += [Column(k, k, "d") for k in numbers]
    columns += [Column.of(key) for key in AXES if key != "latency_ms"]
    columns += [Column("last_epoch", "epochs", ".3g"), Column("last_mm", "last L_error (mm)", ".2f")]
    rows = []
    for record in run.records:
        row = {"architecture": record.arch.id, **{key: getattr(record, key) for key in (*words, *numbers)}}
        row |= {key: axis.get(record) for key, axis in AXES.items() if key != "latency_ms"}
        if record.curve:
            row |= {"last_epoch": record.curve[-1][0], "last_mm": record.curve[-1][1]}
        rows.append(row)
    return Table.make("trials", columns, rows)


if __name__ == "__main__":
    sys.exit(main())
