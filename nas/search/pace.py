"""How long an architecture trains, by the runs so far and by what its layers promise.

FLOPs are nearly equal over a search's set, and times are not: by the latency table of the search, where
it has one, a run takes as long as a forward pass does, by comparison with the control. Where it has none,
half of the time is taken to follow multiply-adds and half activations, until FEW runs of different
networks tell the shares (non-negative least squares). tests/test_search_pace.py
"""

from __future__ import annotations

import statistics
from collections import deque

import numpy as np

from space import ArchSpec, FeasibleSet
from space.arrays import Floats, Ints
from space.cost import ACTIVATIONS, MACS, costs
from space.latency import LatencyTable
from space.plan import OUTPUTS

FEW = 8  # different networks, before their times say what a FLOP and an activation cost
LATEST = 200  # runs that are remembered
DRAWS = 256  # of the set, for its mean


class Pace:
    """Predicted times of runs at a search's own fidelity; the control's is the unit of `share`."""

    def __init__(self, control: ArchSpec, table: LatencyTable | None = None, outputs: int = OUTPUTS) -> None:
        self._table, self._block, self._outputs = table, control.block, outputs
        self._runs: deque[tuple[ArchSpec, float]] = deque(maxlen=LATEST)
        self._weights: Floats = np.array([0.5, 0.5])
        self._unit = 1.0 if table is None else table.of(control)
        self._counts: Floats = np.ones(2)
        self._counts = self._relative(_row(control))[0]

    def note(self, arch: ArchSpec, seconds: float) -> None:
        """A complete run."""
        if seconds <= 0:  # a simulated one
            return
        self._runs.append((arch, seconds))
        if self._table is None and len({known for known, _ in self._runs}) >= FEW:
            self._weights = self._learnt()

    def shares(self, rows: Ints) -> Floats:
        """(n,) times of architectures, (n, 8): d_1..d_4, w_1..w_4, by the control's."""
        if self._table is not None:
            return self._table(self._block, rows) / self._unit
        found: Floats = self._relative(rows) @ self._weights
        return found

    def share(self, arch: ArchSpec) -> float:
        """The time of one architecture by the control's."""
        return float(self.shares(_row(arch))[0])

    def usual(self, feasible: FeasibleSet) -> tuple[float, float, float]:
        """Mean share over a set, and the shares between which 9 of 10 lie."""
        shares = self.shares(feasible.draw_array(DRAWS, np.random.default_rng(0)))
        low, high = np.quantile(shares, (0.05, 0.95))
        return float(shares.mean()), float(low), float(high)

    def seconds(self, arch: ArchSpec) -> float | None:
        """Of a run of this architecture; None before there is one of any."""
        if not self._runs:
            return None
        unit = statistics.median(seconds / self.share(known) for known, seconds in self._runs)
        return unit * self.share(arch)

    def _relative(self, rows: Ints) -> Floats:
        """(n, 2) multiply-adds and activations by the control's."""
        counts = [costs(self._block, rows, each, outputs=self._outputs) for each in (MACS, ACTIVATIONS)]
        found: Floats = np.stack(counts, axis=1) / self._counts
        return found

    def _learnt(self) -> Floats:
        """(2,) shares of the control's time, which add up to 1."""
        from scipy.optimize import nnls

        counts = self._relative(np.concatenate([_row(arch) for arch, _ in self._runs]))
        seconds = np.array([seconds for _, seconds in self._runs])
        found, _ = nnls(counts / seconds[:, None], np.ones(len(seconds)))
        weights: Floats = found / found.sum()
        return weights


def _row(arch: ArchSpec) -> Ints:
    return np.array([[*arch.depths, *arch.widths]])
