"""The crop cache: right, shared, atomic, and hard to break."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from proxy_tasks.jmlr import camera
from proxy_tasks.jmlr.crops import build as build_module
from proxy_tasks.jmlr.crops import cache as cache_module
from proxy_tasks.jmlr.crops.cache import CropCache, cache_id, open_cache
from proxy_tasks.jmlr.wcpa.dataset import DataError, WcpaDataset
from proxy_tasks.jmlr.wcpa.sample import read_landmarks

SIDE = 32


@pytest.fixture
def data(tiny_copy: Path) -> WcpaDataset:
    return WcpaDataset.open(tiny_copy, ("train", "test"))


def _open(data: WcpaDataset, root: Path, **options) -> CropCache:
    return open_cache(data, SIDE, root=root, **options)


def _forbid_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*args: object, **options: object) -> None:
        raise AssertionError("built again")

    monkeypatch.setattr(cache_module, "build", build)


def test_every_row_holds_the_crop_and_labels_of_its_name(data: WcpaDataset, tmp_path: Path):
    cache = _open(data, tmp_path)
    assert len(cache) == 30 and cache.left_out == () and cache.split == "train"
    assert cache.images.shape == (30, SIDE, SIDE, 3) and cache.images.dtype == np.uint8
    for i, row in enumerate(data.rows["train"]):
        assert (cache.subjects[i], cache.actions[i], cache.img_ids[i]) == row
        sample = data.sample(row)
        np.testing.assert_array_equal(cache.verts[i], sample.verts)
        np.testing.assert_allclose(cache.R[i], sample.R, atol=1e-6)
        np.testing.assert_allclose(cache.T[i], sample.T, atol=1e-6)
        np.testing.assert_allclose(cache.points[i], sample.points, atol=1e-3)
        crop = camera.crop_transform(read_landmarks(data.landmarks_path(row)), SIDE)
        np.testing.assert_allclose(cache.crop[i], crop, rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(cache.K[i], camera.intrinsics(data.projection, (256, 256)), rtol=1e-6)
        plain = cv2.warpAffine(sample.image, crop, (SIDE, SIDE), flags=cv2.INTER_AREA)
        assert np.abs(cache.images[i].astype(int) - plain).mean() < 8


def test_the_test_split_has_images_and_geometry_but_no_labels(data: WcpaDataset, tmp_path: Path):
    cache = open_cache(data, SIDE, "test", root=tmp_path)
    assert len(cache) == 12 and set(cache.subjects) == {"0106", "0107"}
    assert cache.verts is None and cache.points is None and cache.R is None and cache.T is None
    assert cache.K.shape == (12, 3, 3) and cache.size.tolist() == [[256, 256]] * 12


def test_a_second_opening_builds_nothing(data: WcpaDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = _open(data, tmp_path)
    _forbid_builds(monkeypatch)
    second = _open(WcpaDataset.open(data.path, check_files=False), tmp_path)
    assert second.id == first.id and isinstance(second.images, np.memmap)
    np.testing.assert_array_equal(second.images, first.images)
    assert not second.images.flags.writeable


def test_it_pickles_as_its_path(data: WcpaDataset, tmp_path: Path):
    cache = _open(data, tmp_path)
    frozen = pickle.dumps(cache)
    assert len(frozen) < 1000
    np.testing.assert_array_equal(pickle.loads(frozen).points, cache.points)


def test_the_default_place_is_below_the_cache_root(
    data: WcpaDataset, monkeypatch: pytest.MonkeyPatch, tmp_path
):
    monkeypatch.setenv("JMLR_NAS_CACHE", str(tmp_path / "mine"))
    assert open_cache(data, SIDE).path.parent == tmp_path / "mine" / "crops"


def test_another_resolution_split_or_list_is_another_cache(data: WcpaDataset):
    ids = {cache_id(data, 32, "train"), cache_id(data, 64, "train"), cache_id(data, 32, "test")}
    path = data.path / "list/WCPA_track2_train.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]))
    ids.add(cache_id(WcpaDataset.open(data.path, ("train", "test")), 32, "train"))
    assert len(ids) == 4


def test_the_same_data_in_another_folder_shares_the_cache(data: WcpaDataset, tiny_wcpa: Path):
    other = WcpaDataset.open(tiny_wcpa)
    assert cache_id(data, SIDE, "train") == cache_id(other, SIDE, "train")


@pytest.mark.parametrize("workers", [1, 5])
def test_the_number_of_threads_does_not_show_in_the_bytes(data: WcpaDataset, tmp_path: Path, workers: int):
    folder = _open(data, tmp_path / "n", workers=workers).path
    reference = _open(data, tmp_path / "two", workers=2).path
    for file in sorted(folder.glob("*.npy")):
        assert file.read_bytes() == (reference / file.name).read_bytes()


def _spoil(data: WcpaDataset, rows: list[int]) -> None:
    for i in rows:
        data.image_path(data.rows["train"][i]).write_bytes(b"\xff\xd8 broken")


def test_damaged_and_missing_rows_are_named_and_left_out(data: WcpaDataset, tmp_path: Path):
    rows = data.rows["train"]
    _spoil(data, [2])
    data.landmarks_path(rows[5]).unlink()
    data.info_path(rows[29]).write_bytes(b"")
    cache = _open(data, tmp_path, bad_limit=0.1)
    assert [name for name, _ in cache.left_out] == [str(rows[i]) for i in (2, 5, 29)]
    assert "not a whole JPEG" in cache.left_out[0][1]
    assert cache.left_out[1][1] == "000009_68landmarks.txt is missing"
    assert len(cache) == 27 and len(cache.subjects) == 27 and len(cache.verts) == 27
    names = {"/".join(x) for x in zip(cache.subjects, cache.actions, cache.img_ids, strict=True)}
    assert names == {str(row) for i, row in enumerate(rows) if i not in (2, 5, 29)}
    for i in range(27):  # the rows that filled the holes brought their labels with them
        row = next(r for r in rows if r == (cache.subjects[i], cache.actions[i], cache.img_ids[i]))
        np.testing.assert_array_equal(cache.verts[i], data.labels(row)[0])
        assert cache.images[i].std() > 5


def test_more_damage_than_the_limit_refuses_and_says_what(data: WcpaDataset, tmp_path: Path):
    _spoil(data, [2, 3, 4, 5])
    with pytest.raises(
        DataError, match=r"at least \d of 30 samples .*0101/01_LeftToRight_Action0/000009"
    ) as e:
        _open(data, tmp_path, bad_limit=0.1)
    assert "10.0%" in str(e.value) and "proxy_tasks.check" in str(e.value) and "\n" not in str(e.value)
    assert len(_open(data, tmp_path, bad_limit=0.2)) == 26
    with pytest.raises(DataError, match="4 of 30"):  # a stricter caller finds the same cache
        _open(data, tmp_path, bad_limit=0.1)


def test_one_bad_row_is_always_tolerated(data: WcpaDataset, tmp_path: Path):
    _spoil(data, [7])
    assert len(_open(data, tmp_path)) == 29


class Flaky:
    """Storage that fails to give some files, so many times each."""

    def __init__(self, monkeypatch, suffix, times, number=errno.EIO):
        self.left = {}
        read = Path.read_bytes

        def fail_at_first(path):
            if path.name.endswith(suffix) and self.left.setdefault(path, times) > 0:
                self.left[path] -= 1
                raise OSError(number, os.strerror(number), str(path))
            return read(path)

        monkeypatch.setattr(Path, "read_bytes", fail_at_first)
        monkeypatch.setattr(build_module, "RETRIES", (0.0, 0.0, 0.0))


@pytest.mark.parametrize("suffix", ["_ar.jpg", "_68landmarks.txt", "_info.npz"])
def test_storage_that_fails_for_a_while_costs_no_row(data, tmp_path, monkeypatch, suffix):
    cache_id(data, SIDE, "train")  # which reads some labels itself, and remembers
    flaky = Flaky(monkeypatch, suffix, times=3)
    cache = _open(data, tmp_path)
    assert len(cache) == 30 and cache.left_out == () and len(flaky.left) == 30


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES, errno.ETIMEDOUT, errno.EMFILE])
def test_storage_that_goes_on_failing_fails_the_build_and_leaves_no_row_out(
    data, tmp_path, monkeypatch, number
):
    with monkeypatch.context() as patch:
        Flaky(patch, "_ar.jpg", times=10**9, number=number)
        with pytest.raises(RuntimeError, match=r"_ar\.jpg cannot be read .*see to the storage"):
            _open(data, tmp_path)
    assert len(_open(data, tmp_path)) == 30


def test_a_row_that_an_older_version_left_out_for_its_storage_is_read_again(data, tmp_path):
    data.image_path(data.rows["train"][3]).write_bytes(b"not a photograph")
    cache = _open(data, tmp_path)
    meta = json.loads((cache.path / "meta.json").read_text())
    meta["left_out"][0][1] = "a file cannot be read: Input/output error"
    (cache.path / "meta.json").write_text(json.dumps(meta))
    assert "photograph" not in str(cache.left_out)
    assert "cannot be read" not in str(_open(data, tmp_path).left_out)


def test_a_folder_that_cannot_be_listed_is_not_taken_for_an_empty_one(data, monkeypatch):
    def fails(path):
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(os, "listdir", fails)
    with pytest.raises(OSError, match="Input/output error"):
        data.refuse_missing()


def test_a_repaired_file_comes_back(data: WcpaDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = data.image_path(data.rows["train"][7])
    whole = path.read_bytes()
    _spoil(data, [7])
    assert len(_open(data, tmp_path)) == 29
    path.write_bytes(whole)
    assert len(_open(data, tmp_path)) == 30
    _forbid_builds(monkeypatch)
    assert len(_open(data, tmp_path)) == 30


@pytest.mark.parametrize("name", ["images.npy", "meta.json", "subjects.npy", "topology.npz", "verts.npy"])
@pytest.mark.parametrize("how", ["gone", "cut"])
def test_a_broken_cache_is_built_anew(data: WcpaDataset, tmp_path: Path, name: str, how: str):
    cache = _open(data, tmp_path)
    before = np.array(cache.images)
    file = cache.path / name
    content = file.read_bytes()
    file.unlink()
    if how == "cut":
        file.write_bytes(content[: len(content) // 2])
    np.testing.assert_array_equal(_open(data, tmp_path).images, before)


def test_a_disk_too_small_is_told_before_work_begins(data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import shutil

    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(RuntimeError, match=r"GB free: set JMLR_NAS_CACHE"):
        _open(data, tmp_path)


def test_a_place_that_cannot_hold_a_cache_is_named(data: WcpaDataset, tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RuntimeError, match=r"crops cannot be kept in .*file.* set JMLR_NAS_CACHE"):
        _open(data, tmp_path / "file")


def test_what_was_left_out_is_said_where_progress_is_shown(data: WcpaDataset, tmp_path: Path, capsys):
    _spoil(data, [7])
    for _ in range(2):  # on building and on every later opening
        _open(data, tmp_path, progress=True)
        assert "left out 1 of 30 train samples" in capsys.readouterr().err
    _open(data, tmp_path)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("resolution", [0, 7, 64.0, 4096])
def test_a_crop_side_that_cannot_be_is_refused(data: WcpaDataset, resolution):
    with pytest.raises(ValueError, match="whole number from 8 to 1024"):
        open_cache(data, resolution)


def _worker(path: Path, root: Path, results) -> None:
    cache = open_cache(WcpaDataset.open(path), SIDE, root=root, workers=1)
    results.put((int(cache.images.sum(dtype=np.int64)), cache.path.stat().st_ino))


def test_workers_that_ask_at_once_build_once_and_see_the_same(data: WcpaDataset, tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=_worker, args=(data.path, tmp_path, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    seen = [results.get(timeout=600) for _ in workers]
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert len(set(seen)) == 1  # the same pixels in the same folder: nobody replaced another's
    assert not list((tmp_path / "crops").glob("*.partial"))


STOPPING_BUILD = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background inherit that it is ignored
from pathlib import Path
from proxy_tasks.jmlr.crops import build
from proxy_tasks.jmlr.wcpa.dataset import WcpaDataset
from proxy_tasks.jmlr.crops.cache import open_cache
build._SYNC_SECONDS = 0.0
build._CHUNK = 2
make, made, go = build.make_row, [], Path(sys.argv[3])
def stopping(dataset, row, split, resolution):
    made.append(row)
    while len(made) > 8 and not go.exists():
        time.sleep(0.01)
    if len(made) > 8:
        time.sleep(0.1)  # for the main thread to act on the signal
    return make(dataset, row, split, resolution)
build.make_row = stopping
open_cache(WcpaDataset.open(Path(sys.argv[1])), 32, root=Path(sys.argv[2]), workers=1)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_build_is_resumed_and_ends_the_same(data: WcpaDataset, tmp_path: Path, how, monkeypatch):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    root, go = tmp_path / "killed", tmp_path / "go"
    command = [sys.executable, "-c", STOPPING_BUILD, str(data.path), str(root), str(go)]
    done = root / "crops" / f"{cache_id(data, SIDE, 'train')}.partial" / "done.npy"
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment) as process:
        while not done.exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(how)
        go.touch()
        assert process.wait() != 0
    half = int(np.load(done).sum())
    assert 0 < half < 30 and not done.parent.with_suffix("").exists()

    made: list[str] = []
    from proxy_tasks.jmlr.crops import build

    make = build.make_row
    monkeypatch.setattr(build, "make_row", lambda d, row, *rest: made.append(str(row)) or make(d, row, *rest))
    resumed = _open(data, root, workers=1)
    assert len(made) == 30 - half
    monkeypatch.undo()
    whole = _open(data, tmp_path / "whole")
    for name in ("images", "verts", "points", "R", "T", "crop", "K", "size"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(whole, name))


def test_meta_json_says_what_the_cache_was_made_from(data: WcpaDataset, tmp_path: Path):
    meta = json.loads((_open(data, tmp_path).path / "meta.json").read_text())
    assert meta["source"] == str(data.path) and meta["data_id"] == data.id and meta["count"] == 30
