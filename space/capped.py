"""A window with caps beside the budget: an index of what they leave, draws from it, and its unit cube.

The caps' index has the window's rows, (w_2, w_3, w_1, d_1), with the exact number of their architectures
that keep all caps (space/meet.py). The last four coordinates, d_2, w_4, d_3 and d_4, come from those of a
row's some thousand architectures that keep them. So the cube is made as it is without caps (space/cells.py):
each value of a coordinate has a cell as wide as what is left with it. Uniform points give exactly uniform
architectures, none breaks a cap, each that keeps them has a cell, and values only grow along a coordinate, so
that near points stay near. (To pull a point that breaks a cap to the nearest that does not would pile most of
the cube on the border of the caps, wherever they leave little.)

Draws are those of the window without the ones that break a cap, as long as one in REJECT keeps them; where
fewer do, they are drawn by rank. Both are exactly uniform. tests/test_space_capped.py holds all of this.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from space.arrays import Floats, Ints, Mask
from space.caps import Caps, flag, in_units, most_of
from space.cells import Cells, PrefixCells
from space.design import Space
from space.halves import split
from space.indexfile import load_or_count
from space.meet import Limit, kept_counts, smallest
from space.telling import doing
from space.walk import COLUMNS, Walk

REJECT = 50  # draws of the window for one that keeps the caps, at most: by rank is faster beyond
_DEEP = 4  # coordinates of a row
_KEPT_ROWS = 64  # in memory, mostly some hundred kB each
_MOST_TRIES = 2**16  # drawn at a time


class Capped:
    """What `caps` leave of the window behind `walk`; ValueError, one sentence, where that is nothing."""

    def __init__(self, space: Space, walk: Walk, caps: Caps, *, cache: bool) -> None:
        self._space, self._walk = space, walk
        self.limits = [Limit(split(space, parts), most) for parts, most in caps.parts(space)]
        with doing(f"counting which of {walk.index.count:,} architectures have {caps}"):
            counts = load_or_count(walk, self.limits) if cache else kept_counts(walk, self.limits)
        if not counts.any():
            with doing(f"no architecture has {caps}: looking for the nearest that would do"):
                raise ValueError(_why_nothing(walk, caps, self.limits))
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        self._prefixes = Walk(walk.halves, replace(walk.index, starts=self._starts), walk.low, walk.high)
        self._rights = [_right_costs(walk, limit) for limit in self.limits]
        self._rows: OrderedDict[int, NDArray[np.int16]] = OrderedDict()

    @property
    def count(self) -> int:
        """Number of architectures of the window that keep the caps, exact."""
        return int(self._starts[-1])

    def holds(self, table: Ints) -> Mask:
        """(n,) whether architectures of the space, (n, 8) positions, keep the caps."""
        kept = np.ones(len(table), bool)
        for limit in self.limits:
            kept &= limit.halves.total(table) <= limit.most
        return kept

    def draw(self, n: int, rng: np.random.Generator) -> Ints:
        """(n, 8) positions, independent and exactly uniform over what is left."""
        share = self.count / self._walk.index.count
        if share * REJECT < 1:
            return self._at_ranks(rng.integers(0, self.count, n))
        parts, missing = [np.empty((0, 8), np.int64)], n
        while missing > 0:
            tries = int(min(_MOST_TRIES, 1.1 * missing / share + 32))
            ranks = rng.integers(0, self._walk.index.count, tries)
            order = np.argsort(ranks)
            drawn = np.empty((tries, 8), np.int64)
            drawn[order] = self._walk.from_ranks(ranks[order])
            parts.append(drawn[self.holds(drawn)][:missing])
            missing -= len(parts[-1])
        return np.concatenate(parts)

    def _at_ranks(self, ranks: Ints) -> Ints:
        """(n, 8) positions of the architectures of these ranks among those that are left."""
        rows = np.searchsorted(self._starts, ranks, side="right") - 1
        table = np.empty((len(ranks), 8), np.int64)
        for row in np.unique(rows).tolist():
            here = np.flatnonzero(rows == row)
            table[here] = self._inside(row)[ranks[here] - self._starts[row]]
        return table

    def from_points(self, points: Floats) -> Ints:
        """(n, 8) positions of the architectures whose cells hold these points."""

        def hold(at: int, cells: Cells | PrefixCells) -> Ints:
            return cells.holding(points[:, at])

        prefixes = self._prefixes.prefixes(len(points), hold)
        found = np.empty((len(points), 8), np.int64)
        for i, row in enumerate(self._walk.rows_of(prefixes).tolist()):
            for at, cells in self._last_cells(self._inside(row), found[i]):
                found[i, COLUMNS[at]] = cells.holding(points[i : i + 1, at])[0]
        return found

    def to_points(self, table: Ints) -> Floats:
        """(n, 8) the centres of these architectures' cells."""
        points = np.empty(table.shape)

        def follow(at: int, cells: Cells | PrefixCells) -> Ints:
            value = table[:, COLUMNS[at]]
            points[:, at] = cells.centre(value)
            return value

        self._prefixes.prefixes(len(table), follow)
        for i, row in enumerate(self._walk.rows_of(table).tolist()):
            for at, cells in self._last_cells(self._inside(row), table[i]):
                points[i, at] = cells.centre(table[i : i + 1, COLUMNS[at]])[0]
        return points

    def _last_cells(self, inside: NDArray[np.int16], chosen: Ints) -> Iterator[tuple[int, Cells]]:
        """Each of the last four coordinates with its cells, given the columns of `chosen`, (8,), before it.

        inside  (m, 8) the architectures of the row; `chosen` ends as one of them
        """
        choices = (*self._walk.halves.depths, *self._walk.halves.widths)
        chosen[list(COLUMNS[:_DEEP])] = inside[0, list(COLUMNS[:_DEEP])]
        for at in range(_DEEP, len(COLUMNS)):
            column = COLUMNS[at]
            yield at, Cells(np.bincount(inside[:, column], minlength=choices[column])[None])
            inside = inside[inside[:, column] == chosen[column]]

    def _inside(self, at: int) -> NDArray[np.int16]:
        """(m, 8) the architectures of a row that keep the caps, in the order of their ranks."""
        if at not in self._rows:
            row = self._walk.row(at)
            kept = np.ones(len(row.d2), bool)
            for limit, rights in zip(self.limits, self._rights, strict=True):
                kept &= rights[row.right] <= (limit.most - _left_costs(limit, row.first))[row.d2]
            self._rows[at] = self._walk.architectures(row, kept).astype(
                np.int16
            )  # fits: at most 1,024 choices
            if len(self._rows) > _KEPT_ROWS:
                self._rows.popitem(last=False)
        self._rows.move_to_end(at)
        return self._rows[at]


def _left_costs(limit: Limit, first: Ints) -> Ints:
    """(D2,) the cost of a row's left half and the join, for every d_2."""
    halves, (d1, _, _, _, w1, w2, w3, _) = limit.halves, first
    costs: Ints = halves.join[w2, w3] + halves.outer_left[w2, w1, d1] + halves.more_left[w2]
    return costs


def _right_costs(walk: Walk, limit: Limit) -> Ints:
    """(m,) the cost of every right half of the index."""
    index = walk.index
    bounds = np.searchsorted(index.right, np.arange(walk.halves.widths[2] + 1) * index.stride).tolist()
    parts = [limit.halves.right(w3)[index.items[a:b]] for w3, (a, b) in enumerate(pairwise(bounds))]
    return np.concatenate(parts)


def _why_nothing(walk: Walk, caps: Caps, limits: list[Limit]) -> str:
    """Which caps leave nothing, and the smallest that would leave an architecture."""
    names = list(caps.asked)
    asked = " and ".join(f"{flag(name)} {most_of(name, most)}" for name, most in caps.asked.items())
    raised = {}
    for at, name in enumerate(names):
        if (costs := smallest(walk, limits, [at])) is not None:
            raised[name] = costs[at]
    if raised:
        remedy = " or ".join(
            f"{flag(name)} {most_of(name, in_units(name, cost), up=True)}" for name, cost in raised.items()
        )
    else:
        costs = smallest(walk, limits, range(len(limits)))
        assert costs is not None, "the window is not empty"
        needed = {name: max(cost, limit.most) for name, cost, limit in zip(names, costs, limits, strict=True)}
        remedy = " with ".join(
            f"{flag(name)} {most_of(name, in_units(name, cost), up=True)}" for name, cost in needed.items()
        )
    return f"no architecture inside the budget keeps {asked}: the smallest that would do is {remedy}"
