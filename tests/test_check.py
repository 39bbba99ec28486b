"""`python -m proxy_tasks.check`: each fault is planted in a whole data set and found."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from proxy_tasks import check
from proxy_tasks.jmlr.crops import label_sheet
from proxy_tasks.jmlr.wcpa.dataset import WcpaDataset
from proxy_tasks.jmlr.wcpa.topology import mirror_points

FIRST = "0101/01_LeftToRight_Action0/000007"


def _run(root: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[int, dict[str, Any]]:
    status = check.main([str(root), "--json", *flags])
    return status, json.loads(capsys.readouterr().out)


def _info(root: Path, **changes: Callable[[np.ndarray], np.ndarray]) -> None:
    path = root / "info" / f"{FIRST}_info.npz"
    with np.load(path) as stored:
        values = {name: changes.get(name, np.copy)(stored[name]) for name in stored}
    np.savez(path, **values)


def _write(root: Path, name: str, data: bytes) -> None:
    (root / name).write_bytes(data)


def _spoil_number(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flat[17] = np.nan
    return array


def _turned(pose: np.ndarray) -> np.ndarray:
    return pose * np.array([[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, -1, 1]], np.float32)


def _stretched(pose: np.ndarray) -> np.ndarray:
    return pose * np.array([[1.1], [1], [1], [1]], np.float32)


LANDMARKS, IMAGE, INFO = (
    f"68landmarks/{FIRST}_68landmarks.txt",
    f"image/{FIRST}_ar.jpg",
    f"info/{FIRST}_info.npz",
)
PLANTED: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "no image": ("missing file", lambda r: (r / IMAGE).unlink()),
    "no landmarks": ("missing file", lambda r: (r / LANDMARKS).unlink()),
    "no labels": ("missing file", lambda r: (r / INFO).unlink()),
    "image cut short": ("damaged image", lambda r: _write(r, IMAGE, (r / IMAGE).read_bytes()[:-900])),
    "no image at all": ("damaged image", lambda r: _write(r, IMAGE, b"")),
    "a page instead": ("damaged image", lambda r: _write(r, IMAGE, b"<html>not found</html>")),
    "landmarks too few": ("damaged landmarks", lambda r: _write(r, LANDMARKS, b"1 2\n3 4\n")),
    "landmarks not numbers": ("damaged landmarks", lambda r: _write(r, LANDMARKS, b"x y\n" * 68)),
    "landmarks not finite": ("damaged landmarks", lambda r: _write(r, LANDMARKS, b"nan 1\n" * 68)),
    "landmarks all alike": ("damaged landmarks", lambda r: _write(r, LANDMARKS, b"5 5\n" * 68)),
    "labels not an archive": ("damaged labels", lambda r: _write(r, INFO, b"junk")),
    "labels cut short": ("damaged labels", lambda r: _write(r, INFO, (r / INFO).read_bytes()[:-400])),
    "vertices not finite": ("damaged labels", lambda r: _info(r, verts=_spoil_number)),
    "pose of three rows": ("damaged labels", lambda r: _info(r, R_t=lambda p: p[:3])),
    "vertices of another mesh": ("wrong vertex count", lambda r: _info(r, verts=lambda v: v[:-1])),
    "face behind the camera": ("T_z is not negative", lambda r: _info(r, R_t=_turned)),
    "vertices in millimetres": ("vertices not in metres", lambda r: _info(r, verts=lambda v: v * 1000)),
    "pose with a stretch": ("R is not a rotation", lambda r: _info(r, R_t=_stretched)),
    "pose transposed": ("landmarks off the projected mesh", lambda r: _info(r, R_t=lambda p: _transposed(p))),
}


def _transposed(pose: np.ndarray) -> np.ndarray:
    pose = pose.copy()
    angle = 0.5  # radians about x, whatever the pose was: transposing a small turn is a small fault
    turn = np.array([[1, 0, 0], [0, np.cos(angle), np.sin(angle)], [0, -np.sin(angle), np.cos(angle)]])
    pose[:3, :3] = (pose[:3, :3] @ turn).astype(np.float32)
    return pose


def test_a_whole_data_set_has_no_problems(tiny_wcpa: Path, capsys: pytest.CaptureFixture[str]):
    status, report = _run(tiny_wcpa, capsys)
    assert status == 0 and report["clean"] and report["problems"] == {}
    assert report["splits"] == {
        "train": {"images": 30, "subjects": 5},
        "test": {"images": 12, "subjects": 2},
    }
    assert check.main([str(tiny_wcpa)]) == 0
    assert "no problems found" in capsys.readouterr().out


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_fault_is_found_once_and_in_its_place(
    planted: str, tiny_copy: Path, capsys: pytest.CaptureFixture[str]
):
    kind, plant = PLANTED[planted]
    plant(tiny_copy)
    status, report = _run(tiny_copy, capsys)
    assert status == 1 and not report["clean"]
    assert {k: p["count"] for k, p in report["problems"].items()} == {kind: 1}
    assert report["problems"][kind]["examples"][0]["where"] == FIRST


def test_faults_of_the_lists_are_found(tiny_copy: Path, capsys: pytest.CaptureFixture[str]):
    train = tiny_copy / "list/WCPA_track2_train.csv"
    row = FIRST.replace("/", ",")
    train.write_text(train.read_text() + f"{row}\n{row}\n" + "0106,01_LeftToRight_Action0,000007\n")
    (tiny_copy / "info/0106/01_LeftToRight_Action0").mkdir(parents=True)
    shutil.copy(tiny_copy / INFO, tiny_copy / "info/0106/01_LeftToRight_Action0/000007_info.npz")
    status, report = _run(tiny_copy, capsys, "--pixels", "500")
    problems = report["problems"]
    assert status == 1
    assert problems["duplicate row"]["examples"] == [{"where": FIRST, "detail": "3 times in the train list"}]
    assert problems["subject in both lists"]["examples"][0]["where"] == "0106"
    assert problems["subject list disagrees"]["examples"][0]["where"] == "0106"


def test_examples_are_limited_but_everything_is_counted(tiny_copy: Path, capsys: pytest.CaptureFixture[str]):
    shutil.rmtree(tiny_copy / "image/0102")
    status, report = _run(tiny_copy, capsys, "--limit", "2")
    assert status == 1 and report["problems"]["missing file"]["count"] == 6
    assert len(report["problems"]["missing file"]["examples"]) == 2
    check.main([str(tiny_copy), "--limit", "2"])
    text = capsys.readouterr().out
    assert "6  missing file" in text and "and 4 more" in text and "image/0102" in text


@pytest.mark.parametrize(
    "spoil", [lambda r: shutil.rmtree(r), lambda r: (r / "resources/kpt_ind.npy").unlink()]
)
def test_what_is_no_data_set_gives_status_2_and_one_sentence(
    tiny_copy: Path, spoil: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
):
    spoil(tiny_copy)
    assert check.main([str(tiny_copy)]) == 2
    streams = capsys.readouterr()
    assert streams.out == "" and len(streams.err.strip().splitlines()) == 1


def test_a_training_set_without_a_test_list_is_fine(tiny_copy: Path, capsys: pytest.CaptureFixture[str]):
    (tiny_copy / "list/WCPA_track2_test.csv").unlink()
    status, report = _run(tiny_copy, capsys)
    assert status == 0 and list(report["splits"]) == ["train"]


def test_an_empty_test_list_is_fine(tiny_copy: Path, capsys: pytest.CaptureFixture[str]):
    (tiny_copy / "list/WCPA_track2_test.csv").write_text("subject_id,facial_action,img_id\n")
    (tiny_copy / "list/WCPA_track2_test_subject_id_list.txt").write_text("")
    status, report = _run(tiny_copy, capsys)
    assert status == 0 and report["splits"]["test"] == {"images": 0, "subjects": 0}


@pytest.mark.parametrize(
    ("flags", "status", "words"),
    [
        (["--overlay", "picture"], 2, "end it in .png or .jpg"),
        (["--workers", "-1"], 2, "--workers is 1 or more"),
        (["--pixels", "nan"], 2, "--pixels is 0 or more, not nan"),
        (["--limit", "-1"], 2, "--limit is 0 or more, not -1"),
        (["--overlay", f"{__file__}/picture.png"], 1, "test_check.py: "),
    ],
)
def test_a_wrong_request_is_one_sentence(tiny_wcpa: Path, flags: list[str], status: int, words: str, capsys):
    assert check.main([str(tiny_wcpa), *flags]) == status
    text = capsys.readouterr().err
    assert words in text and text.count("\n") == 1


def test_the_overlay_is_a_picture_of_twelve_crops_drawn_over(tiny_wcpa: Path, tmp_path: Path):
    file = tmp_path / "new" / "overlay.png"
    assert check.main([str(tiny_wcpa), "--overlay", str(file)]) == 0
    picture = cv2.imread(str(file))
    assert picture.shape == (6 * 320, 6 * 320, 3)
    crop, marked, mirrored = np.split(picture[:320, :960].astype(int), 3, axis=1)
    for drawn, plain in ((marked, crop), (mirrored, crop[:, ::-1])):
        assert 0.005 < (np.abs(drawn - plain).max(2) > 60).mean() < 0.2  # dots, and the face still shows


def test_flipped_vertices_under_the_mirrored_camera_are_the_mirrored_points(tiny_wcpa: Path):
    dataset = WcpaDataset.open(tiny_wcpa)
    for row in dataset.rows["train"][::5]:
        placed = label_sheet.place(dataset, row, 64)
        expected = mirror_points(placed.points, dataset.topology.flip_index, 64)
        np.testing.assert_allclose(placed.mirrored, expected, atol=1e-5)
        assert np.abs(placed.points[dataset.topology.landmarks68] - placed.landmarks).max() < 1.5


def test_rows_to_look_at_are_spread_over_the_list():
    rows = [*range(100)]
    assert label_sheet.spread_rows(rows[:3], 12) == rows[:3]  # type: ignore[arg-type,comparison-overlap]
    chosen = label_sheet.spread_rows(rows, 10)  # type: ignore[arg-type]
    assert [r // 10 for r in chosen] == list(range(10)) and len({r % 10 for r in chosen}) > 5  # type: ignore


def test_help_needs_no_heavy_import():
    code = (
        "import sys; from proxy_tasks import check\n"
        "try: check.main(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(any(m in sys.modules for m in ('numpy', 'cv2', 'torch', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
