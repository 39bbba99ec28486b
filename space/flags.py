"""The command-line flags that say which space and which budget, the same for every command."""

from __future__ import annotations

import argparse

from space.budget import TOLERANCE, Budget
from space.design import Space
from space.plan import EXPANSION

_RANGES = {
    "min_depth": "least blocks of a stage",
    "max_depth": "most blocks of a stage",
    "min_width": "least width of a stage",
    "max_width": "greatest width of a stage",
}


def add_budget_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--budget",
        required=True,
        metavar="B",
        help="multiply-adds at 256x256, e.g. 5.1GFLOPs, 5100MFLOPs or 5.1e9",
    )
    parser.add_argument(
        "--tolerance",
        default=str(TOLERANCE),
        metavar="T",
        help=f"share by which an architecture may miss the budget (default {TOLERANCE}, 2 %%)",
    )


def add_space_flags(parser: argparse.ArgumentParser) -> None:
    default = Space()
    group = parser.add_argument_group(
        "space", "one number for all four stages, or four with commas: 4,8,24,4"
    )
    group.add_argument(
        "--block", default=default.block, metavar="NAME", help=f"{' or '.join(EXPANSION)} blocks"
    )
    for name, meaning in _RANGES.items():
        initial = getattr(default, name)[0]
        flag = "--" + name.replace("_", "-")
        group.add_argument(flag, default=str(initial), metavar="N", help=f"{meaning} (default {initial})")
    step = default.width_step
    group.add_argument(
        "--width-step", default=str(step), metavar="N", help=f"widths are multiples of this (default {step})"
    )
    group.add_argument("--free-widths", action="store_true", help="widths may also decrease over the stages")


def budget_from(args: argparse.Namespace) -> Budget:
    """The budget that was asked for; ValueError, one sentence, where it is none."""
    try:
        tolerance = float(args.tolerance)
    except ValueError:
        raise ValueError(f"--tolerance is a share such as 0.02 (2 %), not {args.tolerance!r}") from None
    return Budget.parse(args.budget, tolerance)


def space_from(args: argparse.Namespace) -> Space:
    """The space that was asked for; ValueError, one sentence, where it is none."""
    ranges = {name: _whole_numbers(name, getattr(args, name)) for name in _RANGES}
    (width_step,) = _whole_numbers("width_step", args.width_step, at_most=1)
    bounds = {name: each[0] if len(each) == 1 else each for name, each in ranges.items()}
    return Space(block=args.block, width_step=width_step, free_widths=args.free_widths, **bounds)


def _whole_numbers(name: str, text: str, at_most: int = 4) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in {1, at_most}:
        wanted = "a whole number" if at_most == 1 else "a whole number, or four with commas (4,8,24,4)"
        raise ValueError(f"--{name.replace('_', '-')} is {wanted}, not {text!r}")
    return numbers
