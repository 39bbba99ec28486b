"""Compare design spaces, or searches, by the distributions of their errors.

    python -m reports.compare runs/A runs/B [runs/C ...] [--out DIR]

Prints one sentence a pair: is the difference real at these sample sizes. Writes DIR (default
compare-A-B beside the first): index.html, figures/ and tables/. Usual cost: a few seconds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from proxy_tasks.kind import Score
from space.commandline import a_path, door, parser_of

if TYPE_CHECKING:
    from reports.run import Run
    from reports.tables import Section
    from space.commandline import Parser


def parser() -> Parser:
    """The flags of this command."""
    p = parser_of("reports.compare", __doc__)
    what = p.add_argument_group("what to compare")
    what.add_argument("runs", type=a_path, nargs="+", metavar="RUN", help="folders of two or more searches")
    where = p.add_argument_group("where to")
    where.add_argument(
        "--out", type=a_path, metavar="DIR", help="where to write (default compare-A-B beside the first)"
    )
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    return door(parser, _run, argv, after_interrupt="nothing was changed")


def _run(args: argparse.Namespace) -> int:
    from nas.files import remade
    from reports.run import Run, one_score
    from space.outputs import OwnFolder
    from space.telling import doing

    if len(args.runs) < 2:
        raise ValueError(
            f"a comparison needs at least two runs, but got {args.runs[0]} alone: name another one"
        )
    for i, path in enumerate(args.runs):
        if path.resolve() in [other.resolve() for other in args.runs[:i]]:
            raise ValueError(
                f"{path} is named twice, and a run does not differ from itself: name another one"
            )
    runs = [Run.open(path) for path in args.runs]
    score = one_score(runs)
    names = names_of(runs)
    folder = args.out or runs[0].path.parent / ("compare-" + "-".join(names))
    own = OwnFolder.claim(folder, "reports.compare")
    with doing("comparing the runs"):
        sections = gather(runs, names)
    for key, fact in sections[0].facts.items():
        print(("warning: " if key.startswith("warning") else "") + str(fact.value))
    with remade(own) as fresh, doing("drawing the comparison"):
        write(sections, names, fresh, score)
    print(folder / "index.html")
    return 0


def names_of(runs: Sequence[Run]) -> list[str]:
    """Folder names, numbered where two runs share one."""
    names = [run.name for run in runs]
    return [f"{name}-{i}" if names.count(name) > 1 else name for i, name in enumerate(names, 1)]


def gather(runs: Sequence[Run], names: Sequence[str] | None = None) -> list[Section]:
    """The sections of a comparison, in the task's words: answer, distributions, pairs."""
    from reports.run import one_score
    from reports.sections import comparison

    score = one_score(runs)
    return [each.in_words(score) for each in comparison.sections(runs, names or names_of(runs))]


def write(
    sections: Sequence[Section],
    names: Sequence[str],
    folder: Path,
    score: Score = Score(),  # noqa: B008  frozen
) -> Path:
    """The page of a comparison in `folder`; returns its path."""
    from reports.page import write_page

    return write_page(folder, " against ".join(names), sections, "comparison.html.j2", score=score)


if __name__ == "__main__":
    sys.exit(main())
