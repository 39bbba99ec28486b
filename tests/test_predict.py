"""Predictions: the challenge's file, the ensemble's own score, and memory that does not grow."""

import errno
import json
import os
import shutil

import cv2
import finished_search
import numpy as np
import pytest
import torch

from nas.ensemble import __main__ as ensemble
from nas.ensemble import build
from nas.ensemble.greedy import Blend
from nas.predict.__main__ import main
from nas.predict.inference import Predictor
from nas.predict.npz_stream import NpzStream
from nas.predict.request import Request, choose
from nas.retrain.trained import MemberError, find_members
from proxy_tasks.jmlr.mesh_pictures import draw_mesh, facing_camera
from proxy_tasks.jmlr.predicting import MeshSamples
from proxy_tasks.jmlr.wcpa.dataset import WcpaDataset

QUIET = ["--device", "cpu", "--quiet"]


@pytest.fixture(scope="module")
def run(retrained, tmp_path_factory):
    """A copy of the retrained run with an ensemble of two members that weigh 1 and 2."""
    run = tmp_path_factory.mktemp("predict") / "run"
    shutil.copytree(retrained, run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "greedy", lambda macs, error, cap: Blend((1, 2, 0), (error((0, 1, 1)),)))
        assert ensemble.main([str(run), *QUIET]) == 0
    return run


def distance(a, b):
    return np.linalg.norm(a - b, axis=2).mean(axis=1) * 1000


def independent_l_error(npz, data):
    """Eqs. 6-7 in numpy, from the files of the data set alone."""
    rows = zip(npz["subject_id"], npz["facial_action"], npz["img_id"], strict=True)
    infos = [np.load(data / "info" / s / a / f"{i}_info.npz") for s, a, i in rows]
    truth = np.stack([info["verts"] for info in infos]).astype(np.float64)
    poses = np.stack([info["R_t"] for info in infos]).astype(np.float64)
    R, T = poses[:, :3, :3], poses[:, 3:, :3]
    verts, R_pred, T_pred = (npz[k].astype(np.float64) for k in ("verts", "R", "T"))
    T_pred = T_pred[:, None]
    v1, v2 = truth @ R + T, verts @ R_pred + T_pred
    v3, v4 = truth @ R_pred + T_pred, verts @ R + T
    return distance(v1, v2) + distance(v1, v3) + 10 * distance(v1, v4)


def test_an_independent_l_error_of_the_predictions_equals_the_ensembles_own_score(
    run, wcpa_of_ten, tmp_path, capsys
):
    assert main([str(run), "--split", "val", "--out", str(tmp_path / "val.npz"), *QUIET]) == 0
    npz = np.load(tmp_path / "val.npz", allow_pickle=False)
    mean = independent_l_error(npz, wcpa_of_ten).mean()
    metrics = json.loads((run / "ensemble" / "metrics.json").read_text())
    assert len(npz["verts"]) == metrics["validation"]["images"] == 8
    assert mean == pytest.approx(metrics["validation"]["l_error_mm"], rel=1e-4)
    assert float(capsys.readouterr().out.split("L_error ")[1].split()[0]) == pytest.approx(mean, abs=0.01)


def test_the_file_holds_the_test_list_in_fixed_width_strings_and_float32(run, wcpa_of_ten, tmp_path):
    out = tmp_path / "made" / "test.npz"
    assert main([str(run), "--split", "test", "--out", str(out), *QUIET]) == 0
    npz = np.load(out, allow_pickle=False)
    assert set(npz.files) == {"subject_id", "facial_action", "img_id", "verts", "R", "T"}
    count = len(WcpaDataset.open(wcpa_of_ten, splits=("test",)).rows["test"])
    assert [npz[k].shape for k in ("verts", "R", "T")] == [(count, 255, 3), (count, 3, 3), (count, 3)]
    assert all(npz[k].dtype == np.float32 and np.isfinite(npz[k]).all() for k in ("verts", "R", "T"))
    assert all(npz[k].dtype.kind == "U" for k in ("subject_id", "facial_action", "img_id"))
    assert npz["img_id"][0] == "000007"
    assert np.allclose(npz["R"] @ npz["R"].transpose(0, 2, 1), np.eye(3), atol=1e-5)
    assert [p.name for p in out.parent.iterdir()] == ["test.npz"]


def predictor(run, data, **settings):
    members = find_members(run)[:2]
    return Predictor(
        members, [1, 1], MeshSamples.of(WcpaDataset.open(data), members, "train"), device="cpu", **settings
    )


def test_predictions_do_not_depend_on_the_size_of_a_chunk(run, wcpa_of_ten):
    whole, small = predictor(run, wcpa_of_ten), predictor(run, wcpa_of_ten)
    small.batch = 3
    rows = np.arange(10)
    (one,) = whole.stream(rows)
    many = list(small.stream(rows))
    assert [len(part.rows) for part in many] == [3, 3, 3, 1]
    (verts, points), (one_verts, one_points) = (
        answers.split([3, 2], dim=2) for answers in (torch.cat([p.answers for p in many]), one.answers)
    )
    torch.testing.assert_close(verts, one_verts, atol=1e-6, rtol=0)
    torch.testing.assert_close(points, one_points, atol=1e-3, rtol=0)


def test_a_batch_that_does_not_fit_is_halved_until_it_does(run, wcpa_of_ten):
    tight = predictor(run, wcpa_of_ten)
    inner, tried = tight._chunk, []

    def chunk(rows):
        tried.append(len(rows))
        if len(rows) > 3:
            raise torch.OutOfMemoryError("no room")
        return inner(rows)

    tight._chunk = chunk
    parts = list(tight.stream(np.arange(12)))
    assert np.concatenate([p.rows for p in parts]).tolist() == list(range(12))
    assert tried[:4] == [12, 12, 8, 4] and max(len(p.rows) for p in parts) <= 3


def test_flip_averaging_can_be_turned_off_and_changes_the_result(run, tmp_path):
    results = []
    for name, flag in (("with", "--flip"), ("without", "--no-flip")):
        out = tmp_path / f"{name}.npz"
        assert main([str(run), "--split", "val", "--out", str(out), flag, *QUIET]) == 0
        results.append(np.load(out)["verts"])
    assert np.abs(results[0] - results[1]).max() > 1e-6


def test_one_member_can_be_named_and_the_best_is_the_default_without_an_ensemble(retrained, tmp_path, capsys):
    best, other = find_members(retrained)[:2]
    outs = []
    for flags in ([], ["--member", best.name], ["--member", other.name], ["--member", "best"]):
        out = tmp_path / f"{len(outs)}.npz"
        assert main([str(retrained), "--split", "val", "--out", str(out), *flags, *QUIET]) == 0
        outs.append(np.load(out)["verts"])
    assert np.array_equal(outs[0], outs[1]) and np.array_equal(outs[0], outs[3])
    assert not np.array_equal(outs[0], outs[2])


def test_overlays_show_the_mesh_on_the_images_that_were_asked_for(run, wcpa_of_ten, tmp_path):
    out = tmp_path / "test.npz"
    assert main([str(run), "--split", "test", "--out", str(out), "--overlay", "3", *QUIET]) == 0
    pictures = sorted((tmp_path / "test_overlay").glob("[!.]*"))
    assert len(pictures) == 3 and len(list(tmp_path.iterdir())) == 2
    picture = cv2.imread(str(pictures[0])).astype(int)
    assert picture.shape == (640, 640, 3)
    blue = picture[..., 0] - picture[..., 2] > 60  # the lines' colour, which no skin has
    assert 0.05 < blue.mean() < 0.6


def test_only_edges_that_face_the_camera_are_drawn_where_they_project():
    camera = np.array(
        [[0.0, 0, -1], [0.1, 0, -1], [0, 0.1, -1], [0, 0, -1.2], [0.1, 0, -1.2], [0, 0.1, -1.2]]
    )
    front, back = [0, 1, 2], [3, 5, 4]  # wound the other way
    assert facing_camera(camera, np.array([front, front, back])).tolist() == [True, True, False]
    points = np.array([[10.0, 10], [30, 10], [10, 30]])
    drawn = draw_mesh(np.zeros((40, 40, 3), np.uint8), points, np.array([[0, 1, 2]]))
    assert drawn[10, 20].any() and drawn[20, 10].any() and drawn[20, 20].any() and not drawn[30, 30].any()


def test_an_interrupted_stream_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), NpzStream(tmp_path / "x.npz", 5, {"verts": (2, 3)}) as npz:
        npz.put(verts=np.zeros((2, 2, 3)))
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="room cannot be reserved here")
def test_a_full_disk_is_said_before_the_first_image_and_leaves_nothing(run, tmp_path, monkeypatch, capsys):
    def full(descriptor, start, size):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert main([str(run), "--split", "test", "--out", str(tmp_path / "t.npz"), *QUIET]) == 1
    message = capsys.readouterr().err
    assert "No space left on device" in message and message.count("\n") == 1
    assert ensemble.main([str(run), *QUIET]) == 1
    assert not list(tmp_path.iterdir()) and not list(run.glob(".predictions-*"))


@pytest.fixture
def spoilt(run, wcpa_of_ten, tmp_path):
    """A data set whose test split lacks the landmarks of one image of 8."""
    data = tmp_path / "spoilt"
    shutil.copytree(wcpa_of_ten, data)
    file = sorted((data / "68landmarks").glob("011[12]/*/*.txt"))[2]
    file.write_text("")
    return data


def test_test_images_without_landmarks_are_refused_or_left_out(run, spoilt, tmp_path, capsys):
    out = tmp_path / "out" / "test.npz"
    argv = [str(run), "--split", "test", "--data", str(spoilt), "--out", str(out), *QUIET]
    assert main(argv) == 2
    message = capsys.readouterr().err
    assert "1 of 8 test images cannot be cropped" in message and message.count("\n") == 1
    assert not out.parent.exists()
    assert main([*argv, "--skip-missing"]) == 0
    assert len(np.load(out)["verts"]) == 7


def test_test_images_whose_files_are_missing_are_left_out_as_well(run, wcpa_of_ten, tmp_path, capsys):
    """More of them than a data set may lack."""
    data = tmp_path / "gaps"
    shutil.copytree(wcpa_of_ten, data)
    for file in sorted((data / "68landmarks").glob("011[12]/*/*.txt"))[:5]:
        file.unlink()
    out = tmp_path / "test.npz"
    argv = [str(run), "--split", "test", "--data", str(data), "--out", str(out), *QUIET]
    assert main(argv) == 2
    message = capsys.readouterr().err
    assert (
        "names 5 files that are not there" in message
        and "leave those images out with --skip-missing" in message
    )
    assert not out.exists()
    assert main([*argv, "--skip-missing"]) == 0
    assert len(np.load(out)["verts"]) == len(np.load(out)["img_id"]) == 3
    for file in (data / "68landmarks").glob("011[12]/*/*.txt"):
        file.unlink()
    assert main([*argv, "--skip-missing"]) == 2
    assert "none of the test images of" in capsys.readouterr().err


def test_an_npz_of_somebody_else_is_not_replaced_and_one_of_ours_is(run, tmp_path, capsys):
    np.savez(tmp_path / "mine.npz", measurements=np.arange(3))
    argv = [str(run), "--split", "test", *QUIET, "--out"]
    assert main([*argv, str(tmp_path / "mine.npz")]) == 2
    assert "exists and holds no predictions" in capsys.readouterr().err
    assert np.load(tmp_path / "mine.npz")["measurements"].tolist() == [0, 1, 2]
    for _ in range(2):
        assert main([*argv, str(tmp_path / "ours.npz")]) == 0
    (tmp_path / "ours_overlay").mkdir()
    (tmp_path / "ours_overlay" / "mine.png").touch()
    assert main([*argv, str(tmp_path / "ours.npz"), "--overlay", "1"]) == 2
    assert "holds files that nas.predict did not write (mine.png)" in capsys.readouterr().err


def test_networks_trained_on_all_subjects_replace_their_twins_for_the_test_split(
    wcpa_of_ten, tmp_path, capsys
):
    run = finished_search.write(tmp_path / "run", wcpa_of_ten)
    finished_search.retrain(run, "--no-control", "--epochs", "1")
    assert ensemble.main([str(run), *QUIET]) == 0
    argv = [str(run), "--trainval", "--out", str(tmp_path / "t.npz"), *QUIET]
    assert main([*argv, "--split", "test"]) == 2
    assert "has no twin" in capsys.readouterr().err
    finished_search.retrain(run, "--no-control", "--epochs", "1", "--trainval")
    assert main([*argv, "--split", "test"]) == 0
    plain = tmp_path / "p.npz"
    assert main([str(run), "--split", "test", "--out", str(plain), *QUIET]) == 0
    assert not np.array_equal(np.load(tmp_path / "t.npz")["verts"], np.load(plain)["verts"])
    assert main([*argv, "--split", "val"]) == 2
    assert "seen the validation subjects" in capsys.readouterr().err


def test_the_best_of_the_networks_on_all_subjects_is_the_twin_of_the_best_validated(tmp_path):
    """By their own scores, of subjects that they were trained on, the other one would win."""
    (tmp_path / "run.json").write_text("{}")

    def record(arch, trainval, error):
        folder = tmp_path / "retrain" / f"{arch}-{trainval}"
        folder.mkdir(parents=True)
        spec = {"depths": [1, 1, 1, 1], "widths": [8, 8, 8, 8 if arch == "a" else 16]}
        facts = {"arch": spec, "seed": 0, "proxy_id": "p", "data_id": "d", "name": arch, "trainval": trainval}
        facts |= {"arch_id": arch, "settings_id": "s", "proxy": {"resolution": 32}, "data": "/wcpa"}
        facts |= {"outputs": 20, "macs": 1, "status": "complete", "best": {"epoch": 1, "l_error_mm": error}}
        (folder / "metrics.json").write_text(json.dumps(facts))
        return folder

    validated = [record("a", False, 30.0), record("b", False, 35.0)]
    record("a", True, 20.0)
    record("b", True, 10.0)
    request = Request(tmp_path, "test", tmp_path / "t.npz", trainval=True)
    assert choose(request).members[0].name == "a-True"
    for folder in validated:
        shutil.rmtree(folder)
    with pytest.raises(MemberError, match=r"pick one with --member \(b-True, a-True\)"):
        choose(request)


def test_bad_requests_are_one_sentence_and_write_nothing(
    run, retrained, tiny_wcpa, tmp_path, wcpa_of_ten, capsys
):
    bare = finished_search.write(tmp_path / "bare", wcpa_of_ten)
    other = tmp_path / "other_mesh"
    shutil.copytree(wcpa_of_ten, other)
    shift_topology(other)
    damaged = tmp_path / "damaged"
    shutil.copytree(run, damaged)
    (damaged / "ensemble" / "members.json").write_text("{")
    out = tmp_path / "out.npz"
    requests = [
        ([str(bare)], "no finished retraining"),
        ([str(retrained), "--member", "ensemble"], "no ensemble yet"),
        ([str(run), "--member", "nobody"], "'nobody'"),
        ([str(run), "--data", str(tiny_wcpa)], "trained on another data set"),
        ([str(run), "--data", str(other)], "another mesh"),
        ([str(run), "--data", str(tmp_path / "absent")], "no data folder"),
        ([str(run), "--overlay", "-1"], "--overlay"),
        ([str(damaged)], "members.json is damaged"),
    ]
    for argv, said in requests:
        assert main([*argv, "--split", "val", "--out", str(out), *QUIET]) == 2
        message = capsys.readouterr().err
        assert said in message and message.count("\n") == 1, message
    assert main([str(run), "--split", "val", "--out", str(tmp_path / "out.txt"), *QUIET]) == 2
    assert not list(tmp_path.glob("out*"))


def shift_topology(data):
    """Another choice of the 68 landmarks: the same vertices, another mesh."""
    file = data / "resources" / "kpt_ind.npy"
    np.save(file, np.roll(np.load(file), 1))
