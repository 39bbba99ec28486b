"""From a rank or a point of the unit cube to an architecture of an index, and back.

An architecture is found coordinate by coordinate, always in the order

    w_2, w_3, w_1, d_1, d_2, w_4, d_3, d_4

from the number of architectures that each value of a coordinate leaves, given the ones
before it (space/cells.py). For the first four the numbers lie in the index; for d_2 they
are searched for among the sorted right sums; for w_4 and d_3 they are sums of how many d_4
still fit, which is a division.

Tables of architectures are (n, 8) positions among the space's choices: d_1..d_4, w_1..w_4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import TypeVar

import numpy as np

from space.arrays import Floats, Ints, Mask
from space.cells import Cells, PrefixCells
from space.halves import Halves
from space.index import Index

COORDINATES = ("w2", "w3", "w1", "d1", "d2", "w4", "d3", "d4")
_D1, _D2, _D3, _D4, _W1, _W2, _W3, _W4 = range(8)
COLUMNS = (_W2, _W3, _W1, _D1, _D2, _W4, _D3, _D4)  # of the coordinates, in a table
_CHUNK = 64  # architectures at a time: the largest temporary, (n, n4, D3), stays in the cache

_In = TypeVar("_In", Ints, Floats)
_Out = TypeVar("_Out", Ints, Floats)
Choose = Callable[[int, Cells | PrefixCells], Ints]  # (coordinate, its cells) -> positions (n,)


@dataclass(frozen=True, slots=True)
class Row:
    """All architectures of one row of the index, in the order of their ranks."""

    first: Ints  # (8,) of which w_2, w_3, w_1 and d_1 are filled: all share them
    d2: Ints  # (m,)
    right: Ints  # (m,) places of the index's right sums


class Walk:
    """Ways through one index."""

    def __init__(self, halves: Halves, index: Index, low: int, high: int) -> None:
        self.halves, self.index, self.low, self.high = halves, index, low, high

    def from_ranks(self, ranks: Ints) -> Ints:
        """The architectures of these ranks, (n,) integers: a bijection from 0 <= rank < count.

        Sorted ranks are found faster. Ranks inside one (w_2, w_3, w_1, d_1, d_2) run in order of cost.
        """
        return _chunked(self._from_ranks, ranks)

    def from_points(self, points: Floats) -> Ints:
        """The architectures whose cells hold these points of the unit cube, (n, 8)."""

        def chunk(points: Floats) -> Ints:
            return self._descend(len(points), lambda at, cells: cells.holding(points[:, at]))

        return _chunked(chunk, points)

    def to_points(self, table: Ints) -> Floats:
        """The centres of these architectures' cells, (n, 8) in the order of COORDINATES."""

        def chunk(table: Ints) -> Floats:
            points = np.empty(table.shape)

            def follow(at: int, cells: Cells | PrefixCells) -> Ints:
                points[:, at] = cells.centre(table[:, COLUMNS[at]])
                return table[:, COLUMNS[at]]

            self._descend(len(table), follow)
            return points

        return _chunked(chunk, table)

    def prefixes(self, n: int, choose: Choose) -> Ints:
        """(n, 8) tables of which only w_2, w_3, w_1 and d_1 are filled, one after the other."""
        table = np.zeros((n, 8), np.int64)
        for at, cells in self._prefix_cells(table):
            table[:, COLUMNS[at]] = choose(at, cells)
        return table

    def rows_of(self, table: Ints) -> Ints:
        """(n,) the rows of the index that begin with the w_2, w_3, w_1 and d_1 of these architectures."""
        prefix = np.ravel_multi_index(tuple(table[:, at] for at in COLUMNS[:4]), self.prefix_shape())
        return np.searchsorted(self.index.keys, prefix)

    def row(self, at: int) -> Row:
        """Row `at` of the index with all its architectures."""
        table = np.zeros((1, 8), np.int64)
        table[0, COLUMNS[:4]] = np.unravel_index(self.index.keys[at], self.prefix_shape())
        begin, end = (each[0] for each in self._right_ranges(table))
        many = end - begin
        right = np.arange(many.sum()) + np.repeat(begin - np.cumsum(many) + many, many)
        return Row(table[0], np.repeat(np.arange(len(many)), many), right)

    def architectures(self, row: Row, which: Mask) -> Ints:
        """(k, 8) those of a row's architectures that `which`, (m,), names."""
        found = np.repeat(row.first[None], np.count_nonzero(which), axis=0)
        found[:, _D2] = row.d2[which]
        found[:, _W4], found[:, _D3], found[:, _D4] = self._rights(row.right[which])
        return found

    def _descend(self, n: int, choose: Choose) -> Ints:
        """Take one value of each coordinate in turn, for n architectures at once."""
        halves, table = self.halves, self.prefixes(n, choose)
        w3 = table[:, _W3]
        begin, end = self._right_ranges(table)
        table[:, _D2] = choose(4, Cells(end - begin))

        left = self._left_sums(table)[np.arange(n), table[:, _D2]]
        fitting = self._fitting(left, w3)
        table[:, _W4] = choose(5, Cells(fitting.sum(2)))
        table[:, _D3] = choose(6, Cells(fitting[np.arange(n), table[:, _W4]]))
        sums = left[:, None] + halves.outer_right[w3, table[:, _W4]]
        sums += halves.more_right[w3, table[:, _D3], None]
        table[:, _D4] = choose(7, Cells((self.low <= sums) & (sums <= self.high)))
        return table

    def _from_ranks(self, ranks: Ints) -> Ints:
        table = np.empty((len(ranks), 8), np.int64)
        prefix = np.searchsorted(self.index.starts, ranks, side="right") - 1
        prefixes = np.unravel_index(self.index.keys[prefix], self.prefix_shape())
        for column, position in zip(COLUMNS, prefixes, strict=False):
            table[:, column] = position
        begin, end = self._right_ranges(table)
        d2, rest = Cells(end - begin).at_rank(ranks - self.index.starts[prefix])
        table[:, _D2] = d2
        found = begin[np.arange(len(ranks)), d2] + rest
        table[:, _W4], table[:, _D3], table[:, _D4] = self._rights(found)
        return table

    def _rights(self, at: Ints) -> tuple[Ints, ...]:
        """Three (n,): w_4, d_3 and d_4 of the right sums at these places of the index."""
        return np.unravel_index(self.index.items[at], (self.halves.widths[3], *self.halves.depths[2:]))

    def prefix_shape(self) -> tuple[int, int, int, int]:
        n1, n2, n3, _ = self.halves.widths
        return n2, n3, n1, self.halves.depths[0]

    def _prefix_cells(self, table: Ints) -> Iterator[tuple[int, PrefixCells]]:
        """Each of the first four coordinates with its cells, given the columns of `table` before it."""
        prefix = first = np.zeros(len(table), np.int64)
        last = np.full(len(table), len(self.index.keys))
        shape = self.prefix_shape()
        for at, choices in enumerate(shape):
            cells = PrefixCells(self.index, first, last, prefix, choices, prod(shape[at + 1 :]))
            yield at, cells
            position = table[:, COLUMNS[at]]
            first, last = cells.rows(position)
            prefix = prefix * choices + position

    def _left_sums(self, table: Ints) -> Ints:
        """(n, D2) cost of the left half and the join, for every d_2."""
        halves = self.halves
        w2 = table[:, _W2]
        before = halves.join[w2, table[:, _W3]] + halves.outer_left[w2, table[:, _W1], table[:, _D1]]
        return before[:, None] + halves.more_left[w2]

    def _right_ranges(self, table: Ints) -> tuple[Ints, Ints]:
        """Two (n, D2): where in Index.right the sums begin and end that fit, for every d_2."""
        sums, right = self._left_sums(table), self.index.right
        base = table[:, _W3, None] * self.index.stride
        least = np.maximum(self.low - sums, 0)
        most = np.maximum(self.high - sums, -1)
        return np.searchsorted(right, base + least), np.searchsorted(right, base + most, side="right")

    def _fitting(self, left: Ints, w3: Ints) -> Floats:
        """(n, n4, D3) number of d_4 that fit, for every w_4 and d_3.

        The quotients are exact: floor(a / b) in float64 is right for whole a below 2^53.
        """
        halves = self.halves
        shallowest = halves.outer_right[w3, :, 0, None] + halves.more_right[w3, None, :]
        room = (self.high - left)[:, None, None] - shallowest

        def up_to(room: Ints) -> Floats:
            depths: Floats = room / halves.last_block[:, None]
            np.floor(depths, out=depths)
            depths += 1
            return np.clip(depths, 0, halves.depths[3], out=depths)

        return up_to(room) - up_to(room - (self.high - self.low + 1))


def _chunked(function: Callable[[_In], _Out], rows: _In) -> _Out:
    if len(rows) <= _CHUNK:
        return function(rows)
    parts = [function(rows[at : at + _CHUNK]) for at in range(0, len(rows), _CHUNK)]
    return np.concatenate(parts)
