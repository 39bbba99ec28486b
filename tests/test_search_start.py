"""A search that is refused or fails before its first trial leaves nothing, and one in hand harms nothing."""

import json
from pathlib import Path

import pytest

from nas.record.run_dir import RunDir
from nas.search.__main__ import main
from nas.trials.standin import Standin

SMALL = ["--budget", "0.5GFLOPs", "--max-depth", "6", "--max-width", "128", "--width-step", "16"]
STANDIN = [*SMALL, "--tolerance", "0.1", "--objective", "nas.trials.standin:Standin"]
QUICK = [*STANDIN, "--launcher", "inprocess", "--trials", "2", "--quiet"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Every run directory and cache of these tests is below the working directory."""
    monkeypatch.chdir(tmp_path)


def failing(monkeypatch, error):
    def facts(self, proxy, *, progress=False):
        raise error

    monkeypatch.setattr(Standin, "facts", facts)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ValueError("too few people"), 2, "too few people"),
        (RuntimeError("crops cannot be kept in /ro"), 1, "crops cannot be kept in /ro"),
        (
            OSError(28, "No space left on device", "/cache/x"),
            1,
            "/cache/x: No space left on device (free space",
        ),
        (PermissionError(13, "Permission denied", "/cache/x"), 1, "/cache/x: Permission denied"),
        (KeyError("lr"), 1, "the search could not begin: KeyError: 'lr' ("),
        (MemoryError(), 1, "there is not enough memory"),
        (KeyboardInterrupt(), 130, "interrupted: nothing was begun, and nothing is left"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
@pytest.mark.parametrize("out", ["run", "new/deep/run", None])
def test_a_start_that_fails_leaves_nothing_and_does_not_block_the_next(
    monkeypatch, capsys, error, status, said, out
):
    with monkeypatch.context() as patch:
        failing(patch, error)
        assert main([*QUICK, *(["--out", out] if out else [])]) == status
    text = capsys.readouterr().err
    assert said in text and text.count("\n") == 1 and "--resume" not in text
    assert list(Path().iterdir()) == []
    if out == "run" and status == 2:
        assert main([*QUICK, "--out", out]) == 0, "the corrected command"


def test_a_start_that_fails_in_an_empty_folder_of_the_users_leaves_the_folder(monkeypatch, capsys):
    Path("mine").mkdir()
    failing(monkeypatch, RuntimeError("no"))
    assert main([*QUICK, "--out", "mine"]) == 1
    assert list(Path("mine").iterdir()) == []


def test_what_a_kill_at_the_very_start_left_does_not_block(capsys):
    Path("run").mkdir()
    Path("run/lock").touch()
    assert main([*QUICK, "--out", "run"]) == 0


def test_a_search_of_a_database_that_is_refused_leaves_no_database(monkeypatch, capsys):
    failing(monkeypatch, ValueError("no"))
    assert main([*QUICK, "--out", "run", "--storage", "sqlite:///new.db"]) == 2
    assert list(Path().iterdir()) == []


def test_a_resumed_search_that_fails_at_its_start_keeps_everything(monkeypatch, capsys):
    assert main([*QUICK, "--out", "run"]) == 0
    about = json.loads(Path("run/run.json").read_text())
    del about["data"]  # as if it had been killed before the data was read
    Path("run/run.json").write_text(json.dumps(about))
    failing(monkeypatch, RuntimeError("no"))
    assert main(["--resume", "--out", "run"]) == 1
    assert "--resume --out run" in capsys.readouterr().err
    assert RunDir(Path("run")).read()["command"] and Path("run/study.log").stat().st_size > 100


def test_specs_that_a_person_put_beside_the_winners_stay(capsys):
    Path("spec.json").write_text('{"depths": [1, 1, 1, 1], "widths": [8, 8, 8, 8]}')
    assert main([*QUICK, "--out", "run"]) == 0
    best = Path("run/best")
    mine = {"mine.json": '{"my": 1}', "note.json": "not JSON", "d1-1-1-1_w8-8-8-8.json": "{}"}
    for name, text in mine.items():
        (best / name).write_text(text)
    ours = json.loads((best / "best.json").read_text())["id"]
    (best / "copy.json").write_text((best / f"{ours}.json").read_text())
    (best / "d9.json").write_text(json.dumps({"id": "d9", "arch": {}, "verdict": "", "trials": []}))
    assert main(["--resume", "--out", "run", "--trials", "3", "--quiet"]) == 0
    assert all((best / name).read_text() == text for name, text in mine.items())
    assert (best / "copy.json").exists() and not (best / "d9.json").exists(), "an old one of ours goes"


def test_a_search_whose_only_proposal_is_the_control_says_so(capsys):
    control = [
        "--budget",
        "5.1GFLOPs",
        "--objective",
        "nas.trials.standin:Standin",
        "--launcher",
        "inprocess",
    ]
    assert main([*control, "--seed-arch", "resnet34", "--trials", "1", "--out", "run", "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert "The only architecture that was proposed and completed is the control itself" in printed
    assert "resnet34" in printed


def test_a_dry_run_of_an_objective_does_not_tell_the_cost_of_another(capsys):
    assert main([*QUICK, "--dry-run", "--out", "run"]) == 0
    printed = capsys.readouterr().out
    assert "is for that objective to know" in printed and "hours" not in printed
    assert list(Path().iterdir()) == []


def test_a_cache_that_cannot_be_written_is_said_and_leaves_nothing(
    monkeypatch, wcpa_of_ten, tmp_path, capsys
):
    cache = tmp_path.with_name(f"{tmp_path.name}-cache")
    cache.write_text("a file where the folder should be")
    monkeypatch.setenv("JMLR_NAS_CACHE", str(cache))
    argv = [*SMALL, "--tolerance", "0.1", "--data", str(wcpa_of_ten), "--launcher", "inprocess", "--quiet"]
    assert main([*argv, "--out", "run"]) == 1
    said = capsys.readouterr().err
    assert "set JMLR_NAS_CACHE to a folder that can be written" in said and said.count("\n") == 1
    assert list(Path().iterdir()) == []


def test_a_stopped_search_is_not_said_to_run(wcpa_of_ten, capsys):
    import finished_search

    from nas import status

    run = finished_search.write(Path("run with a space"), wcpa_of_ten, finished=False)
    assert status.main([str(run)]) == 0
    printed = capsys.readouterr().out
    assert "3 unfinished" in printed and "running now" not in printed and "3 running" not in printed
    assert "go on with: python -m nas.search --resume --out 'run with a space'" in printed
    assert status.main([str(run), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["running"], found["unfinished"], found["active"]) == (0, 3, False)
