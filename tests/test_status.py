"""nas.status: all searches in a line each, one of them in full, and one that is followed."""

from __future__ import annotations

import json
import threading

import pytest
from finished_search import WIDER, write
from nas_tools import small_plan

from nas.record.overview import planned, runs_at_most
from nas.record.run_dir import RunDir
from nas.status import main


@pytest.fixture
def two_runs(tmp_path, wcpa_of_ten):
    """One finished search, and one with damaged settings."""
    write(tmp_path / "runs" / "good", wcpa_of_ten)
    (tmp_path / "runs" / "bad").mkdir()
    (tmp_path / "runs" / "bad" / "run.json").write_text("{")
    return tmp_path / "runs"


def test_without_a_run_every_search_has_a_line(two_runs, capsys):
    assert main(["--runs", str(two_runs)]) == 0
    head, bad, good = capsys.readouterr().out.splitlines()
    assert head.split() == ["run", "state", "runs", "age", "best", "proposal"]
    assert "good" in good and "3/3" in good and f"10.00 mm  {WIDER.id}" in good and "stopped" in good
    assert "unreadable" in bad and "damaged" in bad


def test_the_list_is_json_on_request_and_a_running_search_says_so(two_runs, capsys):
    with RunDir(two_runs / "good").locked():
        assert main(["--runs", str(two_runs), "--json"]) == 0
    found = {entry["run"].rsplit("/", 1)[1]: entry for entry in json.loads(capsys.readouterr().out)}
    assert found["good"]["state"] == "running" and found["good"]["best"] == 10.0
    assert found["bad"]["state"] == "unreadable"


def test_where_there_is_no_search_it_says_how_to_begin_one(tmp_path, capsys):
    assert main(["--runs", str(tmp_path / "none")]) == 0
    assert "python -m nas.search" in capsys.readouterr().out


def test_watching_shows_it_until_its_process_has_gone(two_runs, capsys):
    released = threading.Event()

    def hold():
        with RunDir(two_runs / "good").locked():
            held.set()
            released.wait(30)

    held = threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(30)
    threading.Timer(0.5, released.set).start()
    assert main([str(two_runs / "good"), "--watch", "--every", "0.2"]) == 0
    thread.join()
    shown = capsys.readouterr().out
    assert shown.count("running now") >= 1 and shown.count("not running") == 1


@pytest.mark.parametrize(
    ("argv", "said"), [(["--watch"], "name its folder"), (["x", "--watch", "--every", "0"], "positive")]
)
def test_senseless_watching_is_refused(argv, said, capsys):
    assert main(argv) == 2
    assert said in capsys.readouterr().err


def test_what_is_planned_is_what_the_plan_says():
    plan = small_plan(trials=6, finalists=2, repeats=3)
    about = {"config": {"trials": 6, "finalists": 2, "repeats": 3}, "proxy": 1, "race_proxy": 1}
    assert planned(about) == sum(plan.runs_at_most().values()) == 6 + 3 + 6
    assert sum(runs_at_most(6, 3, 2, longer=True).values()) == 15 + 9
    assert planned({}) == 0
