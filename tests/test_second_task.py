"""A task that is not JMLR goes through the same commands (examples/digits.py); kinds are found by name."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from proxy_tasks.kind import DEFAULT, Score, find_kind
from proxy_tasks.proxy import Proxy
from space import ArchSpec, Budget

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


def test_its_budget_and_costs_count_its_own_two_outputs(searched, tmp_path):
    from nas.export.from_run import open_source
    from nas.record.run_dir import outputs_counted
    from nas.record.select import select
    from nas.record.store import Store
    from reports.run import Run
    from reports.sections import answer, redistribution

    about = json.loads((searched / "run.json").read_text())
    assert outputs_counted(about) == 2 and outputs_counted({"space": {}}) == 6100  # of runs before
    budget = Budget(about["budget"]["target"], about["budget"]["tolerance"])
    records = Store.open(searched).records()
    for r in records:
        assert (r.macs, r.params) == (r.arch.macs(outputs=2), r.arch.params(2)) and r.macs in budget
    best = json.loads((searched / "best" / "best.json").read_text())
    arch = ArchSpec.from_dict(best["arch"])
    assert best["params"] == arch.params(2) and open_source(str(searched)).outputs == 2
    run, selection = Run.open(searched), select(records)
    shown = [row["mparams"] for row in answer.section(run, selection).table("ranking").rows]
    assert best["params"] / 1e6 in shown
    head = next(r for r in redistribution.section(run, selection).tables[0].rows if r["part"] == "head")
    assert head["best"] == pytest.approx(100 * 2 * arch.widths[3] / arch.macs(outputs=2))


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
    from nas.export.from_run import open_source

    assert main([str(searched), "--format", "json", "timm", "--out", str(tmp_path)]) == 0
    spec = tmp_path / "json" / "spec.json"
    assert json.loads(spec.read_text())["outputs"] == open_source(str(spec)).outputs == 2
    assert (tmp_path / "timm" / "model.safetensors").exists()
    assert main([str(searched), "--format", "jmlr", "--out", str(tmp_path)]) == 2
    assert "means nothing" in capsys.readouterr().err


def test_its_networks_are_averaged_and_predict_as_they_score(searched, tmp_path, capsys):
    """The ensemble of one network is that network, so its score and that of its predictions are one."""
    from nas.ensemble.__main__ import main as ensemble
    from nas.predict.__main__ import main as predict

    quiet = ["--device", "cpu", "--quiet"]
    assert ensemble([str(searched), *quiet]) == 0
    table = capsys.readouterr().out
    assert "| Network | GFLOPs | angle error (degrees) | 95 % interval |" in table
    assert " mm" not in table and "as they are" in table and "V1" not in table
    out = tmp_path / "val.npz"
    assert predict([str(searched), "--split", "val", "--out", str(out), *quiet]) == 0
    said = float(re.search(r"angle error ([\d.]+) degrees", capsys.readouterr().out)[1])
    metrics = json.loads((searched / "ensemble" / "metrics.json").read_text())
    assert said == pytest.approx(metrics["validation"]["l_error_mm"], abs=1e-3)
    with np.load(out) as stored:
        assert {*stored.files} == {"sample", "subject_id", "outputs"} and stored["outputs"].shape == (360, 2)
        task = find_kind(TASK).open("digits", Proxy.from_dict(every_digit(searched)), "cpu")
        error = task.errors(torch.from_numpy(stored["outputs"]), torch.arange(360)).mean()
    assert said == pytest.approx(float(error), abs=1e-3)
    assert predict([str(searched), "--split", "val", "--out", str(out), *quiet]) == 0  # ours, so replaced


def every_digit(run: Path) -> dict:
    """The schedule of the retrained network, with every validation digit."""
    (file,) = (run / "retrain").glob("*/metrics.json")
    return json.loads(file.read_text())["proxy"] | {"validation_images": 0}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--split", "test"], "the task digits has validation samples alone"),
        (["--images", "."], "the task digits offers no predictions of one's own pictures"),
        (["--split", "val", "--flip"], "answers of the task digits have no mirror"),
        (["--split", "val", "--overlay", "1"], "cannot be drawn: leave out --overlay"),
    ],
)
def test_what_it_does_not_offer_is_refused_in_a_sentence(searched, tmp_path, capsys, flags, said):
    from nas.predict.__main__ import main as predict

    out = tmp_path / "x.npz"
    assert predict([str(searched), *flags, "--out", str(out), "--device", "cpu", "--quiet"]) == 2
    message = capsys.readouterr().err
    assert said in message and message.count("\n") == 1 and not list(tmp_path.iterdir())


def test_a_task_that_offers_no_predictions_is_refused_in_a_sentence(searched, monkeypatch, capsys):
    from examples.digits import Digits, DigitsKind
    from nas.ensemble.__main__ import main as ensemble

    monkeypatch.delattr(Digits, "inputs")
    assert ensemble([str(searched), "--quiet"]) == 2
    assert "the task digits offers no predictions: it tells no `inputs`" in capsys.readouterr().err
    monkeypatch.setattr(DigitsKind, "open_samples", None)
    assert ensemble([str(searched), "--quiet"]) == 2
    assert "the task digits offers no predictions: it has no `open_samples`" in capsys.readouterr().err


def test_the_report_shows_its_ensemble_and_says_that_it_tells_no_errors_by_kind(searched, tmp_path):
    from nas.ensemble.__main__ import main as ensemble
    from nas.predict.__main__ import main as predict
    from reports import fidelity
    from reports.build import gather
    from reports.run import Run
    from reports.sections import errors, final

    quiet = ["--device", "cpu", "--quiet"]
    assert ensemble([str(searched), *quiet]) == 0
    (facts, *_) = [s for s in gather(Run.open(searched), tmp_path) if s.key == "answer"]
    assert facts.facts["best_mm"].unit == "degrees"
    assert "angle error (degrees)" in [c.heading for c in facts.table("ranking").columns]
    by_epoch = fidelity.by_epoch(Run.open(searched))
    assert by_epoch.columns[-1].heading == "Regret (degrees)"
    section = final.section(Run.open(searched))
    for name in ("retrained", "ensemble"):
        table = section.table(name)
        assert table.rows[0]["l_error_mm"] > 0 and not any("V1" in c.heading for c in table.columns)
    out = tmp_path / "val.npz"
    assert predict([str(searched), "--split", "val", "--out", str(out), *quiet]) == 0
    with pytest.raises(ValueError, match="the task digits offers no errors by kind of sample"):
        errors.section(Run.open(searched), [out])


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
