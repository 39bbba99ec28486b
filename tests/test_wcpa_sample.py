"""Reading one sample's files: the fast paths against NumPy, and what is damaged."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from proxy_tasks.jmlr.wcpa.sample import DamagedSample, decode, image_size, read_info, read_landmarks


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_labels_are_what_numpy_wrote(tmp_path: Path, save, dtype, order):
    rng = np.random.default_rng(0)
    verts, pose = rng.normal(size=(30, 3)).astype(dtype), np.eye(4) + rng.normal(size=(4, 4)) * 0.1
    save(tmp_path / "a.npz", verts=np.asarray(verts, order=order), R_t=pose, other=np.zeros(3))
    read_verts, R, T = read_info(tmp_path / "a.npz")
    np.testing.assert_array_equal(read_verts, verts.astype(np.float32))
    np.testing.assert_array_equal(R, pose[:3, :3])
    np.testing.assert_array_equal(T, pose[3, :3])
    assert read_verts.dtype == np.float32 and R.dtype == np.float64


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"verts": np.zeros((5, 3))}, "lacks verts or R_t"),
        ({"verts": np.zeros((5, 2)), "R_t": np.eye(4)}, r"shape \(5, 2\)"),
        ({"verts": np.zeros((5, 3)), "R_t": np.eye(3)}, r"shape \(3, 3\)"),
        ({"verts": np.full((5, 3), np.inf), "R_t": np.eye(4)}, "not finite"),
        ({"verts": np.array([{"a": 1}]), "R_t": np.eye(4)}, "not a readable npz"),
        ({"verts": np.full((5, 3), "a"), "R_t": np.eye(4)}, "not a readable npz"),
    ],
)
def test_labels_that_make_no_sense_are_damaged(tmp_path: Path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DamagedSample, match=words):
        read_info(tmp_path / "a.npz")


def test_a_missing_file_is_not_a_damaged_one(tmp_path: Path):
    for read in (read_info, read_landmarks):
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "none")


def test_landmarks_are_68_rows_of_two_numbers(tmp_path: Path):
    points = np.random.default_rng(1).uniform(0, 800, (68, 2))
    np.savetxt(tmp_path / "a.txt", points)
    np.testing.assert_allclose(read_landmarks(tmp_path / "a.txt"), points)
    np.savetxt(tmp_path / "a.txt", points[:67])
    with pytest.raises(DamagedSample, match="134 numbers instead of 68 x 2"):
        read_landmarks(tmp_path / "a.txt")


@pytest.mark.parametrize("progressive", [0, 1])
def test_size_and_pixels_of_a_jpeg(progressive: int):
    image = np.zeros((75, 123, 3), np.uint8)
    image[:, :60] = (0, 0, 255)
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])[1].tobytes()
    assert image_size(data) == (123, 75)
    assert decode(data).shape == (75, 123, 3)
    np.testing.assert_allclose(decode(data)[30, 20], (255, 0, 0), atol=3)
    assert [decode(data, k).shape[:2] for k in (2, 4, 8)] == [(38, 62), (19, 31), (10, 16)]


def test_data_after_the_end_marker_is_no_damage():
    data = cv2.imencode(".jpg", np.zeros((40, 50, 3), np.uint8))[1].tobytes()
    assert decode(data + bytes(5000)).shape == (40, 50, 3)


def test_size_is_found_behind_a_long_comment_and_padding():
    data = cv2.imencode(".jpg", np.zeros((40, 50, 3), np.uint8))[1].tobytes()
    comment = b"\xff\xfe" + (60000).to_bytes(2, "big") + b"\xff\xc0" * 29999
    assert image_size(data[:2] + comment + b"\xff\xff" + data[3:]) == (50, 40)


@pytest.mark.parametrize("cut", [1, 2, 100, 700])
def test_a_cut_image_is_damaged_however_little_is_lacking(cut: int):
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    data = cv2.imencode(".jpg", image)[1].tobytes()
    with pytest.raises(DamagedSample):
        decode(data[:-cut])


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"GIF89a" + b"\0" * 50, b"\x89PNG" + b"\0" * 50]
)
def test_what_is_no_jpeg_is_damaged(data: bytes):
    for read in (image_size, decode):
        with pytest.raises(DamagedSample):
            read(data)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_labels_with_flipped_bytes_are_damaged_or_still_read(tmp_path: Path, save):
    rng = np.random.default_rng(0)
    save(tmp_path / "whole.npz", verts=rng.normal(size=(40, 3)), R_t=np.eye(4))
    whole, damaged = (tmp_path / "whole.npz").read_bytes(), 0
    for _ in range(400):
        data = bytearray(whole)
        data[rng.integers(len(data))] ^= int(rng.integers(1, 256))
        (tmp_path / "a.npz").write_bytes(data)
        try:
            read_info(tmp_path / "a.npz")
        except DamagedSample:
            damaged += 1
    assert damaged > 300


def test_a_header_that_states_more_pixels_than_can_be_made_is_damage():
    data = bytearray(cv2.imencode(".jpg", np.zeros((40, 50, 3), np.uint8))[1].tobytes())
    frame = data.find(b"\xff\xc0")
    data[frame + 5 : frame + 9] = b"\xff\xdc" * 2
    assert image_size(bytes(data)) == (65500, 65500)
    with pytest.raises(DamagedSample, match="cannot be decoded"):
        decode(bytes(data))
