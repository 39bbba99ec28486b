"""Predictions of a task whose networks' outputs average as they are: those of its validation samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from proxy_tasks.proxy import Proxy

if TYPE_CHECKING:
    from proxy_tasks.kind import TaskKind
    from proxy_tasks.predicting import Asked, Trained
    from proxy_tasks.task import OpenTask


@dataclass(frozen=True, slots=True)
class Errors:
    """Scores of samples that are one number each (n,)."""

    l_error_mm: NDArray[np.float64]

    @classmethod
    def concatenate(cls, parts: list[Errors]) -> Errors:
        """One after the other."""
        return cls(np.concatenate([part.l_error_mm for part in parts]))

    def summary(self) -> dict[str, float]:
        """The mean and the median."""
        return {"l_error_mm": float(self.l_error_mm.mean()), "median": float(np.median(self.l_error_mm))}


class OutputsOf:
    """All validation samples of a task whose networks' outputs average as they are, at every resolution.

    The open task has, beside what the engine asks, `inputs(rows) -> (b, 3, S, S)` and
    `errors(outputs, rows) -> (b,)` of its validation samples (rows: (b,) int64 tensors on the CPU), and
    `validation_subjects` (n,) where it has several samples of a subject.
    """

    parts: Mapping[str, str] = {}
    mirrors = False

    def __init__(self, tasks: Mapping[int, Any]):
        """The same samples, open at each resolution."""
        self.tasks, self.any = tasks, next(iter(tasks.values()))
        people = getattr(self.any, "validation_subjects", self.any.split[1])
        self.subjects = np.array(people)
        numbers = np.array([str(i) for i in range(len(people))])
        self.names: Mapping[str, NDArray[np.str_]] = {"sample": numbers, "subject_id": self.subjects}
        self.shape: tuple[int, ...] = (self.any.outputs,)
        self.arrays_shapes: Mapping[str, tuple[int, ...]] = {"outputs": self.shape}

    @classmethod
    def open(cls, kind: TaskKind, asked: Asked, *, progress: bool = False) -> OutputsOf:
        """Of the networks' own validation subjects; ValueError for what there is not."""
        if asked.split == "test" or asked.only is not None:
            raise ValueError(f"the task {kind.name} has validation samples alone: --split val, and no --list")
        proxy = Proxy.from_dict(dict(asked.networks[0].record["proxy"])).replace(validation_images=0)
        tasks = {}
        for size in sorted({network.resolution for network in asked.networks}):
            tasks[size] = kind.open(asked.data, proxy.replace(resolution=size), "cpu", progress=progress)
        for task in tasks.values():
            if not (hasattr(task, "inputs") and hasattr(task, "errors")):
                raise ValueError(
                    f"the task {kind.name} offers no predictions: it tells no `inputs` and `errors` of its "
                    "validation samples (see proxy_tasks/plain_predictions.py)"
                )
            for network in asked.networks:
                require_data(network, task)
        return cls(tasks)

    def __len__(self) -> int:
        return len(self.subjects)

    def inputs(self, rows: NDArray[np.int64], resolution: int, device: torch.device) -> Tensor:
        """(b, 3, S, S) on the device."""
        return self.tasks[resolution].inputs(_tensor(rows)).to(device)

    def answers(self, network: Callable[[Tensor], Tensor], inputs: Tensor, *, flip: bool) -> Tensor:
        """The outputs."""
        return network(inputs)

    def arrays(self, answers: Tensor, rows: NDArray[np.int64]) -> dict[str, Tensor]:
        """The mean outputs."""
        return {"outputs": answers}

    def errors(self, arrays: Mapping[str, Tensor], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """(b,) as the task scores."""
        return self.any.errors(arrays["outputs"].cpu(), _tensor(rows)).double().numpy()

    def scores(self, answers: Tensor, rows: NDArray[np.int64]) -> Errors:
        """As the task scores."""
        return Errors(self.errors({"outputs": answers}, rows))

    def picture(self, row: int, arrays: Mapping[str, NDArray]) -> tuple[str, NDArray[np.uint8]]:
        """There is nothing to draw: ValueError."""
        raise ValueError("this task's predictions cannot be drawn: leave out --overlay")


def require_data(network: Trained, task: OpenTask) -> None:
    """ValueError unless the network was trained on this very data, for this target."""
    theirs = {key: network.record.get(key) for key in task.target}
    if network.record["data_id"] != task.samples.id or theirs != task.target:
        raise ValueError(
            f"{network.name} was trained on other data ({network.record['data_id']}, {theirs}) than the "
            f"task has here ({task.samples.id}, {task.target})"
        )


def _tensor(rows: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(np.asarray(rows, np.int64))
