"""Multiply-adds, parameters and activations of a layer plan.

One FLOP is one multiply-add of a convolution or linear layer of the whole
network, stem and head included. Bias, norm, activation, pooling and resampling
are free. tests/test_space_flops.py holds this equal to fvcore, layer by layer,
under the same convention.

An activation is an element of a convolution's output (Radosavovic et al. 2020,
"Designing Network Design Spaces", section 3), which predicts run time on a GPU
better than multiply-adds do.

Whole families are counted by the same functions: `block_cost` and `costs` hand
arrays of widths to the plan's own builder and fold what it returns. There is no
second formula.

Notation   h  side of a layer's input, pixels     s  stride     k  kernel side
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from space.arrays import Ints
from space.plan import (
    EXPANSION,
    OUTPUTS,
    STAGES,
    STEM_OUT,
    Block,
    Conv,
    Linear,
    Plan,
    Size,
    block_stride,
    build_block,
    build_head,
    build_stem,
)

INPUT_SIZE = 256  # budgets are always meant here, whatever resolution a proxy trains at


@dataclass(frozen=True, slots=True)
class Measure:
    """What one convolution (with its input's side, in pixels) and one linear layer cost."""

    conv: Callable[[Conv, int], Size]
    linear: Callable[[Linear], Size]


def out_side(side: int, stride: int) -> int:
    """Output side of a 3x3 (padding 1) or 1x1 convolution, or of a pool, of this stride."""
    return -(-side // stride)


def conv_macs(conv: Conv, side: int) -> Size:
    """Multiply-adds of a convolution on a `side` x `side` input: (h/s)^2 k^2 ci co."""
    return out_side(side, conv.stride) ** 2 * conv.kernel**2 * conv.cin * conv.cout


def conv_params(conv: Conv, side: int = 0) -> Size:
    """k^2 ci co weights, and the batch norm's scale and shift for each output channel."""
    return conv.kernel**2 * conv.cin * conv.cout + 2 * conv.cout


def conv_activations(conv: Conv, side: int) -> Size:
    """Elements of the output: (h/s)^2 co."""
    return out_side(side, conv.stride) ** 2 * conv.cout


def linear_macs(linear: Linear) -> Size:
    return linear.cin * linear.cout


def linear_params(linear: Linear) -> Size:
    return (linear.cin + 1) * linear.cout


MACS = Measure(conv_macs, linear_macs)
PARAMS = Measure(conv_params, linear_params)
ACTIVATIONS = Measure(conv_activations, lambda linear: 0)


def macs(plan: Plan, input_size: int = INPUT_SIZE) -> int:
    """Multiply-adds of the whole network on one image."""
    return total(plan, MACS, input_size)


def params(plan: Plan) -> int:
    """Learnable parameters of the whole network."""
    return total(plan, PARAMS)


def activations(plan: Plan, input_size: int = INPUT_SIZE) -> int:
    """Elements in the outputs of all convolutions, for one image."""
    return total(plan, ACTIVATIONS, input_size)


def total(plan: Plan, measure: Measure, input_size: int = INPUT_SIZE) -> int:
    return sum(stage_costs(plan, measure, input_size).values())


def stage_costs(plan: Plan, measure: Measure = MACS, input_size: int = INPUT_SIZE) -> dict[str, int]:
    """Cost by part: stem, layer1..layer4, fc."""
    parts = {"stem": 0} | {stage.name: 0 for stage in plan.stages}
    for part, conv, side in plan_convs(plan, input_size):
        parts[part] += measure.conv(conv, side)
    return parts | {plan.head.name: measure.linear(plan.head)}


def layer_costs(plan: Plan, measure: Measure = MACS, input_size: int = INPUT_SIZE) -> dict[str, int]:
    """Cost by layer, under the layers' own names."""
    by_layer = {conv.name: measure.conv(conv, side) for _, conv, side in plan_convs(plan, input_size)}
    return by_layer | {plan.head.name: measure.linear(plan.head)}


def plan_convs(plan: Plan, input_size: int = INPUT_SIZE) -> Iterator[tuple[str, Conv, int]]:
    """(part, convolution, input side) for every convolution; a part is stem or a stage's name."""
    for conv, side in stem_convs(plan.stem, input_size):
        yield "stem", conv, side
    side = stage_side(plan.stem, input_size)
    for stage in plan.stages:
        for block in stage.blocks:
            for conv, conv_side in block_convs(block, side):
                yield stage.name, conv, conv_side
            side = out_side(side, block.stride)


def stem_convs(stem: Sequence[Conv], input_size: int) -> Iterator[tuple[Conv, int]]:
    side = input_size
    for conv in stem:
        yield conv, side
        side = out_side(side, conv.stride)


def stage_side(stem: Sequence[Conv], input_size: int) -> int:
    """Input side of the first stage: behind the stem and its max-pool."""
    for conv, side in stem_convs(stem, input_size):
        after = out_side(side, conv.stride)
    return out_side(after, 2)


def block_convs(block: Block, side: int) -> Iterator[tuple[Conv, int]]:
    """A block's convolutions, shortcut last, each with its input side."""
    current = side
    for conv in block.convs:
        yield conv, current
        current = out_side(current, conv.stride)
    if block.shortcut is not None:
        yield block.shortcut, out_side(side, block.stride)  # after the average pool


# ------------------------------------------------------------------- families


def block_cost(
    block: str, stage: int, position: int, cin: Size, width: Size, side: int, measure: Measure = MACS
) -> Ints:
    """Cost of one block for every member of a family: the fold of build_block over arrays.

    cin, width  whole numbers or integer arrays that broadcast: input channels, the stage's width
    side        the block's input side, pixels
    returns int64 of their broadcast shape
    """
    cin, width = np.broadcast_arrays(np.asarray(cin, np.int64), np.asarray(width, np.int64))
    cost = np.zeros(cin.shape, np.int64)
    keeps = cin == width * EXPANSION[block]
    for family in (keeps, ~keeps):  # members with the same layers
        if family.any():
            built = build_block(block, stage, position, cin[family], width[family])
            cost[family] = sum(measure.conv(conv, at) for conv, at in block_convs(built, side))
    return cost


def part_costs(
    block: str,
    rows: Ints,
    measure: Measure = MACS,
    input_size: int = INPUT_SIZE,
    outputs: int = OUTPUTS,
) -> dict[str, Ints]:
    """`stage_costs` of each architecture of a table.

    rows  (n, 8) integers: d_1..d_4, w_1..w_4
    returns int64 (n,) for stem, layer1..layer4, fc
    """
    rows = np.asarray(rows, np.int64)
    parts = {"stem": np.full(len(rows), stem_cost(measure, input_size), np.int64)}
    cin: Size = np.full(len(rows), STEM_OUT)
    for stage, (entry, inside) in enumerate(stage_sides(input_size)):
        depth, width = rows[:, stage], rows[:, STAGES + stage]
        out = width * EXPANSION[block]
        first = block_cost(block, stage, 0, cin, width, entry, measure)
        parts[f"layer{stage + 1}"] = first + (depth - 1) * block_cost(
            block, stage, 1, out, width, inside, measure
        )
        cin = out
    head = build_head(cin, outputs)
    return parts | {head.name: np.broadcast_to(measure.linear(head), len(rows))}


def costs(
    block: str,
    rows: Ints,
    measure: Measure = MACS,
    input_size: int = INPUT_SIZE,
    outputs: int = OUTPUTS,
) -> Ints:
    """`total` of each architecture of a table, (n, 8) -> int64 (n,)."""
    return sum(part_costs(block, rows, measure, input_size, outputs).values(), np.zeros(len(rows), np.int64))


@dataclass(frozen=True, slots=True)
class Tables:
    """What the parts cost, at 256x256, that make up every architecture of a space.

    An architecture of width indices a_i and depths d_i costs
    base + sum_i first[i][a_(i-1), a_i] + (d_i - 1) further[i][a_i].
    """

    base: int  # the stem
    first: tuple[Ints, ...]  # four int64 (widths of the stage before, widths); the last with the head
    further: tuple[Ints, ...]  # four int64 (widths,)


def tables(
    block: str, width_choices: Sequence[Sequence[int]], measure: Measure = MACS, outputs: int = OUTPUTS
) -> Tables:
    """The parts for every combination of neighbouring stages' widths."""
    first, further = [], []
    cin = np.array([STEM_OUT])
    for stage, (entry, inside) in enumerate(stage_sides(INPUT_SIZE)):
        width = np.asarray(width_choices[stage], np.int64)
        out = width * EXPANSION[block]
        first.append(block_cost(block, stage, 0, cin[:, None], width, entry, measure))
        further.append(block_cost(block, stage, 1, out, width, inside, measure))
        cin = out
    first[-1] = first[-1] + measure.linear(build_head(cin, outputs))
    return Tables(stem_cost(measure, INPUT_SIZE), tuple(first), tuple(further))


def stem_cost(measure: Measure, input_size: int) -> int:
    return sum(measure.conv(conv, side) for conv, side in stem_convs(build_stem(), input_size))


def stage_sides(input_size: int) -> Iterator[tuple[int, int]]:
    """Each stage's input side and the side inside it, behind its first block."""
    entry = stage_side(build_stem(), input_size)
    for stage in range(STAGES):
        inside = out_side(entry, block_stride(stage, 0))
        yield entry, inside
        entry = inside
