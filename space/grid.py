"""Reading between the points of a grid of widths, for many widths at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from space.arrays import Floats, Ints


def grid_of(name: str, values: Any) -> Ints:
    """Increasing whole numbers; ValueError for what is none."""
    try:
        grid = np.array(values, np.int64)
    except (TypeError, ValueError):
        grid = np.empty(0, np.int64)
    if grid.ndim != 1 or not len(grid) or grid[0] < 1 or (np.diff(grid) < 1).any():
        raise ValueError(
            f"a latency table's {name} are increasing whole numbers of at least 1, not {values!r}"
        )
    return grid


class Between:
    """Where values lie on a grid: between its points `low` and `high` (positions), at `share` of the way."""

    def __init__(self, grid: Ints, values: Ints) -> None:
        if not len(values):
            self.low, self.high, self.share = (np.empty(0, np.int64),) * 2 + (np.empty(0),)
            return
        least, most = int(values.min()), int(values.max())
        if least < grid[0] or most > grid[-1]:
            outside = least if least < grid[0] else most
            raise ValueError(
                f"the latency table holds widths {grid[0]} to {grid[-1]}, and {outside} lies outside: "
                "measure one that reaches it, or narrow the space"
            )
        span = np.arange(grid[0], grid[-1] + 1)  # a look-up is faster than a search for every value
        low = np.searchsorted(grid, span, side="right") - 1
        high = np.minimum(low + 1, len(grid) - 1)
        share = (span - grid[low]) / np.maximum(grid[high] - grid[low], 1)
        where = values - grid[0]
        self.low, self.high, self.share = low[where], high[where], share[where]

    def straight(self, times: Floats) -> Floats:
        """(n,) from (k,) times, straight between the points."""
        return (1 - self.share) * times[self.low] + self.share * times[self.high]

    def roots(self, roots: Floats, row: Ints | None = None) -> Floats:
        """(n,) times from their (k,) roots, or from row `row` (n,) of (j, k), straight between the roots."""
        here, there = (
            (roots[self.low], roots[self.high])
            if row is None
            else (roots[row, self.low], roots[row, self.high])
        )
        root = np.where(self.share == 0, here, (1 - self.share) * here + self.share * there)
        return np.square(root)
