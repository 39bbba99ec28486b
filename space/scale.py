"""A reference network brought inside a feasible set: the control of a search.

Its depths are kept (pulled into the space's ranges) and its widths are scaled: of all
widths of the space that bring those depths into the window, the nearest to a common
multiple of the reference's own, by the variance of log(w_i / reference_i); of equals, the
nearest to the budget. That looks at every width, no more than a million or so.

Where no widths do (a window of one FLOP, say), the nearest of 4,096 draws with a fixed
seed stands in, by the distance of the logarithms of depths and widths.
"""

from __future__ import annotations

import numpy as np

from space.arch import REFERENCES, ArchSpec
from space.arrays import Floats
from space.feasible import FeasibleSet
from space.halves import Halves, spec_at, split
from space.plan import STAGES

_DRAWS = 4096


def find_control(feasible: FeasibleSet) -> tuple[ArchSpec, str]:
    """ResNet-34 where it lies in the window, else ResNet-34 brought inside; and what it is called."""
    resnet34 = REFERENCES["resnet34"]
    control = nearest(feasible, resnet34)
    return control, "resnet34" if control == resnet34 else "resnet34-scaled"


def nearest(feasible: FeasibleSet, reference: ArchSpec) -> ArchSpec:
    """The architecture of the window that stands for `reference`: itself where it is inside.

    Caps do not count: a control that is itself too large is what a search under caps is compared with.
    """
    feasible = feasible.window
    if reference in feasible:
        return reference
    return _scaled(feasible, reference) or _lookalike(feasible, reference)


def _scaled(feasible: FeasibleSet, reference: ArchSpec) -> ArchSpec | None:
    ranges = feasible.space.depth_choices
    depths = tuple(
        min(max(depth, choices[0]), choices[-1])
        for depth, choices in zip(reference.depths, ranges, strict=True)
    )
    halves = split(feasible.space.narrowed(min_depth=depths, max_depth=depths))
    logs = [
        np.log(np.array(choices) / width)
        for choices, width in zip(halves.space.width_choices, reference.widths, strict=True)
    ]
    found = [_best_with(halves, w2, logs, feasible) for w2 in range(halves.widths[1])]
    best = min((each for each in found if each is not None), default=None)
    return None if best is None else spec_at(halves, *best[2])


def _best_with(
    halves: Halves, w2: int, logs: list[Floats], feasible: FeasibleSet
) -> tuple[float, int, tuple[int, int, int, int]] | None:
    """(variance, distance from the budget, where) of the best widths with this second width."""
    outer = np.stack([halves.right(w3) for w3 in range(halves.widths[2])])
    macs = halves.left(w2)[:, None, None] + halves.join[w2][:, None] + outer  # (n1, n3, n4)
    budget = feasible.budget
    w1, w3, w4 = np.nonzero((macs >= budget.low) & (macs <= budget.high))
    if not len(w1):
        return None
    deviations = np.stack([logs[0][w1], np.full(len(w1), logs[1][w2]), logs[2][w3], logs[3][w4]])
    variance = deviations.var(axis=0).round(12)  # so that equals are equal
    miss = np.abs(macs[w1, w3, w4] - budget.target)
    at = np.lexsort((miss, variance))[0]
    return float(variance[at]), int(miss[at]), (w2, int(w3[at]), int(w1[at]), int(w4[at]))


def _lookalike(feasible: FeasibleSet, reference: ArchSpec) -> ArchSpec:
    rows = feasible.draw_array(_DRAWS, np.random.default_rng(0))
    wanted = np.log([*reference.depths, *reference.widths])
    row = rows[((np.log(rows) - wanted) ** 2).sum(1).argmin()].tolist()
    return ArchSpec(tuple(row[:STAGES]), tuple(row[STAGES:]), feasible.space.block)
