"""Errors of predictions, of each kind of sample. Whose errors, and by what, is the task's to say.

tests/test_reports_predictions.py
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from proxy_tasks.predicting import Judged

BINS = 6


def find(run: Path) -> list[Path]:
    """Prediction files in a run directory, by name."""
    return sorted([*run.glob("*.npz"), *run.glob("predictions/*.npz")])


@dataclass(frozen=True, slots=True)
class Group:
    """Images of one kind: place, number, mean error in mm and its 95 % interval over subjects."""

    name: str
    centre: float
    low: float
    high: float
    images: int
    subjects: int
    mean_mm: float
    mean_low_mm: float | None
    mean_high_mm: float | None


def by_value(values: NDArray, judged: Judged, bins: int = BINS) -> list[Group]:
    """Mean error in bins of equally many images; values (n,). Equal values stay together."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, min(bins, len(values)) + 1)))
    if len(edges) == 1:
        return [_group("all", values, np.ones(len(values), bool), judged)]
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    return [_group(f"{edges[b]:.3g}", values, place == b, judged) for b in np.unique(place)]


def by_sort(judged: Judged) -> list[Group]:
    """Mean error by what sorts the samples, such as the facial action, worst first."""
    _, sorts = judged.sort
    nothing = np.zeros(len(sorts))
    groups = [_group(str(one), nothing, sorts == one, judged) for one in np.unique(sorts)]
    return sorted(groups, key=lambda group: -group.mean_mm)


def _group(name: str, values: NDArray, inside: NDArray, judged: Judged) -> Group:
    from nas.ensemble.table import subject_interval

    errors, subjects = judged.l_error_mm[inside], judged.subjects[inside]
    low, high = subject_interval(errors, subjects) or (None, None)
    chosen = values[inside]
    return Group(
        name,
        float(np.median(chosen)),
        float(chosen.min()),
        float(chosen.max()),
        len(errors),
        len(np.unique(subjects)),
        float(errors.mean()),
        low,
        high,
    )


def extremes(judged: Judged, each: int = 3) -> list[tuple[str, int]]:
    """Up to `each` best, median and worst images: (kind, position in `judged`), none twice."""
    order = np.argsort(judged.l_error_mm, kind="stable")
    middle = max(0, (len(order) - each) // 2)
    chosen = {"best": order[:each], "median": order[middle : middle + each], "worst": order[::-1][:each]}
    seen: set[int] = set()
    found = []
    for kind, positions in chosen.items():
        for position in positions.tolist():
            if position not in seen:
                seen.add(position)
                found.append((kind, position))
    return found
