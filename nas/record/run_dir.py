"""Where a search keeps its things, and who may write there.

    runs/<name>/run.json       config, seed, versions, data, hardware, baseline
                study.log      the store (Optuna journal), unless --storage names another
                latency.json   the latency table that the search reads, where it has one
                best/*.json    specs of the winner and of those tied with it
                checkpoints/   of each unfinished trial, <study>_<number>.pt, and the one before (.previous)
                tensorboard/   learning curves, one folder a trial
                log.txt        what Ray, Optuna and torch had to say
                lock           held by the one search that may write (proxy_tasks/locks.py)

The lock is the kernel's, so a killed search leaves nothing to clean up.
tests/test_record_run_dir.py
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from proxy_tasks.locks import HeldError, is_held, locked
from space.commandline import sentence_of
from space.files import read_object, write_json
from space.outputs import foreign, named, require_place
from space.plan import OUTPUTS
from space.shape import misfit

FORMAT = 1  # of run.json; runs that name none are of this one too
_ARCH = {"depths": [int], "widths": [int]}
_SHAPE = {  # what readers of run.json rely on, where it is there; older and simulated runs have less
    "config?": dict,
    "seed?": int,
    "budget?": {"target": int, "tolerance": float},
    "space?": {"outputs?": int},
    "caps?": dict,
    "seed_archs?": [_ARCH],
    "proxy?": dict,
    "race_proxy?": dict,
    "store?": {"url?": (None, str), "prefix?": str},
    "data?": {"path?": str, "fingerprint?": str, "outputs?": int},
    "resources?": [{"since": str, "cpus": float, "gpus": float}],
    "baseline_l_error_mm?": (None, float),
    "versions?": dict,
}


def outputs_counted(about: Mapping[str, Any]) -> int:
    """Outputs of the networks whose costs a run.json counts; one that says nothing has JMLR's."""
    return int((about.get("space") or {}).get("outputs", OUTPUTS))


class RunError(ValueError):
    """A run directory that cannot serve as asked."""


@dataclass(frozen=True, slots=True)
class RunDir:
    """Paths inside one run directory; creates nothing by itself."""

    path: Path

    @property
    def run_json(self) -> Path:
        return self.path / "run.json"

    @property
    def study_log(self) -> Path:
        return self.path / "study.log"

    @property
    def latency_table(self) -> Path:
        return self.path / "latency.json"

    @property
    def best(self) -> Path:
        return self.path / "best"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def checkpoints(self) -> Path:
        """By its whole path, however --out was given: workers start in other folders, on other nodes too."""
        return Path(os.path.abspath(self.path)) / "checkpoints"

    def checkpoint(self, study: str, number: int) -> Path:
        return self.checkpoints / f"{study}_{number}.pt"

    def tensorboard(self, study: str, number: int) -> Path:
        return self.path / "tensorboard" / f"{study}_{number}"

    def holds_a_search(self) -> bool:
        """Whether a search has written here."""
        return self.run_json.exists() or self.study_log.exists()

    @property
    def quoted(self) -> str:
        """The path as a shell takes it, for commands that a person may copy."""
        return shlex.quote(str(self.path))

    def check_new(self) -> None:
        """RunError unless a new search may call the folder its own: there is none yet, or it is empty."""
        try:
            require_place(self.path)
            names = foreign(self.path)
        except ValueError as error:
            raise RunError(str(error)) from None
        except OSError as error:
            raise RunError(f"--out {sentence_of(error)}: choose another folder") from None
        if self.holds_a_search():
            raise RunError(
                f"{self.path} already holds a search: go on with it by --resume --out {self.quoted}, "
                "or choose another folder with --out"
            )
        if names and names != ["lock"]:  # which a search that was killed at its very start leaves
            raise RunError(
                f"{self.path} holds files that no search wrote ({named(names)}): "
                "name a new or an empty folder with --out"
            )

    def make(self) -> tuple[Path, ...]:
        """The folder, where it is not there yet; returns the folders made, RunError where it cannot be."""
        absent = tuple(p for p in (self.path, *self.path.parents) if not p.exists())
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"--out {self.path} cannot be made ({error.strerror}): choose another") from None
        return absent

    def forget(self, made: Sequence[Path]) -> None:
        """Remove a search that has recorded nothing, and of the folders `made` for it those left empty."""
        for path in (self.run_json, self.study_log, self.log, self.latency_table, self.path / "lock"):
            path.unlink(missing_ok=True)
        with suppress(OSError):
            for folder in made:
                folder.rmdir()

    def read(self) -> dict[str, Any]:
        """The contents of run.json; RunError where there is no search, or none that can be read."""
        try:
            contents = read_object(self.run_json)
        except FileNotFoundError:
            raise RunError(
                f"{self.path} holds no search (no run.json): give the folder that nas.search wrote"
            ) from None
        except NotADirectoryError:
            raise RunError(f"{self.path} is a file: give the folder that nas.search wrote") from None
        except OSError as error:
            raise RunError(f"{sentence_of(error)}, so the run cannot be read") from None
        except ValueError as error:
            raise self._damaged(error) from None
        if contents.get("format", FORMAT) != FORMAT:
            raise RunError(
                f"{self.run_json} is of format {contents['format']!r}, and this version reads {FORMAT}: "
                "use the version of jmlr-nas that wrote it"
            )
        if wrong := misfit(contents, _SHAPE):
            raise self._damaged(wrong)
        return contents

    def _damaged(self, why: object) -> RunError:
        return RunError(f"{self.run_json} is damaged ({why}): restore it or start a new run")

    def write(self, contents: dict[str, Any]) -> None:
        """Replace run.json as a whole."""
        write_json(self.run_json, contents)

    def is_active(self) -> bool:
        """Whether a search holds this directory now."""
        return is_held(self.path / "lock")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only search here; RunError names the other one."""
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self.path / "lock"))
            except HeldError as error:
                raise RunError(
                    f"a search is already running in {self.path} ({error.holder}): "
                    "wait for it, or choose another folder with --out"
                ) from None
            yield


def _started(info: Path) -> float:
    """When a search began, seconds since 1970: its file's time where it cannot be read."""
    try:
        return datetime.fromisoformat(json.loads(info.read_bytes())["started"]).timestamp()
    except (ValueError, KeyError, TypeError):
        return info.stat().st_mtime


def newest(root: Path) -> RunDir:
    """The run directory under `root` that was started last."""
    found = sorted(root.glob("*/run.json"), key=lambda p: (_started(p), p.parent.name))
    if not found:
        raise RunError(f"there is no search under {root}/ to resume: name its folder with --out")
    return RunDir(found[-1].parent)
