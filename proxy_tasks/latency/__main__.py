"""What a network takes on this device: calibrate a table of blocks, validate it, predict with it.

    python -m proxy_tasks.latency calibrate                   on the GPU where there is one, else the CPU
    python -m proxy_tasks.latency calibrate --device cpu --threads 1 --mode onnxruntime --batch 8
    python -m proxy_tasks.latency validate                    60 other networks, against FLOPs and activations
    python -m proxy_tasks.latency show resnet34 best.json     what the table predicts

Calibrating takes under five minutes and wants a machine with nothing else to do. The table is kept in the
cache ($JMLR_NAS_CACHE, else ~/.cache/jmlr-nas), one for each device, precision, batch, mode and version of
torch; a table of others is refused. validate takes about two minutes and notes its result in the file.
Exit status: 0 done, 1 the table misses its bars, 2 the request is wrong. docs/latency.md
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from space.commandline import Parser, a_path, door, parser_of
from space.flags import add_budget_flags, add_outputs_flag, add_space_flags
from space.plan import OUTPUTS
from space.telling import doing

BUDGET = "5.1GFLOPs"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    return door(_parser, lambda args: _WORK[args.do](args), argv)


def _parser() -> Parser:
    parser = parser_of("proxy_tasks.latency", __doc__)
    does = parser.add_subparsers(
        dest="do", required=True, metavar="calibrate|validate|show", title="what to do"
    )
    calibrate = does.add_parser("calibrate", help="time networks and make the table")
    validate = does.add_parser("validate", help="time other networks and say how far off the table is")
    show = does.add_parser("show", help="print what the table predicts")
    for each in (calibrate, validate, show):
        conditions = each.add_argument_group("what is timed, and how")
        _add_conditions(conditions)
        conditions.add_argument(
            "--table", type=a_path, metavar="FILE", help="instead of the one in the cache"
        )
    for each, seed in ((calibrate, 0), (validate, 1)):
        networks = each.add_argument_group("which networks")
        add_budget_flags(networks)
        add_space_flags(networks)
        networks.add_argument("--seed", type=int, default=seed, metavar="N", help="of their draw")
        amount = each.add_argument_group("how many, and how loud")
        if each is calibrate:
            amount.add_argument(
                "--seconds", type=float, default=200.0, metavar="S", help="of timing, at most"
            )
        else:
            amount.add_argument("--networks", type=int, default=60, metavar="N", help="to time")
        amount.add_argument("--quiet", action="store_true", help="no progress on stderr")
    asked = show.add_argument_group("of which networks")
    asked.add_argument("arch", nargs="+", metavar="ARCH", help="a reference's name or a spec's file")
    return parser


def _add_conditions(parser: Any) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")
    parser.add_argument("--threads", type=int, metavar="N", help="of a CPU (all that are granted)")
    parser.add_argument("--precision", default="fp32", metavar="NAME", help="fp32 or bf16 (fp32)")
    parser.add_argument("--batch", type=int, default=1, metavar="N", help="images of a forward pass (1)")
    parser.add_argument("--mode", default="eager", help="eager, compiled or onnxruntime (eager)")
    add_outputs_flag(parser)


def _calibrate(args: argparse.Namespace) -> int:
    from proxy_tasks.latency.calibrate import calibrate
    from proxy_tasks.latency.kept import table_file, write

    _check_seed(args)
    conditions, feasible = _conditions(args), _feasible(args)
    path = args.table or table_file(conditions)
    with doing("timing networks"):
        kept = calibrate(feasible, conditions, seconds=args.seconds, seed=args.seed, tick=_tick(args))
    write(path, kept)
    about = kept.about
    print(f"{conditions}, {conditions.software}")
    print(
        f"{about['networks']} networks in {about['seconds']:.0f} s; each predicted from the others within "
        f"{about['left_out_error']:.1%} on average"
        + (f" ({about['dropped']} disturbed ones dropped)" if about["dropped"] else "")
    )
    print(f"table: {path}    check it: python -m proxy_tasks.latency validate, with the same flags")
    return 0


def _validate(args: argparse.Namespace) -> int:
    from proxy_tasks.latency.calibrate import validate
    from proxy_tasks.latency.check import text
    from proxy_tasks.latency.kept import table_file, write

    _check_seed(args)
    if args.networks < 2:
        raise ValueError(f"--networks is at least 2, not {args.networks}")
    kept, path = _kept(args), args.table or table_file(_conditions(args))
    feasible = _feasible(args)
    with doing("timing networks"):
        networks, found, kept = validate(kept, feasible, args.networks, seed=args.seed, tick=_tick(args))
    write(path, kept)
    print(f"{kept.table.conditions}, {kept.table.conditions.software}")
    print(text(found, networks))
    return 0 if found[0].holds else 1


def _show(args: argparse.Namespace) -> int:
    from space.specfile import read_spec

    table = _kept(args).table
    archs = [read_spec(text) for text in args.arch]
    for arch in archs:
        print(f"{table.of(arch):9.2f} ms  {arch.id}")
    return 0


_WORK = {"calibrate": _calibrate, "validate": _validate, "show": _show}


def _conditions(args: argparse.Namespace) -> Any:
    from proxy_tasks.latency.device import conditions_here

    block = getattr(args, "block", None) or "basic"
    return conditions_here(
        args.device,
        threads=args.threads,
        precision=args.precision,
        batch=args.batch,
        mode=args.mode,
        block=block,
        outputs=_outputs(args),
    )


def _outputs(args: argparse.Namespace) -> int:
    from space.flags import space_fields

    return int(space_fields(args).get("outputs", OUTPUTS))


def _kept(args: argparse.Namespace) -> Any:
    """The table asked for; ValueError where it is of other conditions than this machine's."""
    from proxy_tasks.latency.kept import find, read_here

    wanted = _conditions(args)
    if not args.table:
        return find(wanted)
    kept = read_here(args.table)
    kept.table.require(precision=wanted.precision, batch=wanted.batch, mode=wanted.mode)
    return kept


def _check_seed(args: argparse.Namespace) -> None:
    if args.seed < 0:
        raise ValueError(f"--seed is 0 or more, not {args.seed}")


def _feasible(args: argparse.Namespace) -> Any:
    from space.feasible import FeasibleSet
    from space.flags import budget_from, space_from

    args.budget = args.budget or BUDGET
    return FeasibleSet(space_from(args), budget_from(args))


def _tick(args: argparse.Namespace) -> Any:
    if args.quiet or not sys.stderr.isatty():
        return lambda done: None
    return lambda done: print(f"\r{done} readings", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
