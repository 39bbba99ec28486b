"""Predictions of trained networks, averaged, as a stream.

What is averaged is the task's (proxy_tasks/predicting.py). Networks may be of
different resolutions. Nothing here holds more than a chunk of the data set.

Everything runs in float32, all of its bits (proxy_tasks.precision), whatever a
network was trained in: results should not depend on the batch size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nas.retrain.trained import Member
from proxy_tasks.engine import resolve_device
from proxy_tasks.machine_errors import is_out_of_memory
from proxy_tasks.memory import give_back
from proxy_tasks.precision import full_float32
from proxy_tasks.predicting import OpenSamples

LARGEST_BATCH = {"cuda": 1024, "cpu": 32}


@dataclass(frozen=True, slots=True)
class Prediction:
    """Of a chunk: rows (b,) of the samples, and their mean answers (b, *shape)."""

    rows: np.ndarray
    answers: Tensor


class Predictor:
    """Weighted mean of networks on one device."""

    def __init__(
        self,
        members: Sequence[Member],
        weights: Sequence[float],
        samples: OpenSamples,
        *,
        device: str | torch.device = "auto",
        flip: bool = True,
    ):
        self.device, self.samples = resolve_device(device), samples
        self.flip = flip and samples.mirrors
        self.sizes = [member.resolution for member in members]
        total = float(sum(weights))
        self.shares = [weight / total for weight in weights]
        self.models = [_on_device(member.model(), self.device) for member in members]
        self.batch = LARGEST_BATCH[self.device.type]

    def stream(self, rows: np.ndarray) -> Iterator[Prediction]:
        """Predictions of `rows` in order, in chunks as large as the device's memory takes."""
        start = 0
        while start < len(rows):
            chunk = rows[start : start + self.batch]
            try:
                yield self._chunk(chunk)
            except (RuntimeError, MemoryError) as error:
                if self.batch == 1 or not is_out_of_memory(error):
                    raise
                give_back(error)
                self.batch = max(1, self.batch // 2)
                continue
            start += len(chunk)

    @full_float32()
    @torch.inference_mode()
    def _chunk(self, rows: np.ndarray) -> Prediction:
        inputs = {size: self.samples.inputs(rows, size, self.device) for size in set(self.sizes)}
        mean = torch.zeros((), device=self.device)
        for model, size, share in zip(self.models, self.sizes, self.shares, strict=True):
            mean = mean + share * self.samples.answers(model, inputs[size], flip=self.flip)
        return Prediction(rows, mean)


def _on_device(model: nn.Module, device: torch.device) -> nn.Module:
    moved: Callable[..., nn.Module] = model.to
    return moved(device=device, memory_format=torch.channels_last).eval()
