"""A run that an earlier version wrote is read, resumed, reported, retrained and exported by this one.

`run_of_format_1.tar.xz` was written at commit 93302b4, before the rooms had their present names: five
proposals of the stand-in objective under asha, two finalists, and a network retrained on the data of
wcpa_writer.py, its weights rounded to bfloat16 so that they compress.
"""

import json
import shutil
import tarfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NETWORK = "d1-1-1-1_w8-8-8-8-48a546c3-s0"


@pytest.fixture
def old(tmp_path):
    with tarfile.open(HERE / "run_of_format_1.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return Path(shutil.move(tmp_path / "run", tmp_path / "old"))


def ask(module, *arguments):
    """Run a command in this process; the exit status."""
    from importlib import import_module, util

    door = f"{module}.__main__" if util.find_spec(module).submodule_search_locations else module
    return import_module(door).main([str(a) for a in arguments])


def test_status_tells_what_it_told_then(old, capsys):
    assert ask("nas.status", old, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["complete"], found["pruned"], found["failed"], found["running"]) == (11, 3, 0, 0)
    assert found["best"]["arch"] == "d1-1-2-1_w16-16-16-16"
    assert found["control"]["name"] == "resnet34-scaled" and len(found["control"]["l_error_mm"]) == 3
    assert not found["active"]


def test_it_is_resumed_under_the_old_name_of_its_objective(old, capsys):
    assert ask("nas.search", "--resume", "--out", old, "--trials", 7, "--quiet") == 0
    capsys.readouterr()
    assert ask("nas.status", old, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["roles"]["proposal"] == 7 and found["running"] == 0
    assert sum(found[s] for s in ("complete", "pruned")) >= 14


def test_it_is_reported(old, capsys):
    assert ask("reports.build", old) == 0
    assert "d1-1-2-1_w16-16-16-16" in (old / "report" / "index.html").read_text("utf-8")


def test_its_retrained_network_is_exported_with_its_score(old, tmp_path, capsys):
    assert ask("nas.export", old, "--format", "json", "timm", "--out", tmp_path / "out") == 0
    spec = json.loads((tmp_path / "out" / "json" / "spec.json").read_text())
    assert spec["provenance"]["checkpoint"]["folder"] == NETWORK
    assert spec["scores"][0]["l_error_mm"] == pytest.approx(111.35, abs=0.01)


def test_its_best_architecture_is_retrained(old, wcpa_of_ten, capsys):
    schedule = ["--resolution", 32, "--epochs", 1, "--batch", 8, "--precision", "fp32"]
    where = ["--data", wcpa_of_ten, "--launcher", "inprocess", "--device", "cpu", "--quiet", "--no-control"]
    assert ask("nas.retrain", old, *schedule, *where) == 0
    printed = capsys.readouterr().out
    assert "d1-1-2-1_w16-16-16-16" in printed and "complete" in printed
    assert (old / "retrain" / NETWORK / "metrics.json").exists()
