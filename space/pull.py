"""The window's cube under caps, for strategies that learn from what they proposed.

A capped set's own cube (space/capped.py) is exactly uniform, as random draws have to be, and pays for it:
where little is left its cells are stretched so far that one hill of the window becomes several, and a model
may settle on the wrong one. Here the coordinates stay the window's, and a point that breaks a cap is pulled:
on the way from it to the nearest of ANCHORS architectures that keep the caps (drawn with a fixed seed, at the
centres of their cells), the first of STEPS points that keeps them. So

- no point leaves the caps, since the way ends at an architecture that keeps them;
- one that keeps them is found at the centre of its own cell, as in the window;
- near points stay near: a way begins at the point itself, and near points mostly share their anchor;
- much of the cube lies on the border of the caps, where the best mostly are if the caps bind at all.

Uniform points are not uniform architectures here; `start` says where uniform ones are. What a search pays
with either cube is in tests/bench/bench_caps.py. tests/test_space_pull.py
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from space.arch import ArchSpec
from space.arrays import Floats, Ints
from space.feasible import FeasibleSet
from space.rows import specs

ANCHORS, STEPS = 8192, 16


class Pulled:
    """Points of [0, 1]^8 to architectures of `feasible`, which has caps, and back."""

    def __init__(self, feasible: FeasibleSet) -> None:
        self.space, self._feasible, self._window = feasible.space, feasible, feasible.window

    @property
    def id(self) -> str:
        """Short and stable: the same points mean the same architectures where it is the same."""
        return hashlib.sha256(f"{self._feasible.id} pulled".encode()).hexdigest()[:10]

    def from_unit(self, point: Sequence[float] | Floats) -> ArchSpec:
        """The architecture at this point, or the one that it is pulled to."""
        return specs(self.space, self.from_unit_array(np.asarray(point, np.float64)[None]))[0]

    def from_unit_array(self, points: Floats) -> Ints:
        """(n, 8) points to a table of architectures, (n, 8) int64."""
        rows = self._window.from_unit_array(points)
        for at in np.flatnonzero(~self._feasible.holds(rows)).tolist():
            way = self._window.from_unit_array(self._way(np.asarray(points[at], np.float64)))
            rows[at] = way[self._feasible.holds(way).argmax()]
        return rows

    def to_unit(self, spec: ArchSpec) -> tuple[float, ...]:
        """The centre of an architecture's cell in the window; ValueError where it is not in the set."""
        if spec not in self._feasible:
            return self._feasible.to_unit(spec)  # which says why
        return self._window.to_unit(spec)

    def start(self, point: Sequence[float] | Floats) -> tuple[float, ...]:
        """Where the architecture lies that the set's own cube has at `point`: uniform for uniform points."""
        return self._window.to_unit(self._feasible.from_unit(point))

    def _way(self, point: Floats) -> Floats:
        """(STEPS, 8) from a point to its nearest anchor, which is the last."""
        anchor = self._anchors[int(((self._anchors - point) ** 2).sum(1).argmin())]
        way: Floats = point + np.linspace(0, 1, STEPS + 1)[1:, None] * (anchor - point)
        way[-1] = anchor  # exactly
        return way

    @cached_property
    def _anchors(self) -> Floats:
        rows = self._feasible.draw_array(ANCHORS, np.random.default_rng(0))
        return self._window.to_unit_array(rows)
