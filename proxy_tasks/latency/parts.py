"""The parts of networks by kind: how often each occurs, and the counts that its time is expected to follow.

Kinds are those of space/latency.py: the stem, the first and a further block of each stage, the head. The
first block of C2 is one more further block where it keeps the stem's channels.

    layers (dispatch)     activations (memory traffic)     multiply-adds (arithmetic)     parameters (weights)

are counted as in space/cost.py, at widths rounded up to a multiple of `pad`: kernels work on whole vectors
and tiles of channels, and pay for the empty rest of the last.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from space.arrays import Floats, Ints
from space.cost import ACTIVATIONS, MACS, PARAMS, Measure, block_cost, stage_sides, stem_cost
from space.latency import Conditions
from space.plan import EXPANSION, STAGES, STEM_OUT, build_head

LAYERS = Measure(lambda conv, side: 1, lambda linear: 1)
MEASURES = (LAYERS, ACTIVATIONS, MACS, PARAMS)
KINDS = ("stem", *(f"{kind}{i}" for kind in ("first", "further") for i in range(1, STAGES + 1)), "head")


@dataclass(frozen=True, slots=True)
class Part:
    """n parts of one kind at their widths.

    counts   (n, 4) layers, activations, multiply-adds and parameters
    where    (n, 2) log2 of the width before and of its own; equal where it has only one
    aligned  (n,) the largest power of two up to 64 that divides its own width
    """

    counts: Floats
    where: Floats
    aligned: Ints


@dataclass(frozen=True, slots=True)
class Parts:
    """Makes the parts of networks that run under `conditions`, with widths rounded up to `pad`."""

    conditions: Conditions
    pad: int = 1

    def stem(self) -> Part:
        """The one stem."""
        counts = [[stem_cost(measure, self.conditions.input_size) for measure in MEASURES]]
        return Part(np.array(counts, np.float64), np.zeros((1, 2)), np.ones(1, np.int64))

    def first(self, stage: int, before: Ints, width: Ints) -> Part:
        """First blocks of `stage`, from 0, of these widths behind blocks of the widths `before`.

        Behind the stem `before` is its number of channels.
        """
        grown = 1 if stage == 0 else EXPANSION[self.conditions.block]
        cin = before if stage == 0 else self._up(before) * grown
        return self._block(stage, 0, cin, before, width)

    def further(self, stage: int, width: Ints) -> Part:
        """Further blocks of `stage`."""
        return self._block(stage, 1, self._up(width) * EXPANSION[self.conditions.block], width, width)

    def head(self, width: Ints) -> Part:
        """Heads behind these widths."""
        grown = self._up(width) * EXPANSION[self.conditions.block]
        linear = build_head(grown, self.conditions.outputs)
        counts = [np.broadcast_to(measure.linear(linear), width.shape) for measure in MEASURES]
        return _part(counts, width, width)

    def _block(self, stage: int, position: int, cin: Ints, before: Ints, width: Ints) -> Part:
        block, side = self.conditions.block, [*stage_sides(self.conditions.input_size)][stage][position]
        own = self._up(width)
        return _part(
            [block_cost(block, stage, position, cin, own, side, measure) for measure in MEASURES],
            before,
            width,
        )

    def _up(self, width: Ints) -> Ints:
        return -(-width // self.pad) * self.pad

    def of(self, rows: Ints) -> dict[str, Part]:
        """The parts of each architecture of a table, (n, 8): d_1..d_4, w_1..w_4."""
        widths = [rows[:, STAGES + stage] for stage in range(STAGES)]
        before = [np.full(len(rows), STEM_OUT), *widths[:-1]]
        one, n = self.stem(), len(rows)
        stem = Part(one.counts.repeat(n, 0), one.where.repeat(n, 0), one.aligned.repeat(n, 0))
        parts = {"stem": stem, "head": self.head(widths[-1])}
        for stage in range(STAGES):
            parts[f"first{stage + 1}"] = self.first(stage, before[stage], widths[stage])
            parts[f"further{stage + 1}"] = self.further(stage, widths[stage])
        return parts


def numbers_of(block: str, rows: Ints) -> dict[str, Ints]:
    """(n,) how often each kind of part occurs in each architecture of a table."""
    one = np.ones(len(rows), np.int64)
    numbers = {"stem": one, "head": one}
    for stage in range(STAGES):
        depth, width = rows[:, stage], rows[:, STAGES + stage]
        same = (width * EXPANSION[block] == STEM_OUT) & (stage == 0)
        numbers[f"first{stage + 1}"] = one - same
        numbers[f"further{stage + 1}"] = depth - 1 + same
    return numbers


def _part(counts: list[Ints], before: Ints, width: Ints) -> Part:
    where = np.log2(np.stack([before, width], axis=1))
    return Part(np.stack(counts, axis=1).astype(np.float64), where, np.gcd(width, 64))
