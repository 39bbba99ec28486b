"""What the engine asks of a task: batches, a loss and a score."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from proxy_tasks.kind import Samples


@dataclass(frozen=True, slots=True)
class World:
    """Which slice of every global batch this process trains on."""

    rank: int = 0
    size: int = 1

    def part(self, batch: int) -> slice:
        """This process's slice of a global batch; ValueError where it does not split evenly."""
        if batch % self.size:
            raise ValueError(f"a global batch of {batch} does not split evenly over {self.size} processes")
        share = batch // self.size
        return slice(self.rank * share, (self.rank + 1) * share)


@dataclass(frozen=True, slots=True)
class Step:
    """One optimizer step: the samples of the global batch, and the seed of its augmentation."""

    indices: Tensor  # (batch,) int64, into the training samples
    seed: int


class Task(Protocol):
    """What is learnt and how it is scored; knows nothing of optimizers."""

    outputs: int

    @property
    def fingerprint(self) -> str:
        """Name of the data and how it is read; a checkpoint of another is refused."""
        ...

    @property
    def train_size(self) -> int:
        """Number of training samples."""
        ...

    def prepare(self, model: nn.Module) -> None:
        """Set what the data says about a fresh model, such as the bias of its last layer."""
        ...

    def batches(self, steps: Iterable[Step], world: World) -> Iterator[tuple[Tensor, Any]]:
        """This process's inputs (b, 3, S, S) on the device, and the targets that `loss` takes."""
        ...

    def loss(self, outputs: Tensor, targets: Any) -> Tensor:
        """Scalar mean loss of (b, outputs)."""
        ...

    def evaluate(self, predict: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """Validation metrics of a function (b, 3, S, S) -> (b, outputs); has `l_error_mm`."""
        ...


class OpenTask(Task, Protocol):
    """A task on data that is open: what the engine asks, and what a record says about it."""

    samples: Samples
    split: tuple[tuple[str, ...], tuple[str, ...]]  # training and validation subjects, trainval or not
    left_out: tuple[str, ...]  # samples that cannot be read, and why
    target: dict[str, Any]  # what outputs mean beyond their number: networks of different targets do not mix

    @property
    def validation_size(self) -> int:
        """Number of validation samples that are scored."""
        ...

    def baseline(self) -> dict[str, float]:
        """Metrics of the best constant prediction, as `evaluate` gives them."""
        ...
