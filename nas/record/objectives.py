"""What a search minimises beside L_error: one more cost of an architecture, which no training run can change.

    latency       milliseconds of a forward pass, by the latency table of the search
    params        learnable parameters
    activations   elements of the convolutions' outputs at 256x256 (Radosavovic et al. 2020)

FLOPs are none: the budget fixes them. tests/test_search_objectives.py
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from space.arch import ArchSpec
from space.arrays import Floats, Ints
from space.cost import ACTIVATIONS, PARAMS, costs
from space.plan import OUTPUTS

if TYPE_CHECKING:
    from space.latency import LatencyModel

ERROR = "l_error"
SECOND = {"latency": "ms", "params": "M parameters", "activations": "M activations"}  # with their units
_MEASURES = {"params": PARAMS, "activations": ACTIVATIONS}


@dataclass(frozen=True, slots=True)
class Cost:
    """A second objective: its name, and the table where it is latency."""

    name: str
    table: LatencyModel | None = None
    outputs: int = OUTPUTS  # of the networks

    def __post_init__(self) -> None:
        if self.name == "latency" and self.table is None:
            raise ValueError(
                "--objectives l_error,latency needs a latency table of this device: measure one with "
                "python -m proxy_tasks.latency calibrate"
            )

    @property
    def unit(self) -> str:
        return SECOND[self.name]

    def rows(self, block: str, rows: Ints) -> Floats:
        """(n,) costs in `unit` of architectures of `block` blocks, (n, 8): d_1..d_4, w_1..w_4."""
        if self.table is not None:
            return self.table(block, rows)
        found: Floats = costs(block, rows, _MEASURES[self.name], outputs=self.outputs) / 1e6
        return found

    def of(self, arch: ArchSpec) -> float:
        """The cost of one architecture, in `unit`."""
        return float(self.rows(arch.block, np.array([[*arch.depths, *arch.widths]]))[0])


def second_of(objectives: str) -> str | None:
    """The cost that --objectives names beside l_error; None for l_error alone; ValueError for all else."""
    names = [name.strip() for name in objectives.split(",")]
    known = ", ".join(SECOND)
    for name in names:
        if name != ERROR and name not in SECOND:
            raise ValueError(f"--objectives knows {ERROR} and one of {known}, not {name!r}")
    if names == [ERROR]:
        return None
    if len(names) != 2 or names.count(ERROR) != 1:
        raise ValueError(
            f"--objectives is {ERROR}, or {ERROR} and one of {known}: {ERROR},latency, not {objectives!r}"
        )
    return next(name for name in names if name != ERROR)
