"""Networks to be timed: a forward pass of a plan under given conditions, as a function without arguments.

Times do not depend on the values of weights, so all networks share one stretch of memory, and making one
takes some tens of milliseconds. Layers of the same network never share: each would find its weights in the
cache. Weights are small normal numbers: zeros, and numbers that underflow, take other times.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from proxy_tasks.backbone import ResNet
from proxy_tasks.latency.device import device_of, threads_of
from proxy_tasks.latency.onnx_graph import graph_of, runner
from space.arch import ArchSpec
from space.arrays import Floats
from space.latency import Conditions

Run = Callable[[], Any]
SCALE = 0.02  # of the weights
_LINE = 16  # numbers that a layer's weights start at a multiple of: a cache line of float32


class Networks:
    """Makes networks that run under `conditions`; sets torch's threads to theirs."""

    def __init__(self, conditions: Conditions) -> None:
        self.conditions = conditions
        self.device = device_of(conditions)
        if (threads := threads_of(conditions)) is not None:
            torch.set_num_threads(threads)
        shape = (conditions.batch, 3, conditions.input_size, conditions.input_size)
        generator = torch.Generator().manual_seed(0)
        images = torch.rand(shape, generator=generator) * 2 - 1
        self._images = images.to(self.device, memory_format=torch.channels_last)
        self._memory = torch.empty(0, device=self.device)

    def forward(self, spec: ArchSpec) -> Run:
        """One forward pass of `spec`, ended when it returns."""
        if self.conditions.mode == "onnxruntime":
            return self._onnxruntime(spec)
        model: Any = self._model(spec)
        if self.conditions.mode == "compiled":
            model = torch.compile(model, dynamic=False)
        bf16, cuda = self.conditions.precision == "bf16", self.device.type == "cuda"

        def run() -> Tensor:
            with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
                outputs: Tensor = model(self._images)
            if cuda:
                torch.cuda.synchronize(self.device)
            return outputs

        return run

    def _onnxruntime(self, spec: ArchSpec) -> Run:
        c, at = self.conditions, 0
        memory = self._at_least(spec.params(c.outputs)).cpu().numpy()

        def weight(name: str, shape: tuple[int, ...]) -> Floats:
            nonlocal at
            at += math.prod(shape)
            return np.asarray(memory[at - math.prod(shape) : at].reshape(shape))

        graph = graph_of(spec.plan(c.outputs), c.batch, c.input_size, weight)
        images = self._images.cpu().contiguous().numpy()
        return runner(graph, images, threads_of(c), cuda=self.device.type == "cuda")

    def _model(self, spec: ArchSpec) -> ResNet:
        with torch.device("meta"):
            model = ResNet(spec.plan(self.conditions.outputs))
        memory, at = self._at_least(spec.params(self.conditions.outputs) + 1_000 * _LINE), 0
        for module in model.modules():
            for name, parameter in list(module.named_parameters(recurse=False)):
                if isinstance(module, nn.BatchNorm2d):
                    value = torch.full_like(parameter, name == "weight", device=self.device)
                else:
                    value = _laid(memory[at : at + parameter.numel()], parameter.shape)
                    at += -(-parameter.numel() // _LINE) * _LINE
                setattr(module, name, nn.Parameter(value, requires_grad=False))
            for name, buffer in list(module.named_buffers(recurse=False)):
                module.register_buffer(
                    name, torch.full_like(buffer, name == "running_var", device=self.device)
                )
        return model.eval()

    def _at_least(self, numbers: int) -> Tensor:
        """The shared memory, grown to hold so many numbers."""
        if len(self._memory) < numbers:
            generator = torch.Generator().manual_seed(0)
            values = torch.randn(int(1.2 * numbers), generator=generator) * SCALE
            self._memory = values.to(self.device)
        return self._memory


def _laid(flat: Tensor, shape: torch.Size) -> Tensor:
    """A view of this shape, channels last where it has four sides."""
    if len(shape) != 4:
        return flat.view(shape)
    out, channels, height, width = shape
    return flat.view(out, height, width, channels).permute(0, 3, 1, 2)
