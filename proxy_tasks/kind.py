"""What networks are searched for: a task by name, and what the commands ask of it.

The engine knows a `Task` (task.py): batches, a loss, a score. The commands ask a little more: which data,
who trains and who validates, what the score is called, which exports mean anything. A `TaskKind` answers
that, and is named on the command line by

    jmlr                      the default: face meshes and landmarks (proxy_tasks/jmlr/kind.py)
    NAME                      an entry point of the group jmlr_nas.tasks, of any package that is installed
    MODULE:ATTRIBUTE          an object that can be imported from here, such as examples.digits:KIND

So nothing is registered, and nothing above this package knows a task by name. `General` fills in what most
tasks would say alike. examples/digits.py is a whole one, which tests/test_second_task.py takes through
every command.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from proxy_tasks.proxy import Proxy

if TYPE_CHECKING:
    import torch

    from proxy_tasks.predicting import Asked, OpenSamples
    from proxy_tasks.task import OpenTask

GROUP = "jmlr_nas.tasks"
DEFAULT = "jmlr"
_OWN = {DEFAULT: "proxy_tasks.jmlr.kind:KIND"}

SCORE = "l_error_mm"  # key of the score in every metric, record and table, whatever the task: named after the
# first task's and kept, because runs that exist hold it. `Score` says what it is and in which unit.


@dataclass(frozen=True, slots=True)
class Score:
    """What a task's score is called, its unit ('' for a plain number) and the baseline; the least is best."""

    label: str = "L_error"
    unit: str = "mm"
    baseline: str = "mean face for every image"

    def text(self, value: float) -> str:
        """'L_error 12.30 mm'."""
        return f"{self.label} {self.amount(value)}"

    def amount(self, value: float) -> str:
        """'12.30 mm'."""
        return f"{value:.2f} {self.unit}".rstrip()

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Score:
        """What a run.json or metrics.json says; one of before scores had names is of the default task."""
        return cls(**record["score"]) if record.get("score") else cls()

    @property
    def title(self) -> str:
        """A column's: 'L_error, mm'."""
        return f"{self.label}, {self.unit}" if self.unit else self.label

    def words(self, text: str) -> str:
        """A sentence, table or page that speaks of the default task's score, in this one's words.

        Keys such as l_error_mm and data inside a page stay as they are.
        """
        if self == Score():
            return text
        unit = self.unit or "(no unit)"
        text = text.replace("mean face for every image", self.baseline)
        text = text.replace("Mean face for every image", self.baseline[:1].upper() + self.baseline[1:])
        text = text.replace("the mean face's error", "the baseline's error").replace(
            "mean face", self.baseline
        )
        text = text.replace(
            "L_error in millimetres", f"{self.label} in {self.unit}" if self.unit else self.label
        )
        text = re.sub(r"\bL_error\b", self.label, text)
        text = text.replace("(mm)", f"({unit})").replace(", mm", f", {unit}")
        return re.sub(r"([\s\u202f])mm\b", rf"\1{self.unit}" if self.unit else "", text)

    def to_dict(self) -> dict[str, str]:
        return asdict(self)


VALIDATION_SHARE = 0.2  # of a data set's subjects; the others train


@dataclass(frozen=True, slots=True)
class Samples:
    """The labelled part of a data set, before it is opened.

    path: what `open` takes, a folder or any other text; id: changes with what is in it, '' where that is not
    known yet; subjects: groups (people, say) that are split as a whole between training and validation.
    """

    path: str
    id: str
    subjects: int
    images: int


class TaskKind(Protocol):
    """A task that networks can be searched for. Stateless, and importable where a worker runs.

    What predicts, averages and shows errors asks for more, which a task may offer: predicting.py.
    """

    name: str
    score: Score
    outputs: int  # of its networks' last layer, as budgets and caps count it whatever data is open
    formats: tuple[str, ...]  # of nas.export, that mean something for its networks

    def look(self, data: str | None, proxy: Proxy) -> Samples:
        """What `data` holds; without one, what `make` would make. ValueError where it cannot be used."""
        ...

    def make(self, proxy: Proxy, say: Callable[[str], None], *, progress: bool = False) -> str:
        """Make the data of a search without --data where they are not there yet; what `open` takes."""
        ...

    def open(
        self,
        data: str,
        proxy: Proxy,
        device: torch.device | str = "auto",
        *,
        progress: bool = False,
        trainval: bool = False,
    ) -> OpenTask:
        """The data under a proxy's settings. trainval: the validation subjects train too."""
        ...

    def fingerprint(self, data: str, proxy: Proxy) -> str:
        """What the open task's `fingerprint` would be."""
        ...

    def kept_bytes(self, proxy: Proxy) -> int:
        """What one sample takes in the cache on disk."""
        ...


class General:
    """What most tasks say: any export but a face trainer's, nothing kept on disk, outputs that average."""

    score = Score("error", "", "best constant")
    formats: tuple[str, ...] = ("json", "timm", "scrfd", "onnx")

    def fingerprint(self: TaskKind, data: str, proxy: Proxy) -> str:
        """Found by opening the data."""
        return self.open(data, proxy, "cpu").fingerprint

    def kept_bytes(self, proxy: Proxy) -> int:
        """Nothing."""
        return 0

    def open_samples(self: TaskKind, asked: Asked, *, progress: bool = False) -> OpenSamples:
        """The validation samples, of a task that tells their inputs and errors."""
        from proxy_tasks.plain_predictions import OutputsOf

        return OutputsOf.open(self, asked, progress=progress)


def left_out_sentence(rows: Sequence[str], kept: int) -> str:
    """What to tell of samples ("name: reason") that cannot be used, beside those that can."""
    shown = "; ".join(rows[:3])
    return f"left out {len(rows)} of {kept + len(rows)} train samples that are missing or damaged ({shown})"


def find_kind(name: str | None) -> TaskKind:
    """A task by name or module:attribute, None the default; ValueError where there is none."""
    name = name or DEFAULT
    known = {point.name: point.value for point in importlib.metadata.entry_points(group=GROUP)} | _OWN
    where = known.get(name, name)
    module, colon, attribute = where.partition(":")
    if not colon:
        raise ValueError(
            f"there is no task {name!r}: give one of {', '.join(sorted(known))}, or module:attribute such as "
            "examples.digits:KIND"
        )
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"the task {name} cannot be imported ({error}): its module must be on Python's path, such as "
            f"below {Path.cwd()}"
        ) from None
    try:
        kind: TaskKind = getattr(found, attribute)
    except AttributeError:
        raise ValueError(f"the module {module} has no {attribute!r}, so it is no task") from None
    missing = [
        part for part in ("look", "make", "open", "score", "outputs", "formats") if not hasattr(kind, part)
    ]
    if missing:
        raise ValueError(
            f"{name} is no task: it has no {', '.join(missing)} (proxy_tasks/kind.py says what one has)"
        )
    return kind
