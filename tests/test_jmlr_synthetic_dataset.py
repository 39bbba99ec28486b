"""The data set on disk: complete, reproducible, all or nothing; other face models; the command."""

import csv
import multiprocessing
import subprocess
import sys

import cv2
import numpy as np
import pytest

from proxy_tasks import synthesize as command
from proxy_tasks.jmlr.synthetic import dataset, synthesize
from proxy_tasks.jmlr.synthetic.actions import ACTIONS
from proxy_tasks.jmlr.synthetic.model import default_model, load_model

SMALL = {"subjects": 3, "test_subjects": 2, "frames": 2, "size": 128, "seed": 4}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return synthesize(tmp_path_factory.mktemp("faces") / "set", workers=1, **SMALL)


def contents(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def rows_of(folder, split):
    with open(folder / "list" / f"WCPA_track2_{split}.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_layout_is_the_challenges(made):
    actions = {action.name for action in ACTIONS}
    for split, people in (("train", 3), ("test", 2)):
        rows = rows_of(made, split)
        assert len(rows) == people * 2
        names = (made / "list" / f"WCPA_track2_{split}_subject_id_list.txt").read_text().split()
        assert names == sorted({row["subject_id"] for row in rows}) and len(names) == people
        for row in rows:
            assert len(row["subject_id"]) == 6 and len(row["img_id"]) == 6 and row["facial_action"] in actions
            place = f"{row['subject_id']}/{row['facial_action']}/{row['img_id']}"
            assert cv2.imread(str(made / "image" / f"{place}_ar.jpg")).shape == (128, 128, 3)
            assert np.loadtxt(made / "68landmarks" / f"{place}_68landmarks.txt").shape == (68, 2)
            assert (made / "info" / f"{place}_info.npz").exists() == (split == "train")
    assert not {r["subject_id"] for r in rows_of(made, "train")} & {
        r["subject_id"] for r in rows_of(made, "test")
    }


def test_resources_describe_the_mesh_and_the_camera(made):
    resources, model = made / "resources", default_model()
    assert np.loadtxt(resources / "projection_matrix.txt")[0, 0] == pytest.approx(1.57443701)
    assert np.array_equal(np.load(resources / "kpt_ind.npy"), model.landmarks68)
    assert np.array_equal(np.load(resources / "flip_index.npy"), model.flip_index)
    lines = (resources / "example.obj").read_text().splitlines()
    vertices = np.array([line.split()[1:] for line in lines if line.startswith("v ")], float)
    faces = np.array([line.split()[1:] for line in lines if line.startswith("f ")], int)
    assert np.abs(vertices - model.mean).max() < 1e-6
    assert np.array_equal(faces - 1, model.triangles)
    mirrored = vertices[:, None] * [-1.0, 1.0, 1.0] - vertices[None]
    assert np.array_equal(np.linalg.norm(mirrored, axis=2).argmin(1), model.flip_index)


def test_landmark_files_lie_on_the_projected_vertices_of_the_info_files(made):
    matrix = np.loadtxt(made / "resources" / "projection_matrix.txt")
    marks = np.load(made / "resources" / "kpt_ind.npy")
    for row in rows_of(made, "train"):
        place = f"{row['subject_id']}/{row['facial_action']}/{row['img_id']}"
        info = np.load(made / "info" / f"{place}_info.npz")
        assert info["verts"].shape == (1220, 3) and info["verts"].dtype == np.float32
        assert info["R_t"].shape == (4, 4)
        camera = np.column_stack([info["verts"], np.ones(1220)]) @ info["R_t"]
        clip = camera @ matrix
        points = np.column_stack([64 + 64 * clip[:, 0] / clip[:, 3], 64 - 64 * clip[:, 1] / clip[:, 3]])
        found = np.loadtxt(made / "68landmarks" / f"{place}_68landmarks.txt")
        assert np.abs(found - points[marks]).max() < 1.0
        assert camera[:, 2].max() < 0.0


def test_same_seed_gives_the_same_bytes_with_any_number_of_workers(made, tmp_path):
    again = synthesize(tmp_path / "again", workers=2, **SMALL)
    assert contents(again) == contents(made)


def test_another_seed_gives_other_people(made, tmp_path):
    other = synthesize(
        tmp_path / "other", workers=1, **(SMALL | {"subjects": 1, "test_subjects": 0, "seed": 5})
    )
    theirs, ours = contents(other), contents(made)
    assert not {n for n in theirs if n.startswith("image/") and theirs[n] == ours.get(n)}


def test_the_first_people_do_not_depend_on_how_many_follow(made, tmp_path):
    one = synthesize(tmp_path / "one", workers=1, **(SMALL | {"subjects": 1, "test_subjects": 0}))
    images = {
        n: data for n, data in contents(one).items() if n.startswith(("image/", "info/", "68landmarks/"))
    }
    assert images.items() <= contents(made).items()


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(dataset, "encode", broken)
    with pytest.raises(OSError, match="no space left"):
        synthesize(tmp_path / "set", workers=1, **SMALL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"subjects": 0}, "0 training and 2 test subjects: at least 1"),
        ({"frames": 0}, "0 frames per subject: 1 to 1320"),
        ({"frames": 1321}, "1321 frames per subject"),
        ({"size": 20}, "images of 20 pixels: 64 to 4096"),
        ({"seed": -1}, "seed -1: it must not be negative"),
        ({"workers": 0}, "0 workers: at least 1"),
    ],
)
def test_impossible_requests_are_refused_in_a_sentence(tmp_path, change, words):
    with pytest.raises(ValueError, match=words):
        synthesize(tmp_path / "set", **(SMALL | change))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_not_touched(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine.txt").write_text("keep")
    with pytest.raises(ValueError, match="already holds something: name a new or an empty folder"):
        synthesize(tmp_path / "set", workers=1, **SMALL)
    assert [p.name for p in (tmp_path / "set").iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "set").mkdir()
    synthesize(tmp_path / "set", subjects=1, frames=1, size=96, workers=1)
    assert (tmp_path / "set" / "list").is_dir()


@pytest.fixture(scope="module")
def other_model(tmp_path_factory):
    """A face of 900 vertices without the optional key, 6 % smaller than ours."""
    file = tmp_path_factory.mktemp("model") / "other.npz"
    default_model(900).save(file)
    with np.load(file) as whole:
        arrays = {name: whole[name] for name in whole.files if name != "paint"}
    for name in ("mean", "identity", "expression"):
        arrays[name] = arrays[name] * np.float32(0.94)
    np.savez(file, **arrays)
    return file


def test_another_face_model_is_rendered_and_labelled(other_model, tmp_path):
    out = synthesize(tmp_path / "set", subjects=2, frames=2, size=128, workers=1, face_model=other_model)
    info = np.load(next((out / "info").rglob("*.npz")))
    assert info["verts"].shape == (900, 3)
    assert len(np.load(out / "resources" / "flip_index.npy")) == 900


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda a: a.pop("flip_index"), "lacks flip_index"),
        (lambda a: a.update(flip_index=np.roll(a["flip_index"], 1)), "not its own inverse"),
        (lambda a: a.update(mean=a["mean"] * 1000), "a face in metres is 0.1 to 0.4"),
        (lambda a: a.update(landmarks68=a["landmarks68"][:5]), r"landmarks68 of shape \(5,\)"),
        (lambda a: a.update(triangles=a["triangles"] + 900), "indices in triangles outside its 900 vertices"),
        (lambda a: a.update(identity=a["identity"] * np.nan), "identity that are not finite"),
        (lambda a: a.update(flip_index=a["flip_index"].astype(float)), "flip_index of float64, not of int"),
        (lambda a: a.update(triangles=a["triangles"][:0]), "has no triangles"),
        (lambda a: a.update(triangles=a["triangles"][:50]), "an outline, a mouth and two eyes"),
    ],
)
def test_a_face_model_that_does_not_fit_is_refused_in_a_sentence(other_model, tmp_path, spoil, words):
    with np.load(other_model) as whole:
        arrays = dict(whole)
    spoil(arrays)
    np.savez(tmp_path / "spoilt.npz", **arrays)
    with pytest.raises(ValueError, match=words):
        synthesize(
            tmp_path / "set", subjects=1, frames=1, size=96, workers=1, face_model=tmp_path / "spoilt.npz"
        )
    assert [p.name for p in tmp_path.iterdir()] == ["spoilt.npz"]


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x05\x06", "array", "compressed"])
def test_a_file_that_is_no_face_model_is_refused_in_a_sentence(other_model, tmp_path, content):
    file = tmp_path / "model.npz"
    if content == "array":
        with file.open("wb") as stream:
            np.save(stream, np.zeros(3))
    elif content == "compressed":
        with np.load(other_model) as model:
            np.savez_compressed(file, **model)
        whole = file.read_bytes()
        file.write_bytes(whole[:200] + bytes(200) + whole[400:])
    else:
        file.write_bytes(content)
    with pytest.raises(ValueError, match="cannot read the face model"):
        load_model(file)


def test_an_interrupt_while_workers_start_leaves_neither_them_nor_a_file(tmp_path, monkeypatch):
    def interrupted(executor):
        assert multiprocessing.active_children()  # they are started before the thread that would stop them
        raise KeyboardInterrupt

    monkeypatch.setattr("concurrent.futures.process._ExecutorManagerThread", interrupted)
    with pytest.raises(KeyboardInterrupt):
        synthesize(tmp_path / "set", subjects=2, frames=1, size=96, workers=2)
    for child in multiprocessing.active_children():
        child.join(60)
    assert not multiprocessing.active_children() and not list(tmp_path.iterdir())


def test_a_saved_model_is_read_back_unchanged(tmp_path):
    model = default_model()
    model.save(tmp_path / "model.npz")
    again = load_model(tmp_path / "model.npz")
    assert again.expression_names == model.expression_names
    for name in ("mean", "identity", "expression", "triangles", "landmarks68", "flip_index", "paint"):
        assert np.array_equal(getattr(again, name), getattr(model, name)), name


def test_command_writes_a_data_set_and_says_where(tmp_path, capsys, monkeypatch):
    arguments = [
        "--out",
        str(tmp_path / "set"),
        "--subjects",
        "1",
        "--frames",
        "2",
        "--size",
        "96",
        "--workers",
        "1",
    ]
    monkeypatch.setattr("proxy_tasks.progress.has_a_screen", lambda stream: True)
    assert command.main(arguments) == 0
    shown = capsys.readouterr()
    assert str(tmp_path / "set") in shown.out and "2/2" in shown.err


def test_command_refuses_in_one_sentence_with_status_2(tmp_path, capsys):
    assert command.main(["--out", str(tmp_path / "set"), "--frames", "0"]) == 2
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1 and "0 frames per subject" in shown.err
    assert list(tmp_path.iterdir()) == []


def test_command_reports_a_missing_face_model_with_status_2(tmp_path, capsys):
    assert command.main(["--out", str(tmp_path / "set"), "--face-model", str(tmp_path / "none.npz")]) == 2
    assert "cannot read the face model" in capsys.readouterr().err


def test_command_draws_a_contact_sheet(tmp_path, capsys):
    assert command.main(["--contact-sheet", str(tmp_path / "sheet.png"), "--seed", "1"]) == 0
    assert min(cv2.imread(str(tmp_path / "sheet.png")).shape[:2]) > 1000
    assert command.main(["--contact-sheet", str(tmp_path / "sheet.gif")]) == 2
    assert "name a .jpg or a .png file" in capsys.readouterr().err


def test_workers_need_no_torch_and_help_needs_nothing_heavy():
    code = "import sys, proxy_tasks.synthesize; print({'torch', 'cv2', 'numpy'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "set()"
    code = "import sys, proxy_tasks.jmlr.synthetic; print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "False"
