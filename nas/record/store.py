"""The record of a search: Optuna studies in a journal file, or any Optuna storage.

One study for each round, whose trials its sampler proposed; one, `repeats`, for
controls and re-runs; and one, `known`, for runs that were made before the search.
A strategy that learns is told of the latter two by copies in its round's study,
marked `carried`, which are no trials of the record. A trial's attribute `job` says
what was to be trained, `end` how it went; the L_error curve is its intermediate
values. Complete trials alone have a value: a pruned one keeps its curve and no
more, since a rung's L_error is not a final one.

Where the studies lie, and that one process alone writes, is nas/record/storage.py's.
tests/test_record_store.py, tests/test_search_faults.py
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import OptunaError
from optuna.storages import BaseStorage, JournalStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nas.record.run_dir import RunDir, RunError
from nas.record.storage import SingleWriterJournal, require_storage, sqlite_file, without_password
from space import ArchSpec

REPEATS = "repeats"  # the study of controls and re-runs
KNOWN = "known"  # the study of runs that were made before this search (nas/search/known.py)
STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "running",
}


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One training run as the store holds it. Errors in millimetres, times in UTC (ISO 8601)."""

    study: str
    number: int
    role: str  # "proposal", "control", "repeat", or "known" from an earlier search or a table
    round: int
    arch: ArchSpec
    name: str  # of a reference architecture, else ""
    unit: tuple[float, ...] | None
    feasible_id: str | None
    seed: int
    fidelity: str  # Proxy.id
    macs: int
    params: int
    activations: int
    state: str  # "complete", "pruned", "failed" or "running"
    reason: str
    l_error_mm: float | None  # of complete trials only
    curve: tuple[tuple[float, float], ...]  # (epochs done, L_error mm)
    parts: dict[str, float]
    seconds: float
    started: str
    finished: str
    hardware: str
    by: str = ""  # who proposed it: a strategy, "uniform start", "--seed-arch"; for known runs their source

    @property
    def key(self) -> tuple[str, int, str]:
        """What is never trained twice: architecture, seed and fidelity."""
        return self.arch.id, self.seed, self.fidelity


class Store:
    """The studies of one search. Opened for reading unless `write`."""

    def __init__(
        self, storage: BaseStorage, prefix: str = "", journal: SingleWriterJournal | None = None
    ) -> None:
        self.storage = storage
        self._journal = journal
        self._prefix = prefix
        self._done: dict[int, TrialRecord] = {}  # finished trials never change

    @classmethod
    def open(cls, run_dir: Path | str, *, write: bool = False) -> Store:
        """The store of a run directory, by its run.json; readable while a search writes."""
        run = RunDir(Path(run_dir))
        where = run.read().get("store", {})
        url = where.get("url")
        file = sqlite_file(url)
        if file is not None and not file.exists():  # SQLite would make an empty one
            raise RunError(f"{run.path} keeps its studies in {file}, which is not there: put it back")
        return cls.connect(run, url, where.get("prefix", ""), write=write)

    @classmethod
    def connect(cls, run: RunDir, url: str | None, prefix: str = "", *, write: bool = False) -> Store:
        """The store at an Optuna storage URL, or in the run's own journal where `url` is None."""
        if url is None:
            if not write and not run.study_log.exists():
                raise RunError(f"{run.path} has no study.log: the search has recorded nothing yet")
            journal = SingleWriterJournal(run.study_log, repair=write)
            with _whole(str(run.study_log)):
                return cls(JournalStorage(journal), prefix, journal)
        require_storage(url)
        try:
            return cls(optuna.storages.get_storage(url), prefix)
        except Exception as error:  # SQLAlchemy's and the driver's own kinds
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise RunError(f"cannot open the storage {without_password(url)}: {first}") from error

    # --- reading ---

    def studies(self) -> dict[str, int]:
        """Short name -> Optuna's study id, of this search's studies, in order of creation."""
        found = sorted(self.storage.get_all_studies(), key=lambda s: s._study_id)
        start = len(self._prefix)
        return {s.study_name[start:]: s._study_id for s in found if s.study_name.startswith(self._prefix)}

    def records(self, study: str | None = None) -> list[TrialRecord]:
        """Every trial that has begun, by study and number."""
        with _whole("the store" if self._journal is None else str(self._journal.path)):
            studies = self.studies()
            names = studies if study is None else [s for s in (study,) if s in studies]
            return [r for name in names for r in self._records(name, studies[name])]

    def _records(self, study: str, study_id: int) -> Iterable[TrialRecord]:
        for trial in self.storage.get_all_trials(study_id, deepcopy=False):
            record = self._done.get(trial._trial_id)
            if record is None:
                if "job" not in trial.user_attrs:
                    continue  # claimed, but the architecture was not written yet
                record = _to_record(study, trial)
                if trial.state.is_finished():
                    self._done[trial._trial_id] = record
            yield record

    # --- writing; the driver only ---

    def batch(self, wait: bool = True) -> AbstractContextManager[None]:
        """Several writes, one wait for the disk at most. A killed process loses none of them either way."""
        return nullcontext() if self._journal is None else self._journal.batch(wait)

    def study_name(self, short: str) -> str:
        """Name of a study in the storage, where many runs may share one."""
        return self._prefix + short

    def ensure_study(self, short: str) -> int:
        """Optuna's id of a study, created where it is new."""
        study_id = self.studies().get(short)
        if study_id is None:
            study_id = self.storage.create_new_study([StudyDirection.MINIMIZE], self._prefix + short)
        return study_id

    def trial_id(self, study: str, number: int) -> int:
        """Optuna's id of trial `number`."""
        return self.storage.get_trial_id_from_study_id_trial_number(self.studies()[study], number)

    def begin(self, trial_id: int, job: dict[str, Any]) -> None:
        """Say what a claimed trial trains."""
        self.storage.set_trial_user_attr(trial_id, "job", job)

    def add(self, study: str, job: dict[str, Any]) -> int:
        """Begin a trial that no sampler proposed, in one write."""
        trial = optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs={"job": job})
        return self.storage.create_new_trial(self.ensure_study(study), trial)

    def add_known(self, job: dict[str, Any], l_error_mm: float, curve: Sequence[float]) -> None:
        """Record a run that was made elsewhere: complete, and free of charge here."""
        trial = optuna.trial.create_trial(
            value=l_error_mm,
            intermediate_values=dict(enumerate(curve, start=1)),
            user_attrs={"job": job, "end": {"reason": "", "parts": {}, "seconds": 0.0, "hardware": ""}},
        )
        self.storage.create_new_trial(self.ensure_study(KNOWN), trial)

    def claimed(self, study: str) -> list[int]:
        """Trials that were begun but never got as far as an architecture: a kill came in between."""
        trials = self.storage.get_all_trials(
            self.ensure_study(study), deepcopy=False, states=(TrialState.RUNNING,)
        )
        return [t._trial_id for t in trials if "job" not in t.user_attrs]

    def report(self, trial_id: int, interval: int, l_error_mm: float) -> None:
        """Add a point to the curve; a value that is not finite is no point. The checkpoint has it too."""
        if math.isfinite(l_error_mm):
            with self.batch(wait=False):
                self.storage.set_trial_intermediate_value(trial_id, interval, l_error_mm)

    def finish(
        self,
        trial_id: int,
        state: str,
        *,
        l_error_mm: float | None = None,
        reason: str = "",
        parts: dict[str, float] | None = None,
        seconds: float = 0.0,
        hardware: str = "",
    ) -> None:
        """Close a trial. A pruned or failed one gets no value, whatever its curve says."""
        finite = l_error_mm is not None and math.isfinite(l_error_mm)
        if state == "complete" and not finite:
            state, reason = "failed", reason or f"L_error is not finite ({l_error_mm})"
        ending = {"reason": reason, "parts": _finite(parts or {}), "seconds": seconds, "hardware": hardware}
        final = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
        values = [float(l_error_mm)] if state == "complete" and l_error_mm is not None else None
        with self.batch():
            self.storage.set_trial_user_attr(trial_id, "end", ending)
            self.storage.set_trial_state_values(trial_id, final[state], values)


@contextmanager
def _whole(name: str) -> Iterator[None]:
    """RunError for entries that are JSON but were never written so: what they lack shows in many ways."""
    try:
        yield
    except RunError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError, OptunaError) as error:
        raise RunError(
            f"{name} is damaged ({type(error).__name__}: {error}): restore it from a copy"
        ) from error


def _finite(parts: dict[str, float]) -> dict[str, float]:
    return {k: float(v) for k, v in parts.items() if math.isfinite(v)}


def _to_record(study: str, trial: FrozenTrial) -> TrialRecord:
    job, end = trial.user_attrs["job"], trial.user_attrs.get("end", {})
    epochs = job["epochs"] / job["intervals"]  # one interval between validations
    unit = job.get("unit")
    return TrialRecord(
        study=study,
        number=trial.number,
        role=job["role"],
        round=job["round"],
        arch=ArchSpec.from_dict(job["arch"]),
        name=job["name"],
        unit=tuple(unit) if unit else None,
        feasible_id=job.get("feasible_id"),
        seed=job["seed"],
        fidelity=job["fidelity"],
        macs=job["macs"],
        params=job["params"],
        activations=job["activations"],
        state=STATES[trial.state],
        reason=end.get("reason", ""),
        l_error_mm=trial.values[0] if trial.state == TrialState.COMPLETE and trial.values else None,
        curve=tuple((step * epochs, v) for step, v in sorted(trial.intermediate_values.items())),
        parts=end.get("parts", {}),
        seconds=end.get("seconds", 0.0),
        started=_iso(trial.datetime_start),
        finished=_iso(trial.datetime_complete),
        hardware=end.get("hardware", ""),
        by=job.get("by", ""),
    )


def _iso(when: datetime | None) -> str:
    """Optuna keeps local time without a zone; the record is in UTC."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds") if when else ""
