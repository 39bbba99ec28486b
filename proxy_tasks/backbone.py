"""The network of a layer plan, with timm's module names.

ResNet-D: deep stem, average-pool shortcuts, basic or bottleneck blocks, global
average pool, one linear layer. A state dict of timm's `ResNet(stem_type="deep",
stem_width=32, avg_down=True, channels=...)` loads strictly, and the other way.
Two things differ from timm: the sizes come from space.plan alone, and the
linear layer runs in float32 under autocast (its outputs are pixels and
millimetres, which eight bits of mantissa would round).
tests/test_proxy_backbone.py, tests/test_space_flops.py.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from proxy_tasks.small_conv import is_small, small_conv3x3
from space.arch import ArchSpec
from space.plan import Block, Conv, Plan


def build_model(spec: ArchSpec, outputs: int = 6100, *, seed: int = 0) -> ResNet:
    """Network of `spec`: (B, 3, S, S) images in [-1, 1] -> (B, outputs).

    With outputs = 5 V: 3 V vertex coordinates, then 2 V landmark coordinates, normalised as in
    proxy_tasks.jmlr.heads. The same seed gives the same weights; the global generator is untouched.
    """
    with torch.device("meta"):
        model = ResNet(spec.plan(outputs))
    model.to_empty(device="cpu")
    initialise(model, torch.Generator().manual_seed(seed))
    return model


def initialise(model: ResNet, generator: torch.Generator) -> None:
    """He et al. (2015) fan-out normal convolutions; each block starts as its shortcut (last gamma 0)."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01, generator=generator)
            nn.init.zeros_(module.bias)
    for module in model.modules():
        if isinstance(module, ResidualBlock):
            nn.init.zeros_(module.last_norm.weight)


class ResNet(nn.Module):
    """The plan as modules; `plan` stays readable on the model."""

    def __init__(self, plan: Plan):
        super().__init__()
        self.plan = plan
        *inner, last = plan.stem
        stem: list[nn.Module] = []
        for conv in inner:
            stem += [_conv(conv), nn.BatchNorm2d(conv.cout), nn.ReLU(inplace=True)]
        self.conv1 = nn.Sequential(*stem, _conv(last))
        self.bn1 = nn.BatchNorm2d(last.cout)
        self.act1 = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        for stage in plan.stages:
            self.add_module(stage.name, nn.Sequential(*(ResidualBlock(b) for b in stage.blocks)))
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(plan.head.cin, plan.head.cout)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, outputs), float32."""
        x = self.maxpool(self.act1(self.bn1(self.conv1(images))))
        for stage in self.plan.stages:
            x = self.get_submodule(stage.name)(x)
        x = self.global_pool(x).flatten(1)
        with torch.autocast(x.device.type, enabled=False):
            return self.fc(x.float())


class ResidualBlock(nn.Module):
    """Convolutions, each with batch norm, around a shortcut; ReLU between and after."""

    def __init__(self, block: Block):
        super().__init__()
        self.depth = len(block.convs)
        for i, conv in enumerate(block.convs, start=1):
            self.add_module(f"conv{i}", _conv(conv))
            self.add_module(f"bn{i}", nn.BatchNorm2d(conv.cout))
            self.add_module(f"act{i}", nn.ReLU(inplace=True))
        self.downsample = _shortcut(block) if block.shortcut else None

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        return cast(nn.BatchNorm2d, self.get_submodule(f"bn{self.depth}"))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        modules = cast(dict[str, nn.Module], self._modules)
        for i in range(1, self.depth + 1):
            x = modules[f"bn{i}"](modules[f"conv{i}"](x))
            x = modules[f"act{i}"](x if i < self.depth else x.add_(shortcut))
        return x


class Convolution(nn.Conv2d):
    """nn.Conv2d; a CPU trains a 3x3 one of few pixels as proxy_tasks.small_conv does."""

    def forward(self, input: Tensor) -> Tensor:
        on_cpu = self.training and input.device.type == "cpu" and self.kernel_size == (3, 3)
        if on_cpu and is_small(input, self.stride[0]):
            return small_conv3x3(input, self.weight, self.stride[0])
        return super().forward(input)


def _conv(conv: Conv) -> nn.Conv2d:
    return Convolution(conv.cin, conv.cout, conv.kernel, conv.stride, padding=conv.kernel // 2, bias=False)


def _shortcut(block: Block) -> nn.Sequential:
    assert block.shortcut is not None
    pool: nn.Module = nn.Identity()
    if block.stride > 1:
        pool = nn.AvgPool2d(2, block.stride, ceil_mode=True, count_include_pad=False)
    return nn.Sequential(pool, _conv(block.shortcut), nn.BatchNorm2d(block.shortcut.cout))
