"""FeasibleSet: every architecture of a space inside a budget and its caps; count, draws, unit cube.

The hinge of a search: `from_unit` takes any point of [0, 1]^8 to an architecture inside the
budget, so any sampler of plain floats proposes feasible architectures and nothing else, and
no penalty or rejection is needed. Uniform points give exactly uniform architectures
(space/cells.py says how).

Caps on parameters, activations or latency (space/caps.py) take a part of that window away. No draw
and no point leaves them either; space/capped.py says how the cube comes about. `count` stays the
window's, which is exact; `left` is what the caps leave of it, exact too.

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
from space.capped import Capped
from space.caps import Caps, flag, in_units, most_of, shown
from space.cost import costs
from space.design import Space
from space.halves import Halves, split
from space.index import build_index, closest
from space.indexfile import load_or_build
from space.rows import holds, positions_of, rows_at, specs
from space.telling import doing
from space.walk import COORDINATES, Walk


class FeasibleSet:
    """The architectures of `space` inside `budget` that keep `caps`; ValueError where there are none.

    The index behind it is kept in the cache directory (space/machine.py) unless `cache` is False.
    """

    def __init__(self, space: Space, budget: Budget, caps: Caps | None = None, *, cache: bool = True) -> None:
        self.space, self.budget, self._cache = space, budget, cache
        halves, window = split(space), (budget.low, budget.high)
        with doing(f"counting the architectures within {budget}"):
            index = load_or_build(halves, *window) if cache else build_index(halves, *window)
        if index.count == 0:
            raise ValueError(_why_empty(halves, budget))
        self._walk = Walk(halves, index, *window)
        self._set_caps(caps or Caps())

    def _set_caps(self, caps: Caps) -> None:
        self.caps = caps
        self._capped = Capped(self.space, self._walk, caps, cache=self._cache) if caps else None

    def within(self, caps: Caps) -> FeasibleSet:
        """The same window with these caps instead of its own, without counting again."""
        other = object.__new__(FeasibleSet)  # copy() would go by __reduce__ and count again
        other.__dict__.update(self.__dict__)
        other._set_caps(caps)
        return other

    @property
    def window(self) -> FeasibleSet:
        """The same window without caps."""
        return self.within(Caps()) if self.caps else self

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.space, self.budget, self.caps, self._cache)

    def __repr__(self) -> str:
        caps = f", {self.caps!r}" if self.caps else ""
        return f"FeasibleSet({self.space!r}, {self.budget!r}{caps})"

    @property
    def count(self) -> int:
        """Number of architectures of the window, exact; caps leave `left` of them."""
        return self._walk.index.count

    @property
    def left(self) -> int:
        """Number of architectures of the window that keep the caps, exact; all of them without caps."""
        return self._capped.count if self._capped else self.count

    @property
    def id(self) -> str:
        """Short and stable: sets of the same space, window and caps, and only they, share it."""
        caps = f" {self.caps.id}" if self.caps else ""
        text = f"{self.space.id} {self.budget.low} {self.budget.high}{caps}"
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def __contains__(self, spec: ArchSpec) -> bool:
        return spec in self.space and self.macs(spec) in self.budget and self.too_much(spec) is None

    def macs(self, spec: ArchSpec) -> int:
        """Multiply-adds of an architecture as the budget counts them: with the space's outputs."""
        return spec.macs(outputs=self.space.outputs)

    def holds(self, rows: Ints) -> Mask:
        """(n,) whether each architecture of a table, (n, 8), is in the set."""
        rows = np.asarray(rows)
        inside = holds(self.space, rows)
        macs = costs(self.space.block, rows[inside], outputs=self.space.outputs)
        inside[inside] = (macs >= self.budget.low) & (macs <= self.budget.high)
        if self._capped:
            inside[inside] = self._capped.holds(positions_of(self.space, rows[inside]))
        return inside

    def smallest(self) -> ArchSpec:
        """The architecture of the window with the fewest multiply-adds; caps do not count."""
        return self._extreme(self.budget.low, above=True)

    def largest(self) -> ArchSpec:
        """The architecture of the window with the most multiply-adds; caps do not count."""
        return self._extreme(self.budget.high, above=False)

    def draw(self, n: int, rng: np.random.Generator) -> list[ArchSpec]:
        """`n` architectures, independent and exactly uniform over the set."""
        return specs(self.space, self.draw_array(n, rng))

    def draw_array(self, n: int, rng: np.random.Generator) -> Ints:
        """The same as a table, (n, 8) int64."""
        if self._capped:
            return rows_at(self.space, self._capped.draw(n, rng))
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
        return rows_at(self.space, (self._capped or self._walk).from_points(points))

    def to_unit(self, spec: ArchSpec) -> tuple[float, ...]:
        """The centre of an architecture's cell; from_unit takes it back exactly."""
        if spec not in self.space:
            raise ValueError(f"{spec.id} is not in the set: it lies outside its space, {self.space}")
        if self.macs(spec) not in self.budget:
            raise ValueError(
                f"{spec.id} is not in the set: it costs {rounded_flops(self.macs(spec))}, outside "
                f"{self.budget}"
            )
        if too_much := self.too_much(spec):
            raise ValueError(f"{spec.id} is not in the set: it has {too_much}")
        return tuple(self.to_unit_array(np.array([[*spec.depths, *spec.widths]]))[0].tolist())

    def to_unit_array(self, rows: Ints) -> Floats:
        """(n, 8) table of architectures of the set to the centres of their cells, (n, 8) floats."""
        rows = np.asarray(rows)
        if outside := np.count_nonzero(~self.holds(rows)):
            raise ValueError(f"{outside} of {len(rows)} architectures are not in the set and have no point")
        return (self._capped or self._walk).to_points(positions_of(self.space, rows))

    def too_much(self, spec: ArchSpec) -> str | None:
        """What an architecture of the space has too much of, in words; None where it keeps every cap."""
        if self._capped is None:
            return None
        table = positions_of(self.space, np.array([[*spec.depths, *spec.widths]]))
        for (name, most), limit in zip(self.caps.asked.items(), self._capped.limits, strict=True):
            if (cost := int(limit.halves.total(table)[0])) > limit.most:
                return f"{shown(name, in_units(name, cost))}, above {flag(name)} {most_of(name, most)}"
        return None

    def _extreme(self, macs: int, *, above: bool) -> ArchSpec:
        spec = closest(self._walk.halves, macs, above=above)
        assert spec is not None, "the set is not empty"
        return spec


def _why_empty(halves: Halves, budget: Budget) -> str:
    cheapest, dearest = closest(halves, 0, above=True), closest(halves, 2**53, above=False)
    assert cheapest is not None and dearest is not None, "a space is never empty"

    def macs(spec: ArchSpec) -> int:
        return spec.macs(outputs=halves.space.outputs)

    if macs(cheapest) > budget.high:
        return (
            f"no architecture of the space fits {budget} at 256x256: the smallest, {cheapest.id}, needs "
            f"{rounded_flops(macs(cheapest))}; raise the budget or lower min_depth, min_width or width_step"
        )
    if macs(dearest) < budget.low:
        return (
            f"no architecture of the space is as large as {budget} at 256x256: the largest, {dearest.id}, "
            f"has {rounded_flops(macs(dearest))}; lower the budget or raise max_depth or max_width"
        )
    below, above = closest(halves, budget.low, above=False), closest(halves, budget.high, above=True)
    assert below is not None and above is not None, "the window lies between two architectures"
    return (
        f"no architecture of the space lies within {budget}: the nearest are {below.id} with "
        f"{macs(below):,} FLOPs and {above.id} with {macs(above):,}; raise the tolerance or move the budget"
    )


def _again(space: Space, budget: Budget, caps: Caps, cache: bool) -> FeasibleSet:
    return FeasibleSet(space, budget, caps, cache=cache)
