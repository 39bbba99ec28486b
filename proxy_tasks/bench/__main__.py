"""Build and read a table of trained networks.

    python -m proxy_tasks.bench build --table cpu-1.2G --data FACES --test OTHER_FACES --out rows.jsonl
    python -m proxy_tasks.bench query --table cpu-1.2G --rows rows.jsonl
    python -m proxy_tasks.bench score --rows rows.jsonl --data FACES --latency --out scores.jsonl
    python -m proxy_tasks.bench surrogate --rows rows.jsonl
    python -m proxy_tasks.bench name --table cpu-1.2G --rows rows.jsonl --out named
    python -m proxy_tasks.bench build --table gpu-5.1G-confirm --candidates named/*.json --workers 12 ...

Tables (--table):
    cpu-1.2G, gpu-5.1G                      uniform draws and the references: the table itself
    cpu-1.2G-longer                         first what is four times as long in it
    cpu-1.2G-shallow                        draws of at most six blocks a stage, four times as long
    cpu-1.2G-tuning, -noise                 recipes of the control, and how far seeds differ under them
    gpu-5.1G-tuning, mini-tuning            recipes of ResNet-34
    cpu-1.2G-confirm, gpu-5.1G-confirm      a table's candidates and the control on fresh seeds
    cpu-1.2G-steady-confirm, -longer-confirm, -search-confirm, -second-longer-confirm, -drawn-longer
                                            later candidates, longer recipes: docs/findings.md
    cpu-1.2G-table1                         the paper's Table 1

`build` does what is missing in `--out` and may be stopped and started at any time; `--workers 12` trains with
so many processes (of one GPU too), `--part 1/2` takes every second run, for as many machines as there are.
Their files are merged by joining them. `query` prints what is there, `score` adds beside it what needs no
training, `surrogate` says how well models of it predict architectures that they were not fitted to, `name`
writes spec files of who is worth more runs. A "shrunken" error is pulled towards the mean of all draws, the
more the noisier it is. docs/evidence.md says what the tables are for, docs/findings.md what they have shown.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from space.commandline import Parser, a_path, door, parser_of

if TYPE_CHECKING:
    from proxy_tasks.bench.plan import Plan
    from proxy_tasks.bench.rows import Row
    from proxy_tasks.bench.table import RunTable


DOORS = {
    "build": "train what is missing",
    "query": "print what is there",
    "score": "tell what needs no training: zero-cost scores, latency",
    "surrogate": "judge models of it out of sample",
    "name": "write spec files of who is worth more runs",
}


def _parser() -> Parser:
    parser = parser_of("proxy_tasks.bench", __doc__)
    doors = parser.add_subparsers(dest="door", required=True, title="what to do")
    doors_of = (
        doors.add_parser(word, help=what, description=f"{what[0].upper()}{what[1:]}.")
        for word, what in DOORS.items()
    )
    build, query, score, surrogate, name = doors_of
    for each in (build, query, surrogate, name):
        which = each.add_argument_group("which table")
        which.add_argument(
            "--table",
            metavar="NAME",
            default="cpu-1.2G",
            help="python -m proxy_tasks.bench --help lists them (default cpu-1.2G)",
        )
    for each in (build, query):
        each.add_argument_group("who is compared").add_argument(
            "--candidates",
            nargs="+",
            default=[],
            metavar="SPEC",
            help="spec files, where the table names nobody itself (gpu-5.1G-confirm)",
        )
    for each in (query, score, surrogate, name):
        which = each.add_argument_group("which rows")
        which.add_argument(
            "--rows", type=a_path, nargs="+", required=True, metavar="FILE", help="files that build wrote"
        )
        if each in (query, surrogate):
            which.add_argument(
                "--length",
                type=float,
                default=1.0,
                metavar="X",
                help="of runs of X times the recipe's steps (default 1)",
            )
    more = query.add_argument_group("what more")
    more.add_argument(
        "--best", type=int, default=0, metavar="N", help="the N of least shrunken validation error"
    )
    naming = name.add_argument_group("how many, and where to")
    naming.add_argument("--best", type=int, default=1, metavar="N", help="of the table's draws (default 1)")
    naming.add_argument(
        "--predicted",
        type=int,
        default=1,
        metavar="N",
        help="of draws that a model of it predicts (default 1)",
    )
    naming.add_argument("--out", type=a_path, required=True, metavar="DIR", help="folder of the spec files")
    _add_build(build)
    _add_score(score)
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
    how.add_argument(
        "--part",
        default="1/1",
        metavar="I/N",
        help="every N-th run, from the I-th; of runs that decide, every N-th seed",
    )
    how.add_argument("--workers", type=int, default=1, metavar="N", help="processes that train (default 1)")
    how.add_argument(
        "--minutes",
        type=float,
        default=0,
        metavar="M",
        help="begin no run after M minutes (default: no limit)",
    )
    how.add_argument("--at-most", type=int, default=0, metavar="N", help="stop after N runs (default: all)")
    how.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu or cuda")
    how.add_argument("--threads", type=int, default=1, metavar="N", help="of a CPU, each process")


def _add_score(score: argparse.ArgumentParser) -> None:
    what = score.add_argument_group("what of each architecture, and where to")
    what.add_argument("--data", type=a_path, metavar="DIR", help="images to score untrained networks on")
    what.add_argument("--latency", action="store_true", help="time a forward pass: only on a quiet machine")
    what.add_argument("--device", default="auto", metavar="NAME", help="to time on: auto, cpu or cuda (auto)")
    what.add_argument("--threads", type=int, metavar="N", help="of a CPU to time on (all that are granted)")
    what.add_argument("--out", type=a_path, required=True, metavar="FILE", help="appended to: what it lacks")


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit status."""
    work = {"build": _build, "query": _query, "score": _score, "surrogate": _surrogate, "name": _name}
    again = "the same command goes on where it stood"
    return door(_parser, lambda args: work[args.door](args), argv, after_interrupt=again)


def _build(args: argparse.Namespace) -> int:
    from proxy_tasks.bench import rows
    from proxy_tasks.bench.building import Work, outcomes, part_of
    from proxy_tasks.bench.plan import DrawsPlan, LongerPlan, TablePlan, TuningPlan

    part, of = _part(args.part)
    if args.workers < 1 or args.minutes < 0:
        raise ValueError(f"{args.workers} workers and {args.minutes:g} minutes: 1 or more, and not below 0")
    plan, known = _table(args), args.known or []
    if args.test is None and not isinstance(plan, TablePlan | TuningPlan | LongerPlan | DrawsPlan):
        raise ValueError(f"{args.table} is decided on people of another data set: name it with --test")
    entries = list(plan.entries())
    there = {row["key"]: row for row in rows.read(args.out, *known)}
    missing = [entry for entry in part_of(entries, part, of) if entry.key not in there]
    missing = missing[: args.at_most] if args.at_most else missing
    at = {entry.key: number for number, entry in enumerate(entries, 1)}
    failed: list[str] = []
    work = Work(args.data, args.test, args.device, args.threads)
    work.require_data([(entry, there[entry.key]) for entry in entries if entry.key in there])
    for entry, row in outcomes(missing, work, args.workers, 60 * args.minutes):
        about = f"{at[entry.key]}/{len(entries)} {entry.key} {entry.role}"
        if isinstance(row, BaseException):
            failed.append(f"{entry.key} ({row})")
            print(f"{about}: failed, {row}", flush=True)
        else:
            rows.append(args.out, row)
            print(f"{about}: {row['l_error_mm']} mm, {row['seconds']} s", flush=True)
    if not args.at_most:
        print(plan.text(rows.read(args.out, *known)))
    if failed:
        raise RuntimeError(
            f"{len(failed)} of {len(missing)} runs failed, the first {failed[0]}: "
            "the same command tries them again"
        )
    return 0


def _query(args: argparse.Namespace) -> int:
    table = _rows(args)
    print(_table(args).text(table))
    if args.best:
        print(_best(table, args.best, args.length))
    return 0


def _rows(args: argparse.Namespace) -> list[Row]:
    from proxy_tasks.bench import rows

    table = rows.read(*args.rows)
    if not table:
        raise ValueError(f"there are no rows in {', '.join(map(str, args.rows))}: build some first")
    return table


def _best(table: list[Row], count: int, length: float) -> str:
    """The architectures of least shrunken validation error: who deserves to be run again."""
    from proxy_tasks.bench.table import RunTable

    known = RunTable.of(table, length)
    shrunk, own = known.shrunken(), known.own_sd()
    lines = [
        f"{_noises(known)}; uniform draws themselves differ by {own:.2f} mm"
        + ("" if own else ": what was seen is all that orders them"),
        "least validation error, shrunken towards the draws' mean, mm",
    ]
    for i in known.ranking()[:count]:
        lines.append(f"{shrunk[i]:8.2f} {known.roles[i]:14} {known.archs[i].id} ({known.counts[i]} runs)")
    return "\n".join(lines)


def _noises(table: RunTable) -> str:
    """From seed to seed, and what is left of that between runs of one seed."""
    seeds, freedom = table.seed_sd()
    said = f"from one seed to the next {seeds:.2f} mm ({freedom} degrees of freedom)"
    if table.blocks is None:
        return said
    left, freedom = table.run_sd()
    return f"{said}, between runs of one seed {left:.2f} ({freedom})"


def _score(args: argparse.Namespace) -> int:
    from proxy_tasks.bench import rows
    from proxy_tasks.bench.scoring import archs_of, missing
    from proxy_tasks.latency.device import conditions_here

    if args.data is None and not args.latency:
        raise ValueError("nothing to tell: give --data for scores of untrained networks, --latency, or both")
    archs = archs_of(_rows(args))
    conditions = None
    if args.latency:
        conditions = conditions_here(args.device, threads=args.threads, block=archs[0].block)
    count = 0
    for row in missing(archs, {row["key"] for row in rows.read(args.out)}, args.data, conditions):
        rows.append(args.out, row)
        count += 1
    print(f"{args.out}: {count} rows added for {len(archs)} architectures")
    return 0


def _surrogate(args: argparse.Namespace) -> int:
    from proxy_tasks.bench.surrogate import KINDS, out_of_sample
    from proxy_tasks.bench.table import RunTable

    table = RunTable.of(_rows(args), args.length)
    longer = f", {args.length:g} times as long" if args.length != 1 else ""
    print(f"{len(table.archs)} architectures, {table.counts.sum()} runs of {table.proxy}{longer}")
    print("by 10-fold cross-validation over architectures; tau is Kendall's")
    for kind, validations in itertools.product(KINDS, (0, *range(1, len(table.epochs), 2))):
        found = out_of_sample(table, kind, validations=validations)
        known = f", {validations} of {len(table.epochs)} validations known" if validations else ""
        seconds = "" if validations else f", seconds off by {found.seconds_error:.0%} (median)"
        print(
            f"{kind:<7} RMSE {found.rmse_mm:.2f} mm (the mean of all: {found.constant_mm:.2f}), tau "
            f"{found.tau:.2f}{seconds}{known}"
        )
    noise, freedom = table.run_sd()
    print(f"of that RMSE, the noise of a single run is {noise:.2f} mm ({freedom} degrees of freedom)")
    for line in _standings(table, _table(args)):
        print(line)
    return 0


def _standings(table: RunTable, plan: Plan) -> Iterator[str]:
    """Where models expect the control among the draws of the plan; nothing where it is not of that set."""
    from proxy_tasks.bench.plan import TablePlan
    from proxy_tasks.bench.surrogate import KINDS, Standing, Surrogate

    control = next((a for a, role in zip(table.archs, table.roles, strict=True) if role == "control"), None)
    if not isinstance(plan, TablePlan) or control is None or control not in (feasible := plan.feasible()):
        return
    for kind in KINDS:
        found = Standing.of(Surrogate.fit(table, kind), feasible, control)
        (best, unsure), (mean, sd) = found.best_mm, found.control_mm
        yield (
            f"{kind:<7} expects {mean:.2f} ± {sd:.2f} mm of the control, less of {found.below:.1%} of "
            f"{found.draws:,} uniform draws and {best:.2f} ± {unsure:.2f} of the best of them"
        )


def _name(args: argparse.Namespace) -> int:
    from proxy_tasks.bench.naming import best, predicted
    from proxy_tasks.bench.plan import TablePlan
    from proxy_tasks.bench.table import RunTable

    plan = _table(args)
    if not isinstance(plan, TablePlan):
        raise ValueError(f"{args.table} has no draws to name candidates from")
    table = RunTable.of(_rows(args))
    found = best(table, args.best)
    found += predicted(table, plan.feasible(), args.predicted) if args.predicted else []
    args.out.mkdir(parents=True, exist_ok=True)
    for each in found:
        print(f"{each.write(args.out)}: {each.arch.id}, {each.expected_mm:.2f} mm expected")
    return 0


def _table(args: argparse.Namespace) -> Plan:
    from proxy_tasks.bench.confirm import ConfirmPlan
    from proxy_tasks.bench.plan import TABLES
    from space.specfile import read_spec

    if args.table not in TABLES:
        raise ValueError(f"there is no table {args.table!r}: choose {', '.join(TABLES)}")
    plan = TABLES[args.table]
    named = getattr(args, "candidates", [])
    if isinstance(plan, ConfirmPlan):
        return plan.of([read_spec(each) for each in named])
    if named:
        raise ValueError(f"{args.table} compares no candidates: leave --candidates out")
    return plan


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
