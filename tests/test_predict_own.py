"""nas.predict on a person's own pictures with landmarks, and on a list: the same as in the data set."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from nas.predict.__main__ import main
from proxy_tasks.jmlr.wcpa.own_images import lay_out


def predicted(run, out, *flags):
    assert main([str(run), "--out", str(out), "--device", "cpu", "--member", "best", "--quiet", *flags]) == 0
    with np.load(out) as found:
        return {name: found[name] for name in found.files}


def test_own_pictures_and_a_list_are_predicted_as_the_data_sets_own(retrained, wcpa_of_ten, tmp_path, capsys):
    whole = predicted(retrained, tmp_path / "val.npz", "--split", "val")
    names = list(zip(whole["subject_id"], whole["facial_action"], whole["img_id"], strict=True))
    chosen = [len(names) - 1, 0]
    rows = "".join(",".join(names[i]) + "\n" for i in chosen)
    (tmp_path / "some.csv").write_text("subject_id,facial_action,img_id\n" + rows)
    some = predicted(retrained, tmp_path / "some.npz", "--split", "val", "--list", str(tmp_path / "some.csv"))
    np.testing.assert_allclose(some["verts"], whole["verts"][chosen], atol=1e-5)

    photos = tmp_path / "photos"
    photos.mkdir()
    for letter, i in zip("ab", chosen, strict=True):
        subject, action, image = names[i]
        shutil.copy(wcpa_of_ten / "image" / subject / action / f"{image}_ar.jpg", photos / f"{letter}.jpg")
        landmarks = wcpa_of_ten / "68landmarks" / subject / action / f"{image}_68landmarks.txt"
        shutil.copy(landmarks, photos / f"{letter}.txt")
    mine = predicted(retrained, tmp_path / "mine.npz", "--images", str(photos))
    assert mine["img_id"].tolist() == ["a", "b"]
    np.testing.assert_allclose(mine["verts"], whole["verts"][chosen], atol=1e-5)
    np.testing.assert_allclose(mine["T"], whole["T"][chosen], atol=1e-4)

    (tmp_path / "other.csv").write_text("subject_id,facial_action,img_id\n9999,x,y\n")
    argv = [str(retrained), "--out", str(tmp_path / "x.npz"), "--split", "val"]
    assert main([*argv, "--list", str(tmp_path / "other.csv")]) == 2
    assert "does not have, such as 9999/x/y" in capsys.readouterr().err


def test_a_picture_of_another_shape_than_the_cameras_is_warned_of(wcpa_of_ten, tmp_path):
    import cv2

    photos = tmp_path / "photos"
    photos.mkdir()
    for name, shape in (("square", (64, 64, 3)), ("wide", (64, 96, 3))):
        assert cv2.imwrite(str(photos / f"{name}.jpg"), np.zeros(shape, np.uint8))
        (photos / f"{name}.txt").write_text("1 1\n" * 68)
    with pytest.warns(
        UserWarning, match=r"wide\.jpg is 96 x 64, and the camera .* 1\.00 times as wide as high"
    ):
        assert lay_out(photos, wcpa_of_ten / "resources", tmp_path / "laid") == 2


def test_pictures_without_landmarks_are_named(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(ValueError, match="holds no picture"):
        lay_out(tmp_path / "photos", tmp_path, tmp_path / "a")
    (tmp_path / "photos" / "me.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"me\.jpg has no landmarks: put 68 rows"):
        lay_out(tmp_path / "photos", tmp_path, tmp_path / "b")
    with pytest.raises(ValueError, match="is no folder"):
        lay_out(tmp_path / "none", tmp_path, tmp_path / "c")
