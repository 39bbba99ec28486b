"""The JMLR trainer's `resnet_jmlr` for another architecture, in one file that needs torch alone.

insightface's reconstruction/jmlr builds its network with
`resnet_jmlr(num_classes=..., base_width=64)`, whose layers and channels are
fixed and whose head expects 512 features. This function has the same name,
arguments, attributes and parameter names for the architecture below. To use it:

1. copy this file to reconstruction/jmlr/backbones/resnet_jmlr.py;
2. in backbones/network.py import `resnet_jmlr` from `.resnet_jmlr`, not `.resnet`;
3. keep `config.network = 'resnet_jmlr'`; to start from the exported weights,
   load backbone.pth's "model" into `get_network(cfg)`.

`config.use_arcface` and `config.eyes` expect 512 features whatever the network:
with them the last width must be 512.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

BLOCK = "basic"
DEPTHS = (5, 3, 4, 2)
WIDTHS = (64, 160, 272, 512)


def resnet_jmlr(
    pretrained: bool = False,
    num_classes: int = 6100,
    base_width: int = 64,
    global_pool: str | None = "avg",
    in_chans: int = 3,
) -> JmlrResNet:
    """The network above: (B, 3, S, S) -> (B, num_classes), or pooled features where that is 0.

    global_pool None leaves the (B, C, S/32, S/32) feature map to the caller; num_classes is then 0.
    """
    if pretrained:
        raise ValueError("there are no pretrained weights: load backbone.pth")
    if base_width != 64:
        raise ValueError(
            f"this architecture has its own widths: set config.width_mult = 1.0, not {base_width / 64:g}"
        )
    if global_pool not in ("avg", "", None):
        raise ValueError(f"global_pool is 'avg' or None, got {global_pool!r}")
    if not global_pool and num_classes:
        raise ValueError(f"without pooling there is no head of {num_classes} outputs: set num_classes = 0")
    return JmlrResNet(num_classes, in_chans, bool(global_pool))


class JmlrResNet(nn.Module):
    """ResNet-D: deep stem of three 3x3 convolutions, four stages, average-pool shortcuts."""

    def __init__(self, num_classes: int, in_chans: int, pooled: bool):
        super().__init__()
        expansion = 4 if BLOCK == "bottleneck" else 1
        stem = [_conv(in_chans, 32, 3, 2), *_norm_act(32), _conv(32, 32, 3), *_norm_act(32), _conv(32, 64, 3)]
        self.conv1 = nn.Sequential(*stem)
        self.bn1, self.act1 = _norm_act(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        cin = 64
        for i, (depth, width) in enumerate(zip(DEPTHS, WIDTHS, strict=True)):
            blocks = []
            for j in range(depth):
                blocks.append(_Block(cin, width, width * expansion, 2 if i and not j else 1))
                cin = width * expansion
            self.add_module(f"layer{i + 1}", nn.Sequential(*blocks))
        self.num_features = cin
        self.num_classes = num_classes
        self.global_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1)) if pooled else nn.Identity()
        self.fc = nn.Linear(cin, num_classes) if num_classes else nn.Identity()
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if isinstance(module, _Block):
                nn.init.zeros_(module.last_norm.weight)

    def forward_features(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.act1(self.bn1(self.conv1(x))))
        for i in range(1, 5):
            x = getattr(self, f"layer{i}")(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.global_pool(self.forward_features(x)))


class _Block(nn.Module):
    """Basic (two 3x3) or bottleneck (1x1, 3x3, 1x1) residual block."""

    def __init__(self, cin: int, width: int, cout: int, stride: int):
        super().__init__()
        if BLOCK == "bottleneck":
            convs = [_conv(cin, width, 1), _conv(width, width, 3, stride), _conv(width, cout, 1)]
        else:
            convs = [_conv(cin, width, 3, stride), _conv(width, cout, 3)]
        for i, conv in enumerate(convs, start=1):
            self.add_module(f"conv{i}", conv)
            self.add_module(f"bn{i}", nn.BatchNorm2d(conv.out_channels))
        self.count = len(convs)
        self.act = nn.ReLU(inplace=True)
        self.downsample = None
        if stride > 1 or cin != cout:
            pool = (
                nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False) if stride > 1 else nn.Identity()
            )
            self.downsample = nn.Sequential(pool, _conv(cin, cout, 1), nn.BatchNorm2d(cout))

    @property
    def last_norm(self) -> Any:
        return getattr(self, f"bn{self.count}")

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        for i in range(1, self.count + 1):
            x = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x))
            x = self.act(x if i < self.count else torch.add(x, shortcut))
        return x


def _conv(cin: int, cout: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(cin, cout, kernel, stride, padding=kernel // 2, bias=False)


def _norm_act(channels: int) -> tuple[nn.BatchNorm2d, nn.ReLU]:
    return nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
