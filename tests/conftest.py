"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


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
