"""The command-line flags that say which space, budget and caps, for every command that takes them.

A flag that is not given is None or absent, and the default is the field's own.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from space.budget import TOLERANCE, Budget
from space.caps import EXAMPLES, Caps, flag
from space.design import Space
from space.plan import EXPANSION, OUTPUTS

if TYPE_CHECKING:
    from space.feasible import FeasibleSet
    from space.latency import LatencyModel

_RANGES = {
    "min_depth": "least blocks of a stage",
    "max_depth": "most blocks of a stage",
    "min_width": "least width of a stage",
    "max_width": "greatest width of a stage",
}
_CAPS = {
    "params": "parameters",
    "activations": "elements in the outputs of all convolutions at 256x256",
    "latency": "time of a forward pass by the latency table",
}


def add_budget_flags(parser: Any) -> None:
    """`parser` is an ArgumentParser or a group of one."""
    parser.add_argument(
        "--budget", metavar="FLOPS", help="multiply-adds at 256x256, e.g. 5.1GFLOPs, 5100MFLOPs or 5.1e9"
    )
    help_ = f"share by which an architecture may miss the budget (default {TOLERANCE}, 2 %%)"
    parser.add_argument("--tolerance", metavar="SHARE", help=help_)


def add_space_flags(parser: Any) -> None:
    """`parser` is an ArgumentParser or a group of one."""
    default = Space()
    blocks = " or ".join(EXPANSION)
    parser.add_argument("--block", metavar="NAME", help=f"{blocks} blocks (default {default.block})")
    for name, meaning in _RANGES.items():
        help_ = f"{meaning} (default {getattr(default, name)[0]})"
        parser.add_argument(_flag(name), metavar="N[,N,N,N]", help=help_)
    help_ = f"widths are multiples of this (default {default.width_step})"
    parser.add_argument("--width-step", metavar="N", help=help_)
    help_ = "widths may also decrease over the stages"
    parser.add_argument("--free-widths", action="store_true", default=None, help=help_)


def add_outputs_flag(parser: Any) -> None:
    """`parser` is an ArgumentParser or a group of one."""
    help_ = f"of the last linear layer, which the task has (default {OUTPUTS:,}, those of JMLR)"
    parser.add_argument("--outputs", metavar="N", help=help_)


def add_cap_flags(parser: Any) -> None:
    """`parser` is an ArgumentParser or a group of one."""
    for name, meaning in _CAPS.items():
        help_ = f"most {meaning}, e.g. {EXAMPLES[name]}, or 1.2x: 1.2 times the control's"
        parser.add_argument(flag(name), metavar="CAP", help=help_)


def budget_from(args: argparse.Namespace) -> Budget:
    """The budget that was asked for; ValueError, one sentence, where it is none."""
    text, share = getattr(args, "budget", None), getattr(args, "tolerance", None)
    if text is None:
        raise ValueError("--budget is missing; give for example --budget 5.1GFLOPs")
    try:
        tolerance = TOLERANCE if share is None else float(share)
    except ValueError:
        raise ValueError(f"--tolerance is a share such as 0.02 (2 %), not {share!r}") from None
    return Budget.parse(text, tolerance)


def cap_texts(args: argparse.Namespace) -> dict[str, str]:
    """The caps that were asked for as they were written, for Caps.parse, by name."""
    given = {name: getattr(args, f"max_{name}", None) for name in _CAPS}
    return {name: text for name, text in given.items() if text is not None}


def capped(window: FeasibleSet, texts: Mapping[str, str], model: LatencyModel | None = None) -> FeasibleSet:
    """The part of a window that keeps these caps, relative ones to its control; ValueError, one sentence."""
    from space.scale import find_control

    if not texts:
        return window
    return window.within(Caps.parse(texts, find_control(window)[0], model, window.space.outputs))


def space_fields(args: argparse.Namespace) -> dict[str, Any]:
    """Those of Space's fields that were given, as to_dict would write them; ValueError for no numbers."""
    names = (*_RANGES, "width_step", "block", "free_widths", "outputs")
    given = {name: getattr(args, name, None) for name in names}
    fields = {name: value for name, value in given.items() if value is not None}
    for name in fields.keys() & {*_RANGES, "width_step", "outputs"}:
        fields[name] = _whole_numbers(name, fields[name])
    return fields


def space_from(args: argparse.Namespace) -> Space:
    """The space that was asked for; ValueError, one sentence, where it is none."""
    return Space.from_dict(space_fields(args))


def _whole_numbers(name: str, text: str) -> int | list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) == 1:
        return numbers[0]
    if name in _RANGES and len(numbers) == 4:
        return numbers
    wanted = "a whole number, or four with commas (4,8,24,4)" if name in _RANGES else "a whole number"
    raise ValueError(f"{_flag(name)} is {wanted}, not {text!r}")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
