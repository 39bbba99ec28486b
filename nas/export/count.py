"""A second opinion on a network's multiply-adds: fvcore's convolution and linear operators.

fvcore traces the built network and never sees the plan that space.cost reads,
so the two agreeing says that what is counted is what is built.
"""

from __future__ import annotations

import logging
import warnings

import torch

from proxy_tasks.backbone import build_model
from space.arch import ArchSpec
from space.cost import INPUT_SIZE

COUNTED = ("conv", "linear")  # fvcore's names; its batch norm and pooling are not multiply-adds here


def fvcore_macs(arch: ArchSpec, outputs: int, input_size: int = INPUT_SIZE) -> int:
    """Multiply-adds of the built network's convolutions and linear layers on one image."""
    model = build_model(arch, outputs).eval()
    logging.getLogger("fvcore.nn.jit_analysis").setLevel(logging.ERROR)  # operators that it leaves out
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # fvcore scripts and traces, both deprecated in torch
        from fvcore.nn import FlopCountAnalysis

        counts = FlopCountAnalysis(model, torch.zeros(1, 3, input_size, input_size)).by_operator()
    return int(sum(counts.get(name, 0) for name in COUNTED))
