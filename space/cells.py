"""The cells of one coordinate of the unit cube.

Given the coordinates before it, value v of a coordinate leaves c_v architectures, and its
cell is [c_0 + ... + c_(v-1), c_0 + ... + c_v) divided by their total. So a uniform point
finds uniform architectures, an architecture of the set never has an empty cell, and a
coordinate of 1.0 belongs to the last cell that is not empty. Counts are whole numbers up
to 2^50 (space/index.py refuses more), hence a cell is at least 2^-50 wide, where float64
still tells its centre from its neighbours'.

Everything is for n architectures at once, each with its own counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from space.arrays import Floats, Ints, Mask
from space.index import Index


class Cells:
    """Cells given by their counts, (n, k)."""

    def __init__(self, counts: Ints | Floats | Mask) -> None:
        self.ends = np.cumsum(counts, axis=1, dtype=np.int64)

    def holding(self, u: Floats) -> Ints:
        """(n,) values whose cells hold u, (n,) in [0, 1]."""
        return self.at_rank(_rank(u, self.ends[:, -1]))[0]

    def at_rank(self, rank: Ints) -> tuple[Ints, Ints]:
        """The values to which these architectures belong, and their ranks inside them."""
        value = (self.ends <= rank[:, None]).sum(1)
        return value, rank - self._begin(value)

    def centre(self, value: Ints) -> Floats:
        """(n,) the middle of the cells of these values."""
        end = self.ends[np.arange(len(value)), value]
        middle: Floats = (self._begin(value) + end) / (2 * self.ends[:, -1])
        return middle

    def _begin(self, value: Ints) -> Ints:
        before = self.ends[np.arange(len(value)), np.maximum(value - 1, 0)]
        return np.where(value > 0, before, 0)


@dataclass(frozen=True, slots=True)
class PrefixCells:
    """Cells given by the rows of an index that share the coordinates so far.

    Rows first <= row < last begin with `prefix`, (n,) each; the next coordinate has `choices`
    values, and `radix` keys share one of them.
    """

    index: Index
    first: Ints
    last: Ints
    prefix: Ints
    choices: int
    radix: int

    def holding(self, u: Floats) -> Ints:
        """(n,) values whose cells hold u, (n,) in [0, 1]."""
        starts = self.index.starts
        begin = starts[self.first]
        rank = begin + _rank(u, starts[self.last] - begin)
        row = np.searchsorted(starts, rank, side="right") - 1
        return self.index.keys[row] // self.radix - self.prefix * self.choices

    def centre(self, value: Ints) -> Floats:
        """(n,) the middle of the cells of these values."""
        starts, (first, last) = self.index.starts, self.rows(value)
        begin = starts[self.first]
        middle: Floats = (starts[first] + starts[last] - 2 * begin) / (2 * (starts[self.last] - begin))
        return middle

    def rows(self, value: Ints) -> tuple[Ints, Ints]:
        """Two (n,): the rows of the index that go on with these values begin and end here."""
        key = (self.prefix * self.choices + value) * self.radix
        keys = self.index.keys
        return np.searchsorted(keys, key), np.searchsorted(keys, key + self.radix)


def _rank(u: Floats, total: Ints) -> Ints:
    ranks: Ints = np.minimum(np.floor(u * total), total - 1).astype(np.int64)
    return ranks
