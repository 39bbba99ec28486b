"""The weights that a run is scored by: an exponential moving average of those that it trains.

Averaging takes out the noise of the last steps, so that two seeds of one network end nearer to each
other (Polyak and Juditsky 1992; as here, Tarvainen and Valpola 2017). The window is a share of the run,
so a run that is stretched averages over a stretched window. Batch norm's statistics are averaged with the
weights. torch.optim.swa_utils holds the average; tests/test_proxy_average.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def decay(share: float, steps: int) -> float:
    """Factor a step on what was, so that the mean age of what is averaged is `share` of `steps`."""
    return 1.0 - 1.0 / max(share * steps, 1.0)


class WeightAverage:
    """The average of a model in training; `update` after every step."""

    def __init__(self, model: nn.Module, share: float, steps: int):
        self._model = model
        self._averaged = AveragedModel(model, use_buffers=True)
        self._begun = False
        self._taken = 1.0 - decay(share, steps)
        self._pairs = _by_kind(model, self._averaged.module)

    @property
    def averaged(self) -> nn.Module:
        """The average, as a network."""
        return self._averaged.module

    def update(self) -> None:
        """Take the model's present weights in. Waits for no device, and touches the same memory every time.

        torch's own `update_parameters` copies its count to the device each time, which waits.
        """
        (mine, other), rest = self._pairs
        with torch.no_grad():
            if not self._begun:
                torch._foreach_copy_(other, mine)
                self._averaged.n_averaged.fill_(1)
                self._begun = True
            else:
                torch._foreach_lerp_(other, mine, self._taken)
            for count, kept in rest:
                kept.copy_(count)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Inside, the model holds the average; after it, what it trains, in the memory that it had."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def give(self) -> None:
        """Leave the average in the model for good."""
        self._model.load_state_dict(self._averaged.module.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return self._averaged.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of state_dict."""
        self._averaged.load_state_dict(state)
        self._begun = bool(self._averaged.n_averaged)

    def _exchange(self) -> None:
        for mine, other in zip(_tensors(self._model), _tensors(self._averaged.module), strict=True):
            mine.data, other.data = other.data, mine.data


def _by_kind(
    model: nn.Module, averaged: nn.Module
) -> tuple[tuple[list[Tensor], list[Tensor]], list[tuple[Tensor, Tensor]]]:
    """(the model's numbers, their averages), [(a count of the model's, its copy)], by memory.

    `shown` exchanges what parameters refer to; these go on referring to what is trained and what is averaged.
    """
    pairs = [(a.detach(), b.detach()) for a, b in zip(_tensors(model), _tensors(averaged), strict=True)]
    numbers = [pair for pair in pairs if pair[0].is_floating_point()]
    counts = [pair for pair in pairs if not pair[0].is_floating_point()]
    return ([a for a, _ in numbers], [b for _, b in numbers]), counts


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    return chain(model.parameters(), model.buffers())
