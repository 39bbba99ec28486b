"""A training step as one CUDA graph: recorded once a run, then replayed.

A deep network's step is over a thousand small kernels, and launching them takes a CPU longer than they take
a GPU. A graph launches all at once. What it replays is fixed: shapes, memory and every number that was the
CPU's when it was recorded. So a step that is recorded takes its inputs in buffers, its learning rate from a
tensor, and never asks the device for a value; the optimizer and the averaged weights stay in the memory that
they had. The first steps run eagerly, on a stream of their own, while cuDNN chooses its algorithms and the
optimizer makes its state; they are steps of the run like any other.

Where recording fails for another reason than memory, a warning says why, and this run and those after it in
the process go on eagerly.
tests/test_proxy_graphs.py records on a CPU by a dispatch mode that, like a graph, freezes all but memory.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from proxy_tasks.machine_errors import behind, is_out_of_memory

log = logging.getLogger(__name__)

WARMUP = 3  # eager steps before the recording

Step = Callable[[Tensor, Any], Tensor]  # (images, targets) -> loss, all on the device
Recorder = Callable[[Step, Tensor, Any], tuple[Callable[[], None], Tensor]]  # -> replay, the loss it fills


_useless: list[Recorder] = []  # with which a recording has failed in this process


class GraphedStep:
    """`step` called as before, replayed from its fourth call on. The loss is overwritten by the next call."""

    def __init__(self, step: Step, *, warmup: int = WARMUP, record: Recorder | None = None):
        self._record = record or record_cuda
        self._step, self._left = step, -1 if self._record in _useless else warmup
        self._aside = aside if record is None else _in_place
        self._replay: Callable[[], None] | None = None
        self._inputs: list[Tensor] = []
        self._loss: Tensor | None = None

    def __call__(self, images: Tensor, targets: Any) -> Tensor:
        """The loss of one step on (images, targets)."""
        if self._left > 0:
            self._left -= 1
            return self._aside(self._step, images, targets)
        given, form = pytree.tree_flatten((images, targets))
        if self._replay is None and not self._begin(given, form):
            self._replay = None
            return self._step(images, targets)
        if any(a.shape != b.shape for a, b in zip(given, self._inputs, strict=True)):
            return self._step(images, targets)
        for buffer, value in zip(self._inputs, given, strict=True):
            buffer.copy_(value, non_blocking=True)
        assert self._replay is not None and self._loss is not None
        self._replay()
        return self._loss

    def _begin(self, given: list[Any], form: Any) -> bool:
        """Record the step on copies of these inputs; False where that cannot be done."""
        if self._left < 0 or not all(isinstance(value, Tensor) for value in given):
            return False
        self._inputs = [torch.empty_like(value).copy_(value) for value in given]
        try:
            self._replay, self._loss = self._record(self._step, *pytree.tree_unflatten(self._inputs, form))
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            *_, cause = behind(error)  # ending a broken recording raises an error of its own
            log.warning("the training step cannot be a CUDA graph (%s): going on eagerly", cause)
            self._inputs, self._left = [], -1
            _useless.append(self._record)
            return False
        return True


def record_cuda(step: Step, images: Tensor, targets: Any) -> tuple[Callable[[], None], Tensor]:
    """A CUDA graph of `step` on these tensors. Recording runs nothing: the first replay is the first run.

    Other threads may pin memory meanwhile, which the default mode would take for an error of the recording.
    """
    graph, here = torch.cuda.CUDAGraph(), torch.cuda.current_stream(images.device)
    stream = _side_stream(images.device)  # torch's own lies on the device that was current when it was made
    try:
        with (
            torch.cuda.device(images.device),
            torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"),
        ):
            loss = step(images, targets)
    except BaseException:
        torch.cuda.set_stream(here)  # a recording that cannot be ended leaves its own
        raise
    return graph.replay, loss


def aside(step: Step, images: Tensor, targets: Any) -> Tensor:
    """`step` on a stream of its own, as torch asks for before a recording."""
    here, side = torch.cuda.current_stream(images.device), _side_stream(images.device)
    side.wait_stream(here)
    with torch.cuda.stream(side):
        loss = step(images, targets)
    here.wait_stream(side)
    return loss


def _side_stream(device: torch.device) -> torch.cuda.Stream:
    if device not in _streams:
        _streams[device] = torch.cuda.Stream(device)
    return _streams[device]


_streams: dict[torch.device, torch.cuda.Stream] = {}


def _in_place(step: Step, images: Tensor, targets: Any) -> Tensor:
    return step(images, targets)
