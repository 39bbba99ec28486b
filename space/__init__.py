"""What may be built, and what it costs: specs, plans, budgets and the set that fits a budget.

The names are imported when first used: a command's --help needs none of them, nor numpy.
"""

import space.early  # noqa: F401, I001  before all others

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from space.arch import REFERENCES, ArchSpec
    from space.budget import Budget
    from space.caps import Caps
    from space.design import Space
    from space.feasible import FeasibleSet

__all__ = ["REFERENCES", "ArchSpec", "Budget", "Caps", "FeasibleSet", "Space"]

_HOMES = {
    "REFERENCES": "space.arch",
    "ArchSpec": "space.arch",
    "Budget": "space.budget",
    "Caps": "space.caps",
    "FeasibleSet": "space.feasible",
    "Space": "space.design",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found
