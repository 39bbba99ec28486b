"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell that starts a job in the background has it ignore Ctrl-C, which tests of Ctrl-C cannot have.
signal.signal(signal.SIGINT, signal.default_int_handler)
# A busy machine is no failure: no example is judged by the clock. The same code has the same examples, so
# that a red test is a change's own doing; `make fuzz` draws many new ones.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", _PATIENT, derandomize=True)
settings.register_profile("fuzz", _PATIENT, max_examples=2000)
settings.load_profile(os.environ.get("JMLR_NAS_EXAMPLES", "same"))
os.environ["JMLR_NAS_TELL_SECONDS"] = "inf"  # commands say the same on a busy machine as on a quiet one
os.environ["JMLR_NAS_CHECKPOINT_SECONDS"] = "0"  # runs of seconds, with the checkpoints that long ones have


@pytest.fixture(scope="session")
def tiny_wcpa(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WCPA-layout folder: 5 training and 2 test subjects, 6 images each, 256 px, 255 vertices.

    Shared by the whole session: read it, never write to it (`tiny_copy` is for that).
    """
    import wcpa_writer

    return wcpa_writer.write(tmp_path_factory.mktemp("tiny") / "wcpa")


@pytest.fixture
def tiny_copy(tiny_wcpa: Path, tmp_path: Path) -> Path:
    """A copy of `tiny_wcpa` that a test may spoil."""
    return Path(shutil.copytree(tiny_wcpa, tmp_path / "wcpa"))


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or fills the user's cache; the tests of one session share theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JMLR_NAS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture(scope="session")
def wcpa_of_ten(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WCPA-layout folder with 10 training subjects, so two to validate on; read it, never write to it."""
    import wcpa_writer

    return wcpa_writer.write(tmp_path_factory.mktemp("ten") / "wcpa", subjects=10, actions=2, frames=2)


@pytest.fixture(scope="session")
def retrained(tmp_path_factory: pytest.TempPathFactory, wcpa_of_ten: Path) -> Path:
    """A run directory with a finished search and three networks retrained on `wcpa_of_ten`; read only."""
    import finished_search

    run = finished_search.write(tmp_path_factory.mktemp("retrained") / "run", wcpa_of_ten)
    finished_search.retrain(run, "--top", "2")
    return run
