"""--resume compares what is meant, not how it is spelt, and finds data that has moved."""

import json
import os
import shutil
from pathlib import Path

import pytest

from nas.search.__main__ import main

TRAIN = ["--launcher", "inprocess", "--trials", "1", "--quiet"]
BUDGET = ["--budget", "0.5GFLOPs", "--max-depth", "2", "--width-step", "8", "--max-width", "16"]
PROXY = {
    "resolution": 32, "epochs": 1, "batch": 8, "evaluations": 1, "least_steps": 0, "validation_images": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def searched(tmp_path_factory, wcpa_of_ten):
    """A folder with a copy of the data, a proxy file and a search of them, asked for by relative paths."""
    root = tmp_path_factory.mktemp("searched")
    shutil.copytree(wcpa_of_ten, root / "wcpa")
    (root / "tiny.json").write_text(json.dumps(PROXY))
    (root / "sub").mkdir()
    here = Path.cwd()
    os.chdir(root)
    try:
        argv = [*BUDGET, "--tolerance", "0.05", "--data", "wcpa", "--proxy", "tiny.json", *TRAIN]
        assert main([*argv, "--repeats", "3", "--finalists", "1", "--race-epochs", "1", "--out", "run"]) == 0
    finally:
        os.chdir(here)
    return root


@pytest.fixture
def here(searched, tmp_path, monkeypatch):
    root = Path(shutil.copytree(searched, tmp_path / "root", symlinks=True))
    about = json.loads((root / "run/run.json").read_text())
    about["config"]["data"] = about["data"]["path"] = str(root / "wcpa")
    (root / "run/run.json").write_text(json.dumps(about))
    monkeypatch.chdir(root)
    return root


@pytest.mark.parametrize(
    "again",
    [
        "--data wcpa",
        "--data wcpa/",
        "--data ./sub/../wcpa",
        "--data linked",
        "--budget 500MFLOPs",
        "--budget 0.5G --tolerance 5e-2",
        "--proxy ./tiny.json",
        "--proxy sub/same.json",
        "--max-depth 2,2,2,2",
        "--budget 0.5GFLOPs --data wcpa --proxy tiny.json --tolerance 0.05 --repeats 3 --finalists 1",
    ],
)
def test_the_same_request_in_other_words_goes_on(here, again, capsys):
    (here / "linked").symlink_to(here / "wcpa")
    shutil.copy(here / "tiny.json", here / "sub/same.json")
    assert main(["--resume", "--out", "run", "--quiet", *again.split()]) == 0, capsys.readouterr().err


def test_from_another_working_directory_too(here, monkeypatch, capsys):
    monkeypatch.chdir(here / "sub")
    assert main(["--resume", "--out", "../run", "--data", "../wcpa", "--proxy", "../tiny.json"]) == 0


def test_data_that_has_moved_is_taken_from_where_it_is_for_good(here, capsys):
    (here / "wcpa").rename(here / "moved")
    assert main(["--resume", "--out", "run"]) == 2
    assert "is no longer at" in (said := capsys.readouterr().err) and "say by --data where it is now" in said
    assert main(["--resume", "--out", "run", "--data", "moved", "--quiet"]) == 0
    about = json.loads((here / "run/run.json").read_text())
    assert about["data"]["path"] == about["config"]["data"] == str(here / "moved")
    assert main(["--resume", "--out", "run", "--quiet"]) == 0


@pytest.mark.parametrize(
    ("again", "what"),
    [
        ("--data other", "--data"),
        ("--budget 0.51GFLOPs", "--budget"),
        ("--tolerance 0.06", "--tolerance"),
        ("--proxy other.json", "--proxy"),
        ("--proxy mini", "--proxy"),
        ("--max-depth 3", "the space"),
        ("--seed 1", "--seed"),
        ("--storage sqlite:///x.db", "--storage"),
        ("--objective nas.trials.standin:Standin", "--objective"),
        ("--seed-arch spec.json", "--seed-arch"),
    ],
)
def test_another_request_is_refused_by_name_and_changes_nothing(here, again, what, capsys):
    shutil.copytree(here / "wcpa", here / "other")
    file = next((here / "other").glob("info/*/*/*.npz"))
    file.write_bytes(next((here / "other").glob("info/*/*/*[13579]_info.npz")).read_bytes() + b" ")
    list_ = here / "other/list/WCPA_track2_train.csv"
    list_.write_text("\n".join(list_.read_text().splitlines()[:-1]) + "\n")
    (here / "other.json").write_text(json.dumps({**PROXY, "lr": 1.0}))
    (here / "spec.json").write_text('{"depths": [1, 1, 1, 1], "widths": [8, 8, 8, 8]}')
    before = (here / "run/run.json").read_bytes(), (here / "run/study.log").read_bytes()
    assert main(["--resume", "--out", "run", *again.split()]) == 2
    said = capsys.readouterr().err
    assert f"{what} cannot change on --resume" in said and said.count("\n") == 1
    assert ((here / "run/run.json").read_bytes(), (here / "run/study.log").read_bytes()) == before
