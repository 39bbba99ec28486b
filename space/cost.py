"""Multiply-adds, parameters and activations of a layer plan.

One FLOP is one multiply-add of a convolution or linear layer of the whole
network, stem and head included. Bias, norm, activation, pooling and resampling
are free. tests/test_space_flops.py holds this equal to fvcore, layer by layer,
under the same convention.

An activation is an element of a convolution's output (Radosavovic et al. 2020,
"Designing Network Design Spaces", section 3), which predicts run time on a GPU
better than multiply-adds do.

Notation   h  side of a layer's input, pixels     s  stride     k  kernel side
"""

from __future__ import annotations

from collections.abc import Iterator

from space.plan import Block, Conv, Linear, Plan, Size

INPUT_SIZE = 256  # budgets are always meant here, whatever resolution a proxy trains at


def conv_macs(conv: Conv, side: int) -> Size:
    """Multiply-adds of a convolution on a `side` x `side` input: (h/s)^2 k^2 ci co."""
    return halved(side, conv.stride) ** 2 * conv.kernel**2 * conv.cin * conv.cout


def conv_params(conv: Conv) -> Size:
    """k^2 ci co weights, and the batch norm's scale and shift for each output channel."""
    return conv.kernel**2 * conv.cin * conv.cout + 2 * conv.cout


def conv_activations(conv: Conv, side: int) -> Size:
    return halved(side, conv.stride) ** 2 * conv.cout


def halved(side: int, stride: int) -> int:
    """Output side of a 3x3 (padding 1) or 1x1 convolution, or of a pool, of this stride."""
    return -(-side // stride)


def block_convs(block: Block, side: int) -> Iterator[tuple[Conv, int]]:
    """A block's convolutions, shortcut last, each with its input side."""
    current = side
    for conv in block.convs:
        yield conv, current
        current = halved(current, conv.stride)
    if block.shortcut is not None:
        yield block.shortcut, halved(side, block.stride)  # after the average pool


def plan_convs(plan: Plan, input_size: int = INPUT_SIZE) -> Iterator[tuple[str, Conv, int]]:
    """(part, convolution, input side) for every convolution; a part is stem or a stage's name."""
    side = input_size
    for conv in plan.stem:
        yield "stem", conv, side
        side = halved(side, conv.stride)
    side = halved(side, 2)  # max-pool
    for stage in plan.stages:
        for block in stage.blocks:
            for conv, conv_side in block_convs(block, side):
                yield stage.name, conv, conv_side
            side = halved(side, block.stride)


def linear_macs(linear: Linear) -> Size:
    return linear.cin * linear.cout


def layer_macs(plan: Plan, input_size: int = INPUT_SIZE) -> dict[str, int]:
    """Multiply-adds by layer, under the layers' own names."""
    by_layer = {conv.name: conv_macs(conv, side) for _, conv, side in plan_convs(plan, input_size)}
    return by_layer | {plan.head.name: linear_macs(plan.head)}


def stage_macs(plan: Plan, input_size: int = INPUT_SIZE) -> dict[str, int]:
    """Multiply-adds by part: stem, layer1..layer4, fc."""
    parts = {"stem": 0} | {stage.name: 0 for stage in plan.stages}
    for part, conv, side in plan_convs(plan, input_size):
        parts[part] += conv_macs(conv, side)
    return parts | {plan.head.name: linear_macs(plan.head)}


def macs(plan: Plan, input_size: int = INPUT_SIZE) -> int:
    return sum(stage_macs(plan, input_size).values())


def params(plan: Plan) -> int:
    """Learnable parameters of the whole network."""
    convs = sum(conv_params(conv) for _, conv, _ in plan_convs(plan))
    return convs + (plan.head.cin + 1) * plan.head.cout


def activations(plan: Plan, input_size: int = INPUT_SIZE) -> int:
    """Elements in the outputs of all convolutions, for one image."""
    return sum(conv_activations(conv, side) for _, conv, side in plan_convs(plan, input_size))
