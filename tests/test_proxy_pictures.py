"""A picture is written where a person says, but never over a picture of theirs."""

import cv2
import numpy as np
import pytest

from proxy_tasks.pictures import write_picture

IMAGE = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.JPEG", "deeper/a.png"])
def test_ours_is_readable_and_may_be_drawn_again(tmp_path, name):
    for _ in range(2):
        path = write_picture(tmp_path / name, IMAGE, "--overlay")
        assert cv2.imread(str(path)).shape == IMAGE.shape
    if name.endswith("png"):
        np.testing.assert_array_equal(cv2.imread(str(path))[..., ::-1], IMAGE)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_theirs_is_left_alone(tmp_path, name):
    (tmp_path / name).write_bytes(b"a portrait")
    with pytest.raises(ValueError, match=f"--overlay .*{name} exists and was not drawn by this project"):
        write_picture(tmp_path / name, IMAGE, "--overlay")
    assert (tmp_path / name).read_bytes() == b"a portrait"


def test_what_is_no_picture_or_a_folder_is_refused(tmp_path):
    (tmp_path / "folder.png").mkdir()
    for name in ("a.txt", "a", "folder.png"):
        with pytest.raises(ValueError, match=r"is no picture's name|is a folder"):
            write_picture(tmp_path / name, IMAGE, "--overlay")
