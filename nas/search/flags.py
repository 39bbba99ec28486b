"""The command line of nas.search: one flag for each field of SearchConfig, and how to run it."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

from nas.search.config import HOW, WHAT, WHERE, SearchConfig
from space.commandline import Parser, a_path
from space.flags import add_cap_flags, add_space_flags, space_fields

_BESIDE = ("the space, for all stages or for each", "caps beside the budget")


def parser(description: str) -> Parser:
    """The flags of this command."""
    first, _, rest = description.partition("\n")
    made = Parser(
        prog="python -m nas.search",
        description=first,
        epilog=rest,
        argument_default=argparse.SUPPRESS,
    )
    groups = {name: made.add_argument_group(name) for name in (WHAT, *_BESIDE, HOW, WHERE)}
    add_space_flags(groups["the space, for all stages or for each"])
    add_cap_flags(groups["caps beside the budget"])
    for each in fields(SearchConfig):
        if each.metadata:
            name = f"--{each.name.replace('_', '-')}"
            groups[each.metadata["group"]].add_argument(name, **each.metadata["argparse"])
    _how_to_run(groups[WHERE])
    return made


def _how_to_run(group: Any) -> None:
    """Flags of this command that are no part of the search: it may be gone on with under others."""
    group.add_argument(
        "--out", type=a_path, metavar="DIR", help="run directory (default runs/<time>-<budget>)"
    )
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
    if "objective" in values and "task" in values:
        raise ValueError("--task is not read by an --objective, which is one itself: leave one of them out")
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
