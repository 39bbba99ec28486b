"""The one description of the network: block, depths and widths -> named layers with sizes.

space/cost.py reads a plan to count it, proxy_tasks/backbone.py reads it to build
it, so what is counted is what is trained. Module names are timm's (resnet34d),
and a state dict moves both ways unchanged. tests/test_space_flops.py holds the
two readings together, layer by layer.

The network is ResNet-D (He et al. 2019, "Bag of tricks"): a deep stem of three
3x3 convolutions, a 3x3 max-pool of stride 2, four stages of residual blocks at
strides 4, 8, 16 and 32, global average pool, one linear layer.

Sizes are whole numbers in a plan of one architecture. `build_block` also takes
numpy arrays for them, one entry for each architecture of a family; the tables of
space/cost.py are made that way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

OUTPUTS = 6100  # 1,220 vertices x (3 coordinates in space + 2 on the image)
STAGES = 4
IMAGE_CHANNELS, STEM_CHANNELS, STEM_OUT = 3, 32, 64
EXPANSION = {"basic": 1, "bottleneck": 4}  # a block's output channels over its width

Size: TypeAlias = Any  # int, or an int64 array with one entry for each member of a family


@dataclass(frozen=True, slots=True)
class Conv:
    """A convolution without bias, padding kernel // 2, always followed by the batch norm `norm`."""

    name: str
    norm: str
    cin: Size
    cout: Size
    kernel: int
    stride: int


@dataclass(frozen=True, slots=True)
class Block:
    """A residual block.

    The shortcut is the identity when it is None; otherwise its 1x1 convolution,
    which follows a 2x2 average pool of stride 2 (ceil mode, padding not counted)
    where the block has stride 2. ReLU follows every batch norm but the last and
    the shortcut's, and the sum of the two branches.
    """

    name: str
    cin: Size
    cout: Size
    stride: int
    convs: tuple[Conv, ...]
    shortcut: Conv | None


@dataclass(frozen=True, slots=True)
class Stage:
    name: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Linear:
    """The head, with bias."""

    name: str
    cin: Size
    cout: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Stem (each convolution with batch norm and ReLU), max-pool 3x3 of stride 2, stages, head."""

    stem: tuple[Conv, ...]
    stages: tuple[Stage, ...]
    head: Linear


def build_plan(block: str, depths: Sequence[int], widths: Sequence[int], outputs: int = OUTPUTS) -> Plan:
    """The layers of the network with these depths and widths and a linear head of `outputs` outputs."""
    stages, cin = [], STEM_OUT
    for index, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        blocks = []
        for position in range(depth):
            blocks.append(build_block(block, index, position, cin, width))
            cin = blocks[-1].cout
        stages.append(Stage(f"layer{index + 1}", tuple(blocks)))
    return Plan(build_stem(), tuple(stages), build_head(cin, outputs))


def build_stem() -> tuple[Conv, ...]:
    return (
        Conv("conv1.0", "conv1.1", IMAGE_CHANNELS, STEM_CHANNELS, kernel=3, stride=2),
        Conv("conv1.3", "conv1.4", STEM_CHANNELS, STEM_CHANNELS, kernel=3, stride=1),
        Conv("conv1.6", "bn1", STEM_CHANNELS, STEM_OUT, kernel=3, stride=1),
    )


def build_block(block: str, stage: int, position: int, cin: Size, width: Size) -> Block:
    """Block `position` of stage `stage`, both from 0.

    Where `cin` and `width` are arrays, either all members keep their channels or
    none does, so that all have the same layers; mixed families are refused.
    """
    name = f"layer{stage + 1}.{position}"
    stride = block_stride(stage, position)
    cout = width * EXPANSION[block]
    sizes = {"basic": ((3, width), (3, cout)), "bottleneck": ((1, width), (3, width), (1, cout))}[block]
    strided = {"basic": 0, "bottleneck": 1}[block]  # the first 3x3 convolution

    convs, channels = [], cin
    for index, (kernel, out) in enumerate(sizes):
        names = f"{name}.conv{index + 1}", f"{name}.bn{index + 1}"
        convs.append(Conv(*names, channels, out, kernel, stride if index == strided else 1))
        channels = out
    shortcut = None
    if stride > 1 or _differ(cin, cout):
        shortcut = Conv(f"{name}.downsample.1", f"{name}.downsample.2", cin, cout, kernel=1, stride=1)
    return Block(name, cin, cout, stride, tuple(convs), shortcut)


def block_stride(stage: int, position: int) -> int:
    """Every stage but the first halves the sides in its first block."""
    return 2 if stage > 0 and position == 0 else 1


def build_head(cin: Size, outputs: int = OUTPUTS) -> Linear:
    return Linear("fc", cin, outputs)


def _differ(cin: Size, cout: Size) -> bool:
    different = cin != cout
    if isinstance(different, bool):
        return different
    if different.any() != different.all():
        raise ValueError("a family of blocks keeps its channels in all its members or in none")
    return bool(different.any())
