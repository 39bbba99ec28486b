"""Opening a data folder: what is read, and each complaint about a bad one."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import wcpa_writer

from proxy_tasks.jmlr.wcpa.dataset import DataError, Row, WcpaDataset, read_list

BOTH = ("train", "test")


def _complaint(root: Path, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        WcpaDataset.open(root, **options)  # type: ignore[arg-type]
    sentence = str(caught.value)
    assert "\n" not in sentence and str(root) in sentence
    return sentence


def test_lists_are_strings_with_their_leading_zeros(tiny_wcpa: Path):
    data = WcpaDataset.open(tiny_wcpa, BOTH)
    assert data.rows["train"][0] == Row("0101", "01_LeftToRight_Action0", "000007")
    assert data.subjects("train") == ("0101", "0102", "0103", "0104", "0105")
    assert data.subjects("test") == ("0106", "0107")
    assert len(data.rows["train"]) == 30 and len(data.rows["test"]) == 12


def test_topology_and_camera_come_from_the_resources(tiny_wcpa: Path):
    data = WcpaDataset.open(tiny_wcpa)
    assert data.topology.vertex_count == 255 and len(data.topology.triangles) == 448
    np.testing.assert_array_equal(data.topology.flip_index, wcpa_writer.FLIP)
    np.testing.assert_array_equal(data.topology.landmarks68, wcpa_writer.landmarks68())
    assert data.projection[0, 0] == 1.57443701


def test_a_sample_holds_image_labels_and_landmarks_that_belong_together(tiny_wcpa: Path):
    data = WcpaDataset.open(tiny_wcpa, BOTH)
    sample = data.sample(data.rows["train"][4])
    assert sample.image.shape == (256, 256, 3) and sample.image.dtype == np.uint8
    assert sample.verts.shape == (255, 3) and sample.T[2] < 0
    gap = sample.points[data.topology.landmarks68] - sample.landmarks
    assert np.abs(gap).max() < 1.5  # 0.3 px of noise
    unlabelled = data.sample(data.rows["test"][0], "test")
    assert unlabelled.verts is None and unlabelled.points is None


def test_an_added_column_a_byte_order_mark_and_blank_lines_are_harmless(tmp_path: Path):
    path = tmp_path / "list.csv"
    path.write_text("\ufeff,subject_id,facial_action,img_id\n0,007,01_A,0001\n\n1,008,01_A,0002\n", "utf-8")
    assert read_list(path) == (Row("007", "01_A", "0001"), Row("008", "01_A", "0002"))


def test_id_is_the_same_after_a_copy_and_changes_with_labels_lists_and_mesh(tiny_wcpa: Path, tiny_copy: Path):
    original = WcpaDataset.open(tiny_wcpa)
    assert WcpaDataset.open(tiny_copy).id == original.id
    info = original.info_path(original.rows["train"][0]).relative_to(tiny_wcpa)
    with np.load(tiny_copy / info) as stored:
        changed_verts = {**stored, "verts": stored["verts"] + np.float32(1e-4)}
    np.savez(tiny_copy / info, **changed_verts)
    changed = WcpaDataset.open(tiny_copy).id
    assert changed != original.id
    lines = (tiny_copy / "list/WCPA_track2_train.csv").read_text().splitlines()
    (tiny_copy / "list/WCPA_track2_train.csv").write_text("\n".join(lines[:-1]))
    shorter = WcpaDataset.open(tiny_copy).id
    assert shorter != changed
    np.save(tiny_copy / "resources/kpt_ind.npy", np.roll(wcpa_writer.landmarks68(), 1))
    assert WcpaDataset.open(tiny_copy).id != shorter


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    assert "there is no data folder" in _complaint(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    assert "there is no data folder" in _complaint(tmp_path / "file")


@pytest.mark.parametrize(
    "part",
    [
        "image",
        "info",
        "68landmarks",
        "list/WCPA_track2_train.csv",
        "resources/projection_matrix.txt",
        "resources/kpt_ind.npy",
        "resources/example.obj",
    ],
)
def test_a_part_that_is_lacking_is_named(tiny_copy: Path, part: str):
    path = tiny_copy / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert f"lacks {part}" in _complaint(tiny_copy)


def test_several_lacking_parts_are_told_at_once(tmp_path: Path):
    sentence = _complaint(tmp_path)
    assert "image/" in sentence and "list/WCPA_track2_train.csv" in sentence and "example.obj" in sentence


@pytest.mark.parametrize("text", ["", "subject_id,facial_action,img_id\n", "subject_id,facial_action,img_id"])
def test_an_empty_list_is_refused(tiny_copy: Path, text: str):
    (tiny_copy / "list/WCPA_track2_train.csv").write_text(text)
    assert "WCPA_track2_train.csv lists no images" in _complaint(tiny_copy)


def test_a_list_without_its_columns_is_refused(tiny_copy: Path):
    (tiny_copy / "list/WCPA_track2_train.csv").write_text("subject,action,img\n1,2,3\n")
    assert "needs the columns subject_id,facial_action,img_id" in _complaint(tiny_copy)


@pytest.mark.parametrize("name", ["../0101", "a\\b", "", "..", "a/b"])
def test_a_name_that_is_no_path_part_is_refused(tiny_copy: Path, name: str):
    path = tiny_copy / "list/WCPA_track2_train.csv"
    path.write_text(path.read_text() + f"{name},01_LeftToRight_Action0,000007\n")
    sentence = _complaint(tiny_copy)
    assert repr(name) in sentence and "subject_id" in sentence


def test_files_that_lists_name_in_vain_are_counted_and_the_first_three_shown(tiny_copy: Path):
    path = tiny_copy / "list/WCPA_track2_train.csv"
    path.write_text(path.read_text() + "".join(f"0999,01_A,{i:06d}\n" for i in range(5)))
    sentence = _complaint(tiny_copy)
    assert "names 15 files that are not there" in sentence and "0999/01_A/000000_ar.jpg" in sentence
    assert "000000_info.npz" in sentence and "000001_ar.jpg" not in sentence


@pytest.mark.parametrize("part", ["image", "info", "68landmarks"])
def test_each_kind_of_file_is_looked_for(tiny_copy: Path, part: str):
    for path in sorted(path for path in (tiny_copy / part / "0103").rglob("*") if path.is_file())[:2]:
        path.unlink()
    assert "names 2 files that are not there" in _complaint(tiny_copy)


def test_rows_without_files_pass_up_to_the_limit_and_one_always_does(tiny_copy: Path):
    data = WcpaDataset.open(tiny_copy)
    rows = data.rows["train"]
    data.image_path(rows[7]).unlink()
    data.landmarks_path(rows[7]).unlink()
    assert WcpaDataset.open(tiny_copy).rows["train"] == rows
    data.info_path(rows[9]).unlink()
    assert "names 3 files" in _complaint(tiny_copy)
    assert WcpaDataset.open(tiny_copy, missing_limit=2 / 30).rows["train"] == rows
    assert WcpaDataset.open(tiny_copy, check_files=False).rows["train"] == rows


def test_the_test_split_is_looked_at_only_when_asked_for(tiny_copy: Path):
    shutil.rmtree(tiny_copy / "image/0106")
    WcpaDataset.open(tiny_copy)
    assert "the test list" in _complaint(tiny_copy, splits=BOTH)


def test_a_test_split_alone_needs_no_labels(tiny_copy: Path):
    shutil.rmtree(tiny_copy / "info")
    assert len(WcpaDataset.open(tiny_copy, ("test",)).rows["test"]) == 12


@pytest.mark.parametrize("row", [12, 17])  # the first row of the third person, and the last
def test_labels_of_another_mesh_are_refused(tiny_copy: Path, row: int):
    data = WcpaDataset.open(tiny_copy)
    info = data.info_path(data.rows["train"][row])
    with np.load(info) as stored:
        fewer = {**stored, "verts": stored["verts"][:-5]}
    np.savez(info, **fewer)
    sentence = _complaint(tiny_copy)
    assert "has 250 vertices" in sentence and "has 255" in sentence and info.name in sentence


def test_resources_that_make_no_sense_are_refused(tiny_copy: Path):
    np.savetxt(tiny_copy / "resources/projection_matrix.txt", np.eye(4))
    assert "pinhole" in _complaint(tiny_copy)
    (tiny_copy / "resources/projection_matrix.txt").write_text("a b c")
    _complaint(tiny_copy)
    (tiny_copy / "resources/projection_matrix.txt").write_text("")  # warnings are errors here
    assert "4 x 4 numbers" in _complaint(tiny_copy)
    (tiny_copy / "resources/kpt_ind.npy").write_bytes(b"junk")
    assert "kpt_ind.npy" in _complaint(tiny_copy)
