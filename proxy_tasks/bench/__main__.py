"""Build and read a table of trained networks.

    python -m proxy_tasks.bench build --table cpu-1.2G --data FACES --test OTHER_FACES --out rows.jsonl
    python -m proxy_tasks.bench query --table cpu-1.2G --rows rows.jsonl
    python -m proxy_tasks.bench surrogate --rows rows.jsonl

Tables: cpu-1.2G, the recipe's tuning (cpu-1.2G-tuning) and the paper's Table 1 (cpu-1.2G-table1).

`build` does what is missing in `--out`, run by run, and may be stopped and started at any time; `--part 1/2`
takes every second run, for as many processes or machines as there are. Their files are merged by joining
them. `query` prints what is there, `surrogate` how well models of it predict architectures that they were not
fitted to. docs/evidence.md says what the table is for.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from typing import TYPE_CHECKING

from space.commandline import Parser, a_path, door, parser_of

if TYPE_CHECKING:
    from proxy_tasks.bench.plan import Plan
    from proxy_tasks.bench.rows import Row


def _parser() -> Parser:
    parser = parser_of("proxy_tasks.bench", __doc__)
    doors = parser.add_subparsers(dest="door", required=True, title="what to do")
    build = doors.add_parser("build", help="train what is missing")
    query = doors.add_parser("query", help="print what is there")
    surrogate = doors.add_parser("surrogate", help="judge models of it out of sample")
    for each in (build, query):
        which = each.add_argument_group("which table")
        which.add_argument("--table", metavar="NAME", default="cpu-1.2G", help="its plan")
    for each in (query, surrogate):
        which = each.add_argument_group("which rows")
        which.add_argument(
            "--rows", type=a_path, nargs="+", required=True, metavar="FILE", help="files that build wrote"
        )
    query.add_argument_group("what more").add_argument(
        "--best", type=int, default=0, metavar="N", help="the N of least shrunken validation error"
    )
    _add_build(build)
    return parser


def _add_build(build: argparse.ArgumentParser) -> None:
    data = build.add_argument_group("on what, and where to")
    data.add_argument(
        "--data", type=a_path, required=True, metavar="DIR", help="people to train and validate on"
    )
    data.add_argument("--test", type=a_path, metavar="DIR", help="people whom nothing is chosen by")
    data.add_argument("--out", type=a_path, required=True, metavar="FILE", help="rows are appended here")
    data.add_argument(
        "--known",
        type=a_path,
        nargs="+",
        metavar="FILE",
        help="rows of other tables: these runs are not repeated",
    )
    how = build.add_argument_group("how much, and on which device")
    how.add_argument("--part", default="1/1", metavar="I/N", help="every N-th run, from the I-th")
    how.add_argument("--at-most", type=int, default=0, metavar="N", help="stop after N runs (default: all)")
    how.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu or cuda")
    how.add_argument("--threads", type=int, default=1, metavar="N", help="of a CPU")


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit status."""
    work = {"build": _build, "query": _query, "surrogate": _surrogate}
    again = "the same command goes on where it stood"
    return door(_parser, lambda args: work[args.door](args), argv, after_interrupt=again)


def _build(args: argparse.Namespace) -> int:
    import torch

    from proxy_tasks.bench import rows
    from proxy_tasks.bench.run import train

    torch.set_num_threads(args.threads)
    part, of = _part(args.part)
    entries = list(_table(args.table).entries())
    done, known = 0, args.known or []
    for number, entry in enumerate(entries):
        if number % of != part or entry.key in {row["key"] for row in rows.read(args.out, *known)}:
            continue
        row = train(entry, args.data, args.test, args.device)
        rows.append(args.out, row)
        done += 1
        score = f"{row['l_error_mm']} mm, {row['seconds']} s"
        print(f"{number + 1}/{len(entries)} {entry.key} {entry.role}: {score}", flush=True)
        if done == args.at_most:
            return 0
    print(_table(args.table).text(rows.read(args.out, *known)))
    return 0


def _query(args: argparse.Namespace) -> int:
    from proxy_tasks.bench import rows

    table = rows.read(*args.rows)
    if not table:
        raise ValueError(f"there are no rows in {', '.join(map(str, args.rows))}: build some first")
    print(_table(args.table).text(table))
    if args.best:
        print(_best(table, args.best))
    return 0


def _best(table: list[Row], count: int) -> str:
    """The architectures of least shrunken validation error: who deserves to be run again."""
    from proxy_tasks.bench.table import RunTable

    known = RunTable.of(table)
    shrunk = known.shrunken()
    noise, freedom = known.seed_sd()
    lines = [
        f"from one seed to the next {noise:.2f} mm ({freedom} degrees of freedom); uniform draws themselves "
        f"differ by {known.own_sd():.2f} mm",
        "least validation error, shrunken towards the draws' mean, mm",
    ]
    for i in shrunk.argsort()[:count]:
        lines.append(f"{shrunk[i]:8.2f} {known.roles[i]:14} {known.archs[i].id} ({known.counts[i]} runs)")
    return "\n".join(lines)


def _surrogate(args: argparse.Namespace) -> int:
    from proxy_tasks.bench import rows
    from proxy_tasks.bench.surrogate import KINDS, out_of_sample
    from proxy_tasks.bench.table import RunTable

    table = RunTable.of(rows.read(*args.rows))
    noise, freedom = table.seed_sd()
    print(f"{len(table.archs)} architectures, {table.counts.sum()} runs of {table.proxy}")
    print("by 10-fold cross-validation over architectures; tau is Kendall's")
    for kind, validations in itertools.product(KINDS, (0, *range(1, len(table.epochs), 2))):
        found = out_of_sample(table, kind, validations=validations)
        known = f", {validations} of {len(table.epochs)} validations known" if validations else ""
        seconds = "" if validations else f", seconds off by {found.seconds_error:.0%} (median)"
        print(
            f"{kind:<7} RMSE {found.rmse_mm:.2f} mm (the mean of all: {found.constant_mm:.2f}), tau "
            f"{found.tau:.2f}{seconds}{known}"
        )
    print(f"of that RMSE, the seed of a single run is {noise:.2f} mm ({freedom} degrees of freedom)")
    return 0


def _table(name: str) -> Plan:
    from proxy_tasks.bench.plan import TABLES

    if name not in TABLES:
        raise ValueError(f"there is no table {name!r}: choose {', '.join(TABLES)}")
    return TABLES[name]


def _part(text: str) -> tuple[int, int]:
    try:
        part, of = (int(each) for each in text.split("/"))
    except ValueError:
        part, of = 0, 0
    if not 1 <= part <= of:
        raise ValueError(f"a part is I/N with I from 1 to N, such as 1/2, not {text!r}")
    return part - 1, of


if __name__ == "__main__":
    sys.exit(main())
