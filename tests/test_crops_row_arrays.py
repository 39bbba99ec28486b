"""Row arrays: written in any order, resumed, closed up."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from proxy_tasks.jmlr.crops.row_arrays import RowArrays

FIELDS = {"a": ((2, 3), np.dtype(np.float32)), "b": ((), np.dtype(np.int64))}


def _row(i: int) -> dict[str, np.ndarray]:
    return {"a": np.full((2, 3), i), "b": np.asarray(i * 10)}


def test_rows_written_by_many_threads_in_any_order_read_back(tmp_path: Path):
    with closing(RowArrays(tmp_path, FIELDS, 500)) as arrays, ThreadPoolExecutor(8) as pool:
        order = np.random.default_rng(0).permutation(500).tolist()
        list(pool.map(lambda i: arrays.write(i, _row(i)), order))
        arrays.sync(order)
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), np.arange(500) * 10)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy")[:, 1, 2], np.arange(500))


def test_only_synced_rows_count_after_a_restart(tmp_path: Path):
    with closing(RowArrays(tmp_path, FIELDS, 6)) as arrays:
        for i in (1, 4, 5):
            arrays.write(i, _row(i))
        arrays.sync([1, 4])
    with closing(RowArrays(tmp_path, FIELDS, 6)) as arrays:
        assert np.flatnonzero(arrays.done).tolist() == [1, 4]
        assert np.load(tmp_path / "b.npy")[4] == 40


@pytest.mark.parametrize("spoil", ["count", "fields", "gone", "cut"])
def test_files_of_another_kind_are_not_taken_up(tmp_path: Path, spoil: str):
    with closing(RowArrays(tmp_path, FIELDS, 6)) as arrays:
        arrays.write(0, _row(0))
        arrays.sync([0])
    if spoil == "gone":
        (tmp_path / "a.npy").unlink()
    if spoil == "cut":
        (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-4])
    fields = {**FIELDS, "b": ((), np.dtype(np.int32))} if spoil == "fields" else FIELDS
    with closing(RowArrays(tmp_path, fields, 7 if spoil == "count" else 6)) as arrays:
        assert not arrays.done.any()


@pytest.mark.parametrize("done", [[], [0, 1, 2, 3, 4], [0, 2, 4], [3, 4], [0, 1]])
def test_closing_ranks_brings_the_done_rows_first_and_can_be_repeated(tmp_path: Path, done: list[int]):
    with closing(RowArrays(tmp_path, FIELDS, 5)) as arrays:
        for i in done:
            arrays.write(i, _row(i))
        arrays.sync(done)
        for _ in range(2):
            order = arrays.close_ranks()
            assert sorted(order.tolist()) == done
            np.testing.assert_array_equal(np.load(tmp_path / "b.npy")[: len(done)], order * 10)
            np.testing.assert_array_equal(np.load(tmp_path / "a.npy")[: len(done), 0, 0], order)


def test_a_row_of_another_shape_is_refused(tmp_path: Path):
    words = r"row 3 of a has shape \(3, 2\)"
    with closing(RowArrays(tmp_path, FIELDS, 5)) as arrays, pytest.raises(ValueError, match=words):
        arrays.write(3, {"a": np.zeros((3, 2)), "b": np.asarray(0)})


def test_a_disk_that_fills_up_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*args: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with closing(RowArrays(tmp_path, FIELDS, 5)) as arrays:
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(RuntimeError, match="is full: free some space or set JMLR_NAS_CACHE"):
            arrays.write(0, _row(0))


def test_short_writes_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pwrite = os.pwrite
    with closing(RowArrays(tmp_path, FIELDS, 5)) as arrays:
        monkeypatch.setattr(os, "pwrite", lambda fd, data, at: pwrite(fd, data[:5], at))
        arrays.write(2, _row(2))
        arrays.sync([2])
    assert (np.load(tmp_path / "a.npy")[2] == 2).all() and np.load(tmp_path / "b.npy")[2] == 20
