"""A model of latency as parts that add up over the stages, in whole nanoseconds.

Whole numbers, because then a sum is the same in whatever order it is taken, and an architecture on the border
of a cap is inside everywhere or nowhere. The parts are read off the model's own predictions: with m the least
and M the greatest width of a stage and all depths 1, a time t that is additive obeys

    t(w_1, w_2, w_3, w_4) = t(w_1, w_2, M, M) - t(m, w_2, M, M)
                          + t(m, w_2, w_3, M) - t(m, m, w_3, M)
                          + t(m, m, w_3, w_4)

whose terms depend on two neighbouring widths each, and in which widths never decrease; one more block of a
stage is a difference of two predictions. Whether the model is additive is tried on other architectures.
"""

from __future__ import annotations

import numpy as np

from space.arrays import Floats, Ints
from space.cost import Tables
from space.design import Space
from space.halves import split
from space.latency import LatencyModel
from space.plan import STAGES
from space.rows import holds, positions_of, rows_at

NANOSECONDS = 1e6  # in a millisecond
_TRIED = 256
_CLOSE = 1e-4  # of the time


def latency_parts(model: LatencyModel, space: Space) -> Tables:
    """The model's times as parts, whole nanoseconds; ValueError where it is not additive over the stages."""
    reader = _Reader(model, space)
    least, most = reader.least, reader.most
    alone = np.zeros((1, len(reader.widths[0])))
    second = reader.pairs(1) - reader.time(least[0], reader.widths[1], *most[2:])
    third = reader.pairs(2) - reader.time(*least[:2], reader.widths[2], most[3])
    first = (_whole(alone), _whole(second), _whole(third), _whole(reader.pairs(3)))
    parts = Tables(0, first, tuple(_whole(reader.further(stage)) for stage in range(STAGES)))
    _require_additive(model, space, parts)
    return parts


class _Reader:
    """Nanoseconds that a model predicts for chosen architectures of a space."""

    def __init__(self, model: LatencyModel, space: Space) -> None:
        self._model, self._space = model, space
        self.widths = [np.array(choices) for choices in space.width_choices]
        self.least = [int(widths[0]) for widths in self.widths]
        self.most = [int(widths[-1]) for widths in self.widths]

    def time(self, *widths: Ints | int, deeper: int | None = None) -> Floats:
        """At depth 1, but 2 in stage `deeper`; widths broadcast."""
        columns = np.broadcast_arrays(*widths)
        rows = np.ones((columns[0].size, 2 * STAGES), np.int64)
        rows[:, STAGES:] = np.stack([column.ravel() for column in columns], axis=1)
        if deeper is not None:
            rows[:, deeper] = 2
        return np.reshape(self._model(self._space.block, rows) * NANOSECONDS, columns[0].shape)

    def pairs(self, stage: int) -> Floats:
        """(widths before, widths) with the least widths further before and the greatest behind."""
        before, here = self.widths[stage - 1][:, None], self.widths[stage][None]
        if not self._space.free_widths:  # a decreasing pair does not occur; what stands there is never read
            here = np.maximum(before, here)
        return self.time(*self.least[: stage - 1], before, here, *self.most[stage + 1 :])

    def further(self, stage: int) -> Floats:
        """(widths,) one more block."""
        widths: list[Ints | int] = [*self.least[:stage], self.widths[stage], *self.most[stage + 1 :]]
        return self.time(*widths, deeper=stage) - self.time(*widths)


def _whole(times: Floats) -> Ints:
    return np.rint(times).astype(np.int64)


def _require_additive(model: LatencyModel, space: Space, parts: Tables) -> None:
    rng = np.random.default_rng(0)
    ends = [len(choices) for choices in (*space.depth_choices, *space.width_choices)]
    rows = rows_at(space, rng.integers(0, ends, (_TRIED, len(ends))))
    rows = rows[holds(space, rows)]
    expected = model(space.block, rows) * NANOSECONDS
    found = split(space, parts).total(positions_of(space, rows))
    if len(rows) and (worst := np.abs(found / expected - 1).max()) > _CLOSE:
        raise ValueError(
            f"a cap on latency needs a model whose times add up over the stages, as a latency table's do; "
            f"{model.id} is {100 * worst:.2g} % off"
        )
