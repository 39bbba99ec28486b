"""One training run of one architecture, wherever it happens.

A `Job` says what to train; an `Objective` trains it, calls back after every
validation, and resumes from the checkpoint where there is one; `run` turns
whatever happens into an `Ending`. The same three serve the launcher in this
process and the one on a Ray cluster, and an objective is named by its import
path, so a simulation (nas/trials/standin.py) takes the place of training
without the driver knowing.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from nas.trials.places import Place, Places
from proxy_tasks.engine import Epoch, Outcome
from proxy_tasks.kind import Score
from proxy_tasks.machine_errors import is_device_broken, is_disk_full, is_interrupt, is_out_of_memory
from proxy_tasks.memory import give_back
from proxy_tasks.proxy import Proxy
from space import ArchSpec

log = logging.getLogger(__name__)

FORMER = {
    "nas.standin": "nas.trials.standin",
    "nas.trial": "nas.trials.training",
}  # in runs that were recorded then
DONE = "done"  # what `Jobs.next` says when nothing is left to do
NAMED = 50  # rows left out of the data that a record names; the cache's meta.json names all


@dataclass(frozen=True, slots=True)
class Facts:
    """What the record says about the data of a search."""

    path: str
    fingerprint: str
    subjects: int
    images: int
    outputs: int
    baseline: dict[str, float]  # the mean face for every validation image; l_error_mm and its parts
    left_out: tuple[str, ...] = ()  # rows of the data whose files are missing or damaged, and why
    score: Score = field(default_factory=Score)  # what the errors are called
    rows: str = ""  # hash of the samples that train and validate, "" where a task has none

    def of_data(self) -> dict[str, Any]:
        """What run.json holds under "data"; a few of many rows that were left out are named."""
        return {
            "path": self.path,
            "fingerprint": self.fingerprint,
            "subjects": self.subjects,
            "images": self.images,
            "outputs": self.outputs,
            "rows": self.rows,
            "left_out": len(self.left_out),
            "left_out_rows": list(self.left_out[:NAMED]),
        }


class Objective(Protocol):
    """Trains an architecture and scores it. Made once in a process and used for many jobs."""

    def facts(self, proxy: Proxy, *, progress: bool = False) -> Facts:
        """Prepare the data (once, in the driver) and describe it."""
        ...

    def run(
        self,
        spec: ArchSpec,
        seed: int,
        proxy: Proxy,
        checkpoint: Path,
        report: Callable[[Epoch], bool],
    ) -> Outcome:
        """Train; `report` after every validation, stop where it says False."""
        ...

    def hardware(self) -> str: ...


@dataclass(frozen=True, slots=True)
class ObjectiveSpec:
    """An objective by import path, 'module:Class', and its arguments; JSON, so it travels to workers."""

    path: str
    arguments: dict[str, Any] = field(default_factory=dict)

    def given(self, **more: Any) -> ObjectiveSpec:
        """The same with more arguments."""
        return ObjectiveSpec(self.path, {**self.arguments, **more})

    def make(self) -> Objective:
        """Import and construct it; ValueError where it cannot be imported or refuses its arguments."""
        module, _, name = present_name(self.path).partition(":")
        try:
            kind = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError):
            raise ValueError(
                f"there is no objective {self.path!r}: give module:Class, such as nas.trials.standin:Standin"
            ) from None
        try:
            return kind(**self.arguments)
        except TypeError as error:
            raise ValueError(
                f"objective {self.path} does not take the arguments {self.arguments}: {error}"
            ) from error


def present_name(path: str) -> str:
    """An objective's import path as it is now; runs that were recorded before a move have the former one."""
    module, colon, name = path.partition(":")
    return f"{FORMER.get(module, module)}{colon}{name}"


@dataclass(frozen=True, slots=True)
class Job:
    """A training run to be done. (study, number) names it in the store."""

    study: str
    number: int
    role: str
    arch: ArchSpec
    seed: int
    proxy: Proxy
    checkpoint: str
    intervals: int  # validations of a full run
    alone: bool = False  # with a whole device, after it ran out of memory on a share
    attempt: int = 1
    failed_on: tuple[str, ...] = ()  # nodes where it failed before its first validation

    @property
    def key(self) -> str:
        """<study>_<number>: the name of its checkpoint and of its Ray trial."""
        return f"{self.study}_{self.number}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON and for the workers."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {**values, "arch": self.arch.to_dict(), "proxy": self.proxy.to_dict()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Job:
        """Inverse of to_dict."""
        arch, proxy = ArchSpec.from_dict(values["arch"]), Proxy.from_dict(values["proxy"])
        failed_on = tuple(values.get("failed_on", ()))
        return cls(**{**values, "arch": arch, "proxy": proxy, "failed_on": failed_on})


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended: 'complete', 'stopped' (a rung), 'failed', 'memory' or 'disk' (out of it), 'lost' (no
    worker any more), 'evicted' (its machine ran out of memory, and it was the one to go) or 'misplaced'
    (nothing was validated, or the GPU was lost: perhaps the fault of `place`).

    `points` are (interval, L_error mm) of every validation that the checkpoint knows, also those that
    were reported to a driver which is no more.
    """

    status: str
    reason: str = ""
    points: tuple[tuple[int, float], ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    hardware: str = ""
    place: Place | None = None  # where a launcher with several places had it

    def at(self, place: Place) -> Ending:
        """The same, there."""
        return replace(self, place=place)

    def to_json(self) -> str:
        """As text, for a Ray result."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Ending:
        """Inverse of to_json."""
        values = json.loads(text)
        points = tuple((int(i), float(v)) for i, v in values["points"])
        place = Place(**values["place"]) if values["place"] else None
        return cls(**{**values, "points": points, "place": place})


class Jobs(Protocol):
    """Where a launcher gets its jobs, and hears what became of them: the driver of a search, say."""

    slots: int  # jobs that run at once; the launcher says
    slots_alone: int  # of those, how many one job takes that runs alone; the launcher says
    places: Places

    def next(self) -> Job | str | None:
        """A job to start now, None where one may come later, DONE where none will."""
        ...

    def progress(self, job: Job, epoch: Epoch) -> None:
        """A validation of a job."""
        ...

    def ended(self, job: Job, ending: Ending) -> None:
        """A job is over."""
        ...


def run(job: Job, objective: Objective, report: Callable[[Epoch], bool]) -> Ending:
    """Train `job`. Every failure is an Ending; only what ends a process (SystemExit, Ctrl-C) passes.

    A GPU that is lost, or a failure before the first validation, may be this process's or this node's fault
    as well as the network's: such an ending is 'misplaced', and another place shows whose it was.
    """
    validated = False

    def noted(epoch: Epoch) -> bool:
        nonlocal validated
        validated = True
        return report(epoch)

    checkpoint = Path(job.checkpoint)
    try:
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        outcome = objective.run(job.arch, job.seed, job.proxy, checkpoint, noted)
    except Exception as error:
        if is_interrupt(error):  # a person stopped the trial, so it has not failed
            raise KeyboardInterrupt from error
        log.exception("trial %s failed", job.key)
        kind = _kind(error, validated)
        reason = "no space left on the device" if kind == "disk" else _sentence(error)  # not torch's line
        ending = Ending(kind, reason, hardware=hardware_of(objective))
        with contextlib.suppress(RuntimeError):  # of a device that is lost
            give_back(error)
        return ending
    return _ending(outcome, hardware_of(objective))


def _kind(error: Exception, validated: bool) -> str:
    if is_disk_full(error):
        return "disk"
    if is_out_of_memory(error):
        return "memory"
    return "failed" if validated and not is_device_broken(error) else "misplaced"


def _ending(outcome: Outcome, hardware: str) -> Ending:
    points = tuple((e.number, float(e.metrics.get("l_error_mm", math.nan))) for e in outcome.epochs)
    seconds = sum(e.seconds for e in outcome.epochs)
    metrics = {k: float(v) for k, v in outcome.epochs[-1].metrics.items()} if outcome.epochs else {}
    status, reason = outcome.status, outcome.reason
    if status == "diverged":
        status, reason = "failed", outcome.reason or "diverged"
    elif status == "complete" and not (points and math.isfinite(points[-1][1])):
        status, reason = "failed", f"L_error is {points[-1][1] if points else 'missing'} after the last epoch"
    return Ending(status, reason, points, metrics, seconds, hardware)


def _sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__


def hardware_of(objective: Objective) -> str:
    """The device in words; "" where it is broken, or where it is a worker's."""
    try:
        return objective.hardware()
    except Exception:
        return ""
