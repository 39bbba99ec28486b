"""TPE that weighs gain by time: expected improvement per second (Snoek et al. 2012, section 3.2).

TPE's expected improvement of a point grows with l(x) / g(x) alone (Bergstra et al. 2011, eq. 12),

    EI(x) ~ 1 / (gamma + (1 - gamma) g(x) / l(x)),

so of its candidates the one with the greatest log EI(x) - log t(x) is proposed, where t is the predicted
time of a run. The first, uniform proposals are as they were. tests/test_search_per_second.py; what it
saves in tests/bench/bench_per_second.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from optuna.samplers import TPESampler

from space.arrays import Floats

GAMMA = 0.1  # Optuna's share of trials that count as good


class PerSecondTPE(TPESampler):
    """TPESampler whose acquisition is divided by `seconds_of`, (n, 8) points to (n,) times in any unit."""

    def __init__(
        self, seconds_of: Callable[[Floats], Floats], coordinates: tuple[str, ...], **arguments: Any
    ) -> None:
        super().__init__(**arguments)
        self._seconds_of, self._coordinates = seconds_of, coordinates

    def _compute_acquisition_func(self, samples: dict[str, Any], mpe_below: Any, mpe_above: Any) -> Floats:
        ratio = super()._compute_acquisition_func(samples, mpe_below, mpe_above)  # log l - log g
        points = np.stack([samples[name] for name in self._coordinates], axis=1).clip(0.0, 1.0)
        found: Floats = log_improvement(ratio) - np.log(self._seconds_of(points))
        return found


def log_improvement(log_ratio: Floats) -> Floats:
    """log EI, up to a constant, of log l(x) - log g(x)."""
    found: Floats = -np.logaddexp(np.log(GAMMA), np.log1p(-GAMMA) - log_ratio)
    return found
