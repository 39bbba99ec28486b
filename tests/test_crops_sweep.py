"""Abandoned builds are removed; recent ones, running ones and finished caches are not."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest

from proxy_tasks.jmlr.crops.cache import open_cache
from proxy_tasks.jmlr.crops.sweep import ABANDONED_DAYS, sweep
from proxy_tasks.jmlr.wcpa.dataset import WcpaDataset


def _leave(crops: Path, name: str, days: float) -> Path:
    """A folder that looks as if nothing in it had changed for some days."""
    folder = crops / name
    folder.mkdir(parents=True)
    (folder / "done.npy").write_bytes(b"x")
    then = time.time() - 86_400.0 * days
    for path in (folder / "done.npy", folder):
        os.utime(path, (then, then))
    return folder


@pytest.mark.parametrize("name", ["train-32px-aa.partial", "train-32px-aa.old-123"])
def test_an_abandoned_folder_goes(tmp_path: Path, name: str):
    folder = _leave(tmp_path, name, ABANDONED_DAYS + 1)
    assert sweep(tmp_path, tmp_path / "mine.partial") == [folder]
    assert not folder.exists()


def test_a_recent_one_a_finished_one_and_ones_own_stay(tmp_path: Path):
    old = ABANDONED_DAYS + 1
    stay = [_leave(tmp_path, name, days) for name, days in (("a.partial", 1), ("b", old), ("c.partial", old))]
    assert sweep(tmp_path, stay[2]) == []
    assert all(folder.exists() for folder in stay)


def test_one_file_written_lately_keeps_an_old_folder(tmp_path: Path):
    folder = _leave(tmp_path, "a.partial", ABANDONED_DAYS + 1)
    os.utime(folder / "done.npy")
    assert sweep(tmp_path, tmp_path / "mine.partial") == []


def test_a_build_that_holds_its_lock_is_left_alone(tmp_path: Path):
    folder = _leave(tmp_path, "a.partial", ABANDONED_DAYS + 1)
    with (tmp_path / "a.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert sweep(tmp_path, tmp_path / "mine.partial") == []
        assert folder.exists()
    assert sweep(tmp_path, tmp_path / "mine.partial") == [folder]


def test_a_build_sweeps_and_a_mere_opening_does_not(tiny_wcpa: Path, tmp_path: Path):
    data = WcpaDataset.open(tiny_wcpa)
    first = _leave(tmp_path / "crops", "train-32px-aa.partial", ABANDONED_DAYS + 1)
    open_cache(data, 32, root=tmp_path)
    assert not first.exists()
    second = _leave(tmp_path / "crops", "train-32px-bb.partial", ABANDONED_DAYS + 1)
    open_cache(data, 32, root=tmp_path)
    assert second.exists()
