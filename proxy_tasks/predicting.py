"""What predictions, ensembles and figures of errors ask of a task, where it offers them.

Networks are averaged, and what may be averaged is the task's to say: of a face mesh not the outputs but
vertices and landmarks, carried back from the crop that each network saw. So

    inputs -> network -> answers -> their mean over networks -> arrays (stored, drawn) and scores

where `answers` are (b, *shape) numbers that mean the same whoever gives them. A kind offers what it likes:

    open_samples(asked)      nas.predict and nas.ensemble
    lay_out(images, ...)     nas.predict --images
    judge(file, data)        the report's errors by kind of sample

`kind.General` opens the validation samples of any task that tells their inputs and errors
(plain_predictions.py). What one lacks is refused in a sentence (`offered`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from proxy_tasks.kind import TaskKind


class Trained(Protocol):
    """A network that was trained, as its metrics.json describes it."""

    @property
    def name(self) -> str: ...

    @property
    def resolution(self) -> int: ...

    @property
    def record(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """Which samples to open, for which networks.

    data: what `TaskKind.open` takes;  split: the validation subjects' samples, or the test ones;
    only: a list of samples, in the task's own form;  absent: what to do with listed samples that cannot be
    used: refuse, let a few be left out with a warning as training does, or leave out however many.
    """

    data: str
    split: Literal["val", "test"]
    networks: Sequence[Trained]
    absent: Literal["refuse", "few", "skip"] = "refuse"
    only: Path | None = None


class SampleScores(Protocol):
    """Scores of n samples: the task's score of each, in its unit, and means of everything that it tells."""

    @property
    def l_error_mm(self) -> NDArray[np.float64]:
        """(n,) the score (see kind.SCORE)."""
        ...

    def summary(self) -> dict[str, float]:
        """Means by name: l_error_mm, and `OpenSamples.parts`."""
        ...

    @classmethod
    def concatenate(cls, parts: list[Any]) -> SampleScores: ...


class OpenSamples(Protocol):
    """n samples that trained networks can be asked about. `rows` below are (b,) places among them."""

    names: Mapping[str, NDArray[np.str_]]  # (n,) each: what a file of predictions calls the samples
    subjects: NDArray[np.str_]  # (n,) groups that are drawn as a whole
    shape: tuple[int, ...]  # of one sample's answer
    arrays_shapes: Mapping[str, tuple[int, ...]]  # of one sample's row in each array that is stored
    parts: Mapping[str, str]  # what the score is made of: key in a summary -> a column's heading
    mirrors: bool  # whether answers to a mirrored picture can be carried back and averaged too

    def __len__(self) -> int: ...

    def inputs(self, rows: NDArray[np.int64], resolution: int, device: torch.device) -> Any:
        """What `answers` takes, for networks of one resolution."""
        ...

    def answers(self, network: Callable[[Tensor], Tensor], inputs: Any, *, flip: bool) -> Tensor:
        """(b, *shape) of one network; flip: its mean with what it says of the mirrored picture."""
        ...

    def arrays(self, answers: Tensor, rows: NDArray[np.int64]) -> dict[str, Tensor]:
        """What is stored of mean answers (b, *shape), (b, ...) each as in `arrays_shapes`."""
        ...

    def errors(self, arrays: Mapping[str, Tensor], rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """(b,) scores of stored arrays; None where there are no labels."""
        ...

    def scores(self, answers: Tensor, rows: NDArray[np.int64]) -> SampleScores:
        """Scores of mean answers (b, *shape), of samples that have labels."""
        ...

    def picture(self, row: int, arrays: Mapping[str, NDArray]) -> tuple[str, NDArray[np.uint8]]:
        """A file's stem, and (H, W, 3) BGR: one sample with its row of the stored arrays drawn over it."""
        ...


class NoLabels(ValueError):
    """Predictions whose errors cannot be told here."""


class Judged(Protocol):
    """n samples of a file of predictions whose labels are known."""

    l_error_mm: NDArray[np.float64]  # (n,) the score (see kind.SCORE)
    images: int  # in the file

    @property
    def names(self) -> Sequence[str]:
        """(n,) what to call the samples."""
        ...

    @property
    def subjects(self) -> NDArray[np.str_]:
        """(n,) groups that are drawn as a whole."""
        ...

    @property
    def axes(self) -> Mapping[str, NDArray[np.float64]]:
        """What errors are shown by: an axis's label -> (n,) values."""
        ...

    @property
    def sort(self) -> tuple[str, NDArray[np.str_]]:
        """What sorts the samples, such as the facial action, and (n,) its values."""
        ...

    def picture(self, place: int) -> NDArray[np.uint8]:
        """(S, S, 3) RGB: a sample with its prediction drawn over it."""
        ...


def offered(kind: TaskKind, part: str, what: str) -> Any:
    """A part of a task that not all have; ValueError where this one lacks it."""
    found = getattr(kind, part, None)
    if found is None:
        raise ValueError(
            f"the task {kind.name} offers no {what}: it has no `{part}` (see proxy_tasks/predicting.py)"
        )
    return found
