"""Errors of predictions by kind of image, and the section on full training, from what the commands wrote."""

import itertools
import json
import shutil

import numpy as np
import pytest
from test_reports_page import Page, made_up_latencies, printed, small_picture

from nas.ensemble.__main__ import main as ensemble
from nas.predict.__main__ import main as predict
from proxy_tasks.jmlr import judging
from proxy_tasks.jmlr.camera import rotation_from_euler
from proxy_tasks.jmlr.judging import Scored, score
from proxy_tasks.jmlr.mesh_pictures import facing_camera
from proxy_tasks.jmlr.wcpa.dataset import WcpaDataset
from proxy_tasks.predicting import NoLabels
from reports.build import build
from reports.predictions import by_sort, by_value, extremes
from reports.run import Run
from reports.sections import errors, final


def save(path, dataset, rows, shift_m=0.0, turned=None):
    """A predictions file that is the label, moved along the camera's axis; metres."""
    verts, R, T = (np.stack(part) for part in zip(*(dataset.labels(row) for row in rows), strict=True))
    T = T + np.array([0, 0, shift_m])
    names = zip(("subject_id", "facial_action", "img_id"), np.array(rows).T, strict=True)
    arrays = {"verts": verts, "R": R if turned is None else turned @ R, "T": T}
    np.savez(path, **dict(names), **{k: a.astype(np.float32) for k, a in arrays.items()})
    return path


@pytest.fixture(scope="module")
def dataset(wcpa_of_ten):
    return WcpaDataset.open(wcpa_of_ten)


def test_labels_as_predictions_have_no_error_and_a_moved_face_has_its_distance(dataset, tmp_path):
    rows = dataset.rows["train"]
    assert score(save(tmp_path / "a.npz", dataset, rows), dataset).l_error_mm == pytest.approx(0, abs=1e-3)
    # moved by 10 mm: |V1 - V2| and |V1 - V3| are 10 each, the shape is right
    moved = score(save(tmp_path / "b.npz", dataset, rows, shift_m=-0.01), dataset)
    assert moved.l_error_mm == pytest.approx(20, abs=1e-2)
    assert moved.rows == tuple(rows) and moved.images == len(rows)


def test_angles_and_distance_are_those_of_the_labels(dataset, tmp_path):
    rows = dataset.rows["train"][:6]
    found = score(save(tmp_path / "a.npz", dataset, rows), dataset)
    for k, row in enumerate(rows):
        _, R, T = dataset.labels(row)
        assert found.distance[k] == pytest.approx(np.linalg.norm(T))
        angles = np.radians([found.pitch[k], found.yaw[k]])
        roll_free = rotation_from_euler([*angles, 0.0])
        assert (roll_free.T @ R)[2, 2] == pytest.approx(1, abs=1e-6)  # what is left is a roll


def test_only_some_rows_of_a_large_file_are_read_and_they_are_the_right_ones(dataset, tmp_path):
    rows = dataset.rows["train"]
    file = save(tmp_path / "a.npz", dataset, rows, shift_m=-0.01)
    found = score(file, dataset, most=5)
    assert len(found.rows) == 5 and found.images == len(rows)
    assert found.at[0] == 0 and found.at[-1] == len(rows) - 1
    for at, verts in zip(found.at, found.verts, strict=True):
        assert np.array_equal(verts, np.load(file)["verts"][at])


def test_images_without_labels_are_told_apart(dataset, tmp_path):
    file = tmp_path / "test.npz"
    nothing = np.zeros((1, 3, 3), np.float32)
    names = {"subject_id": ["x"], "facial_action": ["y"], "img_id": ["z"]}
    np.savez(file, **names, verts=np.zeros((1, 5, 3), np.float32), R=nothing, T=nothing[0])
    with pytest.raises(NoLabels, match=r"test.npz has no image that the training list of"):
        score(file, dataset)
    with pytest.raises(NoLabels, match="is no predictions file"):
        (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04")
        score(tmp_path / "broken.npz", dataset)


def scored(error, subject, action="smile", values=None):
    n = len(error)
    rows = tuple(
        predictions_row(s, a, i)
        for i, (s, a) in enumerate(zip(subject, np.broadcast_to(action, n), strict=True))
    )
    zeros = np.zeros(n) if values is None else np.asarray(values, float)
    return Scored(
        rows, np.arange(n), np.asarray(error, float), zeros, zeros, zeros, *[np.zeros(n)] * 3, images=n
    )


def predictions_row(subject, action, i):
    from proxy_tasks.jmlr.wcpa.dataset import Row

    return Row(str(subject), str(action), f"{i:03d}")


def test_bins_hold_equally_many_images_and_every_one_once():
    rng = np.random.default_rng(0)
    values = rng.normal(size=120)
    data = scored(10 + values, rng.integers(0, 8, 120))
    groups = by_value(values, data)
    assert [group.images for group in groups] == [20] * 6
    assert all(a.high <= b.low for a, b in itertools.pairwise(groups))
    for group in groups:
        inside = (values >= group.low) & (values <= group.high)
        assert group.mean_mm == pytest.approx(10 + values[inside].mean())
        assert group.mean_low_mm < group.mean_mm < group.mean_high_mm


def test_equal_values_are_one_bin():
    data = scored([1.0, 3.0], ["a", "b"])
    (group,) = by_value(np.array([2.0, 2.0]), data)
    assert group.images == 2 and group.mean_mm == 2.0


def test_one_subject_gives_a_mean_and_no_interval():
    (group,) = by_sort(scored([1.0, 3.0], ["a", "a"]))
    assert (group.mean_mm, group.mean_low_mm, group.subjects) == (2.0, None, 1)


def test_actions_come_worst_first():
    groups = by_sort(scored([1, 5, 2, 6], ["a", "b", "a", "b"], ["blink", "pucker", "blink", "pucker"]))
    assert [group.name for group in groups] == ["pucker", "blink"]


def test_the_gallery_has_best_median_and_worst_and_no_face_twice():
    found = extremes(scored(np.arange(20.0), ["a"] * 20))
    assert found == [
        ("best", 0), ("best", 1), ("best", 2),
        ("median", 8), ("median", 9), ("median", 10),
        ("worst", 19), ("worst", 18), ("worst", 17),
    ]  # fmt: skip
    assert sorted(at for _, at in extremes(scored(np.arange(4.0), ["a"] * 4))) == [0, 1, 2, 3]


def test_a_perfect_mesh_is_drawn_on_the_face(dataset, tmp_path):
    rows = dataset.rows["train"][:1]
    found = score(save(tmp_path / "a.npz", dataset, rows), dataset)
    moved = score(save(tmp_path / "b.npz", dataset, rows, shift_m=-5.0), dataset)
    (drawn,), (tiny,) = (judging.pictures(each, [0], dataset, side=96) for each in (found, moved))
    assert drawn.shape == (96, 96, 3) and drawn.dtype == np.uint8
    blue = (drawn[..., 2].astype(int) - drawn[..., 0] > 40).mean()
    assert blue > 4 * (tiny[..., 2].astype(int) - tiny[..., 0] > 40).mean()
    assert facing_camera(np.array([[0, 0, -1.0], [1, 0, -1], [0, 1, -1]]), np.array([[0, 1, 2]])).all()


@pytest.fixture(scope="module")
def whole(retrained, tmp_path_factory):
    """A run with everything in it: search, full training, ensemble, predictions."""
    run = tmp_path_factory.mktemp("whole") / "run"
    shutil.copytree(retrained, run)
    assert ensemble([str(run), "--quiet", "--frames", "2"]) == 0
    assert predict([str(run), "--split", "val", "--out", str(run / "val.npz"), "--quiet"]) == 0
    return run


def test_a_report_holds_the_ensemble_and_the_errors_of_its_predictions(whole, tmp_path, monkeypatch):
    monkeypatch.setattr("reports.sections.tradeoffs.measured", made_up_latencies)
    monkeypatch.setattr("reports.figures.style.write", small_picture)
    page = build(Run.open(whole), tmp_path)
    parsed = Page(page.read_text())
    for where, digits, text in parsed.cells:
        assert text == printed(tmp_path, where, digits), where
    names = {where.split("/")[0] for where, _, _ in parsed.cells}
    assert names >= {"ensemble", "retrained", "errors", "actions", "gallery"}
    assert {path.stem for path in (tmp_path / "figures").glob("*.svg")} >= {
        "retrain",
        "errors",
        "actions",
        "gallery",
    }


def test_what_full_training_gave_is_drawn(whole, tmp_path):
    run = Run.open(whole)
    for drawing in (*final.section(run).drawings, *errors.section(run).drawings):
        assert drawing._repr_png_()[0].startswith(b"\x89PNG")


def test_the_sections_numbers_are_those_that_the_commands_wrote(whole):
    run = Run.open(whole)
    found = final.section(run)
    rows = (whole / "ensemble" / "table.csv").read_text().splitlines()
    assert len(found.table("ensemble").rows) == len(rows) - 1
    best = min(json.loads(f.read_text())["best"]["l_error_mm"] for f in whole.glob("retrain/*/metrics.json"))
    assert found.table("retrained").rows[0]["l_error_mm"] == best
    mean = json.loads((whole / "ensemble" / "metrics.json").read_text())["validation"]["l_error_mm"]
    assert errors.section(run).facts["mean_mm"].value == pytest.approx(mean, rel=1e-4)


def test_a_half_written_metrics_file_is_left_out(whole, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    file = next(run.glob("retrain/*/metrics.json"))
    file.write_text(file.read_text()[:40])
    before = len(final.section(Run.open(whole)).table("retrained").rows)
    assert len(final.section(Run.open(run)).table("retrained").rows) == before - 1
    assert {"gain_mm", "alone"} & set(final.section(Run.open(whole)).facts)
    (run / "ensemble" / "metrics.json").write_text("{")
    assert not {"gain_mm", "alone"} & set(final.section(Run.open(run)).facts)


def test_a_data_set_that_has_moved_is_said_and_the_rest_is_shown(whole):
    run = Run.open(whole)
    run.info["data"]["path"] = "/nowhere"
    assert "val.npz cannot be scored: " in errors.section(run).facts["why_not"].value


def test_a_search_alone_has_neither_section(tmp_path):
    import reports_simulated

    simulated = reports_simulated.run(3, path=tmp_path)
    assert final.section(simulated) is None and errors.section(simulated) is None
