"""A study of L_error shown to a sampler as one of two objectives.

The store keeps one value a trial, its L_error. The second objective is a function of the architecture, so
it is never stored: `TwoObjectives` is the same storage with both values, and both directions, wherever a
sampler reads. Runs that a rung stopped have no place on a front, and are left out.
tests/test_search_objectives.py
"""

from __future__ import annotations

import copy
from collections.abc import Container
from typing import Any

import numpy as np

from nas.record.objectives import Cost
from space import FeasibleSet
from space.pull import Pulled


class TwoObjectives:
    """An Optuna storage whose trials have (L_error, cost); everything else is the storage's own."""

    def __init__(
        self, storage: Any, cube: FeasibleSet | Pulled, cost: Cost, coordinates: tuple[str, ...]
    ) -> None:
        self._storage, self._cube, self._cost = storage, cube, cost
        self._coordinates = coordinates
        self._seen: dict[int, Any] = {}  # finished trials never change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def get_study_directions(self, study_id: int) -> list[Any]:
        """Both are minimised."""
        return 2 * list(self._storage.get_study_directions(study_id))

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[Any] | None = None
    ) -> list[Any]:
        """The study's trials; complete ones with both values."""
        trials = self._storage.get_all_trials(study_id, deepcopy=False, states=states)
        kept = [trial for trial in trials if trial.state.name != "PRUNED"]
        self._show([t for t in kept if t.values and t._trial_id not in self._seen])
        shown = [self._seen.get(trial._trial_id, trial) for trial in kept]
        return copy.deepcopy(shown) if deepcopy else shown

    def _show(self, trials: list[Any]) -> None:
        if not trials:
            return
        points = np.array([[trial.params[name] for name in self._coordinates] for trial in trials])
        costs = self._cost.rows(self._cube.space.block, self._cube.from_unit_array(points))
        for trial, cost in zip(trials, costs.tolist(), strict=True):
            both = copy.copy(trial)
            both.values = [trial.values[0], cost]
            self._seen[trial._trial_id] = both
