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

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def decay(share: float, steps: int) -> float:
    """Factor a step on what was, so that the mean age of what is averaged is `share` of `steps`."""
    return 1.0 - 1.0 / max(share * steps, 1.0)


class WeightAverage:
    """The average of a model in training; `update` after every step."""

    def __init__(self, model: nn.Module, share: float, steps: int):
        self._model = model
        average = get_ema_multi_avg_fn(decay(share, steps))
        self._averaged = AveragedModel(model, multi_avg_fn=average, use_buffers=True)

    def update(self) -> None:
        """Take the model's present weights in."""
        self._averaged.update_parameters(self._model)

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

    def _exchange(self) -> None:
        for mine, other in zip(_tensors(self._model), _tensors(self._averaged.module), strict=True):
            mine.data, other.data = other.data, mine.data


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    return chain(model.parameters(), model.buffers())
