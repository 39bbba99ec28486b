"""FeasibleSet: every architecture of a space inside a budget; count, draws, unit cube.

The hinge of a search: `from_unit` takes any point of [0, 1]^8 to an architecture inside the
budget, so any sampler of plain floats proposes feasible architectures and nothing else, and
no penalty or rejection is needed. Uniform points give exactly uniform architectures
(space/cells.py says how).

The order of the unit coordinates is fixed: w_2, w_3, w_1, d_1, d_2, w_4, d_3, d_4, each
given the ones before it. Tables of architectures hold d_1..d_4, w_1..w_4.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from space.arch import ArchSpec
from space.arrays import Floats, Ints, Mask
from space.budget import Budget, rounded_flops
from space.cost import costs
from space.design import Space
from space.halves import Halves, split
from space.index import build_index, closest
from space.indexfile import load_or_build
from space.rows import holds, positions_of, rows_at, specs
from space.walk import COORDINATES, Walk


class FeasibleSet:
    """The architectures of `space` inside `budget`; ValueError where there are none.

    The index behind it is kept in the cache directory (space/machine.py) unless `cache` is False.
    """

    def __init__(self, space: Space, budget: Budget, *, cache: bool = True) -> None:
        self.space, self.budget, self._cache = space, budget, cache
        halves, window = split(space), (budget.low, budget.high)
        index = load_or_build(halves, *window) if cache else build_index(halves, *window)
        if index.count == 0:
            raise ValueError(_why_empty(halves, budget))
        self._walk = Walk(halves, index, *window)

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.space, self.budget, self._cache)

    def __repr__(self) -> str:
        return f"FeasibleSet({self.space!r}, {self.budget!r})"

    @property
    def count(self) -> int:
        """Number of architectures, exact."""
        return self._walk.index.count

    @property
    def id(self) -> str:
        """Short and stable: sets of the same space and window, and only they, share it."""
        text = f"{self.space.id} {self.budget.low} {self.budget.high}"
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def __contains__(self, spec: ArchSpec) -> bool:
        return spec in self.space and spec.macs() in self.budget

    def holds(self, rows: Ints) -> Mask:
        """(n,) whether each architecture of a table, (n, 8), is in the set."""
        rows = np.asarray(rows)
        inside = holds(self.space, rows)
        macs = costs(self.space.block, rows[inside])
        inside[inside] = (macs >= self.budget.low) & (macs <= self.budget.high)
        return inside

    def smallest(self) -> ArchSpec:
        """The architecture of the set with the fewest multiply-adds."""
        return self._extreme(self.budget.low, above=True)

    def largest(self) -> ArchSpec:
        """The architecture of the set with the most multiply-adds."""
        return self._extreme(self.budget.high, above=False)

    def draw(self, n: int, rng: np.random.Generator) -> list[ArchSpec]:
        """`n` architectures, independent and exactly uniform over the set."""
        return specs(self.space, self.draw_array(n, rng))

    def draw_array(self, n: int, rng: np.random.Generator) -> Ints:
        """The same as a table, (n, 8) int64."""
        ranks = rng.integers(0, self.count, n)
        order = np.argsort(ranks)
        rows = np.empty((n, 8), np.int64)
        rows[order] = rows_at(self.space, self._walk.from_ranks(ranks[order]))
        return rows

    def from_unit(self, point: Sequence[float] | Floats) -> ArchSpec:
        """The architecture whose cell holds this point of [0, 1]^8."""
        return specs(self.space, self.from_unit_array(np.asarray(point, np.float64)[None]))[0]

    def from_unit_array(self, points: Floats) -> Ints:
        """(n, 8) points of the unit cube to a table of architectures, (n, 8) int64."""
        points = np.asarray(points, np.float64)
        if points.ndim != 2 or points.shape[1] != len(COORDINATES):
            raise ValueError(f"a point has {len(COORDINATES)} coordinates, but got shape {points.shape[1:]}")
        if not ((points >= 0) & (points <= 1)).all():
            raise ValueError("a point's coordinates lie in [0, 1], but some of these do not")
        return rows_at(self.space, self._walk.from_points(points))

    def to_unit(self, spec: ArchSpec) -> tuple[float, ...]:
        """The centre of an architecture's cell; from_unit takes it back exactly."""
        if spec not in self.space:
            raise ValueError(f"{spec.id} is not in the set: it lies outside its space, {self.space}")
        if spec not in self:
            raise ValueError(
                f"{spec.id} is not in the set: it costs {rounded_flops(spec.macs())}, outside {self.budget}"
            )
        return tuple(self.to_unit_array(np.array([[*spec.depths, *spec.widths]]))[0].tolist())

    def to_unit_array(self, rows: Ints) -> Floats:
        """(n, 8) table of architectures of the set to the centres of their cells, (n, 8) floats."""
        rows = np.asarray(rows)
        if outside := np.count_nonzero(~self.holds(rows)):
            raise ValueError(f"{outside} of {len(rows)} architectures are not in the set and have no point")
        return self._walk.to_points(positions_of(self.space, rows))

    def _extreme(self, macs: int, *, above: bool) -> ArchSpec:
        spec = closest(self._walk.halves, macs, above=above)
        assert spec is not None, "the set is not empty"
        return spec


def _why_empty(halves: Halves, budget: Budget) -> str:
    cheapest, dearest = closest(halves, 0, above=True), closest(halves, 2**53, above=False)
    assert cheapest is not None and dearest is not None, "a space is never empty"
    if cheapest.macs() > budget.high:
        return (
            f"no architecture of the space fits {budget} at 256x256: the smallest, {cheapest.id}, needs "
            f"{rounded_flops(cheapest.macs())}; raise the budget or lower min_depth, min_width or width_step"
        )
    if dearest.macs() < budget.low:
        return (
            f"no architecture of the space is as large as {budget} at 256x256: the largest, {dearest.id}, "
            f"has {rounded_flops(dearest.macs())}; lower the budget or raise max_depth or max_width"
        )
    below, above = closest(halves, budget.low, above=False), closest(halves, budget.high, above=True)
    assert below is not None and above is not None, "the window lies between two architectures"
    return (
        f"no architecture of the space lies within {budget}: the nearest are {below.id} with "
        f"{below.macs():,} FLOPs and {above.id} with {above.macs():,}; raise the tolerance or move the budget"
    )


def _again(space: Space, budget: Budget, cache: bool) -> FeasibleSet:
    return FeasibleSet(space, budget, cache=cache)
