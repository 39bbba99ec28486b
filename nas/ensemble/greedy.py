"""Which networks to average: greedy forward selection with replacement.

Caruana et al., "Ensemble selection from libraries of models" (ICML 2004): start
from the best member, then keep adding whichever member, old or new, lowers the
error of the average most, until none does. A member that is added twice counts
twice in the average and once in compute. The error of what was chosen is too
good on the images that chose it, so it is reported on others.
tests/test_ensemble.py
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

MOST = 16  # draws: beyond this one more changes weights by under 7 %


class BlendError(ValueError):
    """No ensemble is possible as asked."""


@dataclass(frozen=True, slots=True)
class Blend:
    """`weights` (members,) how often each was drawn; `path` the error after each draw, mm."""

    weights: tuple[int, ...]
    path: tuple[float, ...]

    @property
    def chosen(self) -> tuple[int, ...]:
        """Members that were drawn at least once."""
        return tuple(i for i, weight in enumerate(self.weights) if weight)


def greedy(
    macs: Sequence[int],
    error: Callable[[tuple[int, ...]], float],
    *,
    cap: int | None = None,
    most: int = MOST,
) -> Blend:
    """Select from members that cost `macs`; `error` scores draws (member indices, sorted) in mm.

    cap: most multiply-adds of the distinct members together. BlendError where no member fits.
    """
    require_affordable(macs, cap)
    draws: tuple[int, ...] = ()
    path: list[float] = []
    while len(draws) < most:
        tried = [tuple(sorted((*draws, i))) for i in range(len(macs))]
        allowed = [draw for draw in tried if cap is None or compute(macs, draw) <= cap]
        if not allowed:
            break
        scored = [(error(draw), draw) for draw in allowed]
        best_error, best = min(scored)
        if path and not best_error < path[-1]:
            break
        draws = best
        path.append(best_error)
    counts = Counter(draws)
    return Blend(tuple(counts[i] for i in range(len(macs))), tuple(path))


def require_affordable(macs: Sequence[int], cap: int | None) -> None:
    """BlendError where not even the cheapest member fits `cap`."""
    if cap is not None and min(macs) > cap:
        raise BlendError(
            f"no member fits a budget of {cap / 1e9:.4g} GFLOPs: the smallest needs {min(macs) / 1e9:.4g}"
        )


def compute(macs: Sequence[int], draws: Sequence[int]) -> int:
    """Multiply-adds of the distinct members among the draws."""
    return sum(macs[i] for i in set(draws))


def halves(subjects: Sequence[str], seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Subjects to select on and subjects to score on, each sorted; BlendError for fewer than two."""
    people = sorted(set(subjects))
    if len(people) < 2:
        raise BlendError(
            f"selection needs two validation subjects or more, one half to choose on and one to score on; "
            f"the data has {len(people)}"
        )
    order = np.random.default_rng(seed).permutation(len(people))
    cut = len(people) // 2
    first = {people[i] for i in order[:cut]}
    return tuple(p for p in people if p in first), tuple(p for p in people if p not in first)
