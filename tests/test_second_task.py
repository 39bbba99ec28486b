"""A task that is not JMLR goes through the same commands (examples/digits.py); kinds are found by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from proxy_tasks.kind import DEFAULT, Score, find_kind

pytest.importorskip("sklearn", reason="the example's data come with scikit-learn")

TASK = "examples.digits:KIND"
PROXY = {"base": "mini", "resolution": 32, "epochs": 1, "batch": 16, "lr": 1.0, "evaluations": 1}
PROXY |= {"least_steps": 0, "subjects": 32, "frames": 0, "validation_images": 16}
SPACE = ["--max-depth", "3", "--max-width", "48", "--width-step", "8", "--tolerance", "0.1"]


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> Path:
    """A finished search for the turn of digits, and the best of it retrained."""
    from nas.retrain.__main__ import main as retrain
    from nas.search.__main__ import main as search

    place = tmp_path_factory.mktemp("digits")
    (place / "tiny.json").write_text(json.dumps(PROXY))
    run = place / "run"
    how = ["--launcher", "inprocess", "--strategy", "random", "--trials", "2", "--finalists", "1", "--quiet"]
    what = ["--task", TASK, "--budget", "0.55GFLOPs", "--proxy", str(place / "tiny.json"), "--out", str(run)]
    assert search([*what, *how, *SPACE]) == 0
    schedule = ["--proxy", str(place / "tiny.json"), "--launcher", "inprocess", "--device", "cpu", "--quiet"]
    assert retrain([str(run), *schedule, "--no-control"]) == 0
    return run


def test_the_record_says_which_task_and_what_its_score_is(searched):
    about = json.loads((searched / "run.json").read_text())
    assert about["config"]["task"] == TASK
    assert about["score"] == {
        "label": "angle error",
        "unit": "degrees",
        "baseline": "no turn for every digit",
    }
    assert about["data"]["images"] == 1797 and about["data"]["outputs"] == 2
    assert 0 < about["baseline_l_error_mm"] < 60


def test_the_status_speaks_of_degrees(searched, capsys):
    from nas.status import main

    assert main([str(searched)]) == 0
    shown = capsys.readouterr().out
    assert "angle error, degrees" in shown and "no turn for every digit" in shown
    assert "mm" not in shown.replace("from one", "") and "face" not in shown


def test_the_report_speaks_of_degrees(searched, tmp_path):
    from reports.build import main

    assert main([str(searched), "--out", str(tmp_path / "report")]) == 0
    page = (tmp_path / "report" / "index.html").read_text()
    assert "angle error in degrees" in page and "L_error" not in page and "mean face" not in page
    facts = (tmp_path / "report" / "tables" / "facts.csv").read_text()
    assert ",degrees," in facts and ",mm," not in facts


def test_the_retrained_network_answers_with_two_numbers(searched):
    (file,) = (searched / "retrain").glob("*/metrics.json")
    record = json.loads(file.read_text())
    assert record["status"] == "complete" and record["outputs"] == 2 and record["task"] == TASK
    assert record["score"]["unit"] == "degrees"
    assert record["images"] == {"training": 32, "validation": 16}


def test_it_is_exported_in_the_formats_that_mean_something(searched, tmp_path, capsys):
    from nas.export.__main__ import main

    assert main([str(searched), "--format", "json", "timm", "--out", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "json" / "spec.json").read_text())["outputs"] == 2
    assert (tmp_path / "timm" / "model.safetensors").exists()
    assert main([str(searched), "--format", "jmlr", "--out", str(tmp_path)]) == 2
    assert "means nothing" in capsys.readouterr().err


def test_ensembles_and_predictions_say_that_they_are_of_meshes(searched, tmp_path, capsys):
    from nas.ensemble.__main__ import main as ensemble
    from nas.predict.__main__ import main as predict

    assert ensemble([str(searched)]) == 2
    assert "are of face meshes" in capsys.readouterr().err
    assert predict([str(searched), "--split", "val", "--out", str(tmp_path / "x.npz")]) == 2
    assert "are of face meshes" in capsys.readouterr().err


def test_the_example_is_short_and_turns_a_picture_the_way_it_says():
    from examples.digits import turned

    lines = Path(__file__).parents[1].joinpath("examples", "digits.py").read_text().splitlines()
    assert len(lines) < 150
    dot = torch.full((1, 8, 8), -1.0)
    dot[0, 3:5, 7] = 1.0  # on the right, at half height
    quarter = turned(dot, torch.tensor([torch.pi / 2]), 8)[0, 0]
    assert quarter[0, 3:5].mean() > 0.5 and quarter[3:5, 7].mean() < -0.5  # at the top


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing", "there is no task 'nothing': give one of jmlr"),
        ("no.such.module:KIND", "cannot be imported"),
        ("proxy_tasks.proxy:KIND", "has no 'KIND'"),
        ("proxy_tasks.proxy:PROXIES", "is no task"),
    ],
)
def test_a_task_that_is_none_is_named_in_a_sentence(name, said):
    with pytest.raises(ValueError, match=said):
        find_kind(name)


def test_a_task_is_found_by_the_name_of_an_entry_point(monkeypatch):
    import importlib.metadata as metadata

    entry = metadata.EntryPoint("digits", TASK, "jmlr_nas.tasks")
    monkeypatch.setattr(metadata, "entry_points", lambda group: [entry] if group == "jmlr_nas.tasks" else [])
    assert find_kind("digits").name == "digits"


def test_the_default_speaks_as_before():
    text = "L_error 12.30 mm, mean face for every image"
    assert find_kind(None) is find_kind(DEFAULT) and find_kind(None).score.words(text) == text
    other = Score("angle error", "degrees", "no turn")
    assert other.words(text) == "angle error 12.30 degrees, no turn"
    assert Score("loss", "", "zero").words("L_error 12.30 mm (x)") == "loss 12.30 (x)"
