"""The command line of nas.search: one flag for each field of SearchConfig, and how to run it."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from typing import Any

from nas.search.config import SearchConfig
from space.commandline import Parser, a_path
from space.flags import add_cap_flags, add_space_flags, space_fields


def parser(description: str) -> Parser:
    """The flags of this command."""
    first, _, rest = description.partition("\n")
    made = Parser(
        prog="python -m nas.search",
        description=first,
        epilog=rest,
        argument_default=argparse.SUPPRESS,
    )
    _what(made.add_argument_group("what to search"))
    add_space_flags(made.add_argument_group("the space, for all stages or for each"))
    add_cap_flags(made.add_argument_group("caps beside the budget"))
    _how(made.add_argument_group("how to search"))
    _where(made.add_argument_group("on what, and where to"))
    return made


def _what(group: Any) -> None:
    group.add_argument(
        "--budget", metavar="FLOPS", help="multiply-adds at 256x256, e.g. 5.1GFLOPs (required)"
    )
    group.add_argument("--tolerance", type=float, metavar="SHARE", help="of the budget, either way (0.02)")
    group.add_argument(
        "--task", metavar="NAME", help="what is learnt: jmlr, or your own by MODULE:NAME (jmlr)"
    )
    group.add_argument(
        "--data", metavar="DIR", help="the task's data set (default: its own, such as synthetic faces)"
    )
    group.add_argument(
        "--proxy", metavar="NAME|FILE", help="mini, short, full or a JSON file (by the device)"
    )
    group.add_argument(
        "--objective", metavar="MODULE:CLASS", help="what a trial runs, e.g. nas.trials.standin:Standin"
    )
    group.add_argument("--objective-args", type=_json_object, metavar="JSON", help="its arguments")


def _how(group: Any) -> None:
    group.add_argument(
        "--objectives",
        metavar="NAMES",
        help="l_error,latency for a front; also params, activations (l_error)",
    )
    group.add_argument(
        "--latency-table",
        metavar="FILE",
        help="of python -m proxy_tasks.latency (this device's in the cache)",
    )
    group.add_argument("--strategy", metavar="NAME", help="random, qmc, tpe, gp or evolution (tpe)")
    group.add_argument(
        "--per-second", action="store_true", help="tpe: weigh gain by the predicted time of a run (off)"
    )
    group.add_argument("--scheduler", metavar="NAME", help="none, or asha to stop poor runs early (none)")
    group.add_argument(
        "--trials", type=int, metavar="N", help="architectures to propose (64; 4 without a GPU)"
    )
    group.add_argument(
        "--rounds", type=int, metavar="N", help="2: narrow the space by the first half's best (1)"
    )
    group.add_argument(
        "--seed-arch", action="append", metavar="NAME|FILE", help="propose this first; repeatable"
    )
    group.add_argument(
        "--warm-start", action="append", metavar="RUN|FILE", help="learn from these runs first; repeatable"
    )
    group.add_argument(
        "--repeats", type=int, metavar="N", help="seeds of the control and of each finalist (3)"
    )
    group.add_argument(
        "--finalists", type=int, metavar="N", help="architectures to re-run (8; 1 without a GPU)"
    )
    group.add_argument(
        "--race-epochs", type=float, metavar="X", help="re-run the tied for X times as long (2; 1)"
    )
    group.add_argument("--seed", type=int, metavar="N", help="of proposals and first runs (0)")
    group.add_argument(
        "--max-hours", type=float, metavar="H", help="leave time to re-run control and best within H"
    )


def _where(group: Any) -> None:
    group.add_argument("--launcher", metavar="NAME", help="ray, or inprocess for one run after another (ray)")
    group.add_argument("--ray-address", metavar="ADDRESS", help="join a Ray cluster, e.g. auto")
    group.add_argument(
        "--gpus-per-trial", metavar="F", help="whole, a slice 1/n, or auto by predicted memory (1)"
    )
    group.add_argument(
        "--cpus-per-trial", type=float, metavar="F", help="cores, and torch threads (a fair share)"
    )
    group.add_argument(
        "--launch-steps",
        metavar="WAY",
        help="how training steps reach a GPU: eager, graphs, compiled or compiled-graphs (auto; docs/gpu.md)",
    )
    group.add_argument("--storage", metavar="URL", help="any Optuna storage (default: a journal in the run)")
    group.add_argument("--out", type=a_path, metavar="DIR", help="run directory (runs/<time>-<budget>)")
    group.add_argument(
        "--resume", action="store_true", default=False, help="go on with --out or the newest run"
    )
    group.add_argument(
        "--dry-run", action="store_true", default=False, help="predict the cost, train nothing"
    )
    group.add_argument(
        "--quiet", action="store_true", default=False, help="print the answer and nothing else"
    )


def to_config(given: argparse.Namespace) -> SearchConfig:
    """The config of a new search; ValueError where the budget is missing."""
    values = fields_given(given)
    if "budget" not in values:
        raise ValueError(
            "--budget is missing: give the multiply-adds to search at, such as --budget 5.1GFLOPs"
        )
    if "objective" in values and "data" in values:
        raise ValueError("--data is not read by an --objective, which brings its own: leave one of them out")
    return SearchConfig(**values)


def fields_given(given: argparse.Namespace) -> dict[str, Any]:
    """Those of SearchConfig's fields that were given; what is left says how to run."""
    known = {field.name for field in fields(SearchConfig)}
    values = {name: value for name, value in vars(given).items() if name in known}
    if space := space_fields(given):
        values["space"] = space
    for several in {"seed_arch", "warm_start"} & set(values):
        values[several] = tuple(values[several])
    return values


def _json_object(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except json.JSONDecodeError:
        values = None
    if not isinstance(values, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON object such as '{{\"noise_mm\": 0.2}}'")
    return values
