"""Builds of several processes: the same rows as one, failures that cost no other run, limits of time."""

import multiprocessing
import os
import signal
import time

import pytest
from test_proxy_bench import NEXT, SMALLEST, TINY

from proxy_tasks.bench import __main__ as door
from proxy_tasks.bench import rows
from proxy_tasks.bench.building import Work, outcomes, part_of
from proxy_tasks.bench.plan import TABLES
from proxy_tasks.bench.run import Entry

TWO = [Entry(SMALLEST, "control", 0, TINY), Entry(NEXT, "uniform", 0, TINY)]


def test_several_processes_give_the_rows_of_one(wcpa_of_ten, tiny_wcpa):
    work = Work(wcpa_of_ten, tiny_wcpa)
    alone = {entry.key: row for entry, row in outcomes(TWO, work)}
    together = {entry.key: row for entry, row in outcomes(TWO, work, workers=2)}
    assert together.keys() == alone.keys() == {entry.key for entry in TWO}
    for key, row in alone.items():
        assert together[key]["test_l_error_mm"] == pytest.approx(row["test_l_error_mm"], rel=1e-3)


def test_a_run_that_fails_costs_no_other(wcpa_of_ten, tmp_path):
    too_large = Entry(SMALLEST, "uniform", 0, TINY.replace(batch=4096))
    for workers in (1, 2):
        found = dict(outcomes([too_large, *TWO], Work(wcpa_of_ten, None), workers))
        assert "do not fill one batch" in str(found[too_large])
        assert all(isinstance(found[entry], dict) for entry in TWO)


class Deadly(Work):
    """Dies in its first run, as by a system that is out of memory."""

    def do(self, entry):
        os.kill(os.getpid(), signal.SIGKILL)


class Endless(Work):
    """Runs that nobody waits for."""

    def do(self, entry):
        if entry.role == "control":
            return {"key": entry.key}
        time.sleep(600)


def test_a_process_that_dies_ends_the_build_with_its_runs_named(tmp_path):
    found = list(outcomes(TWO * 3, Deadly(tmp_path, None), workers=2))
    assert 1 <= len(found) < len(TWO * 3)
    assert all(isinstance(row, Exception) for _, row in found)


def test_a_build_that_is_left_leaves_no_process_behind(tmp_path):
    going = outcomes(TWO, Endless(tmp_path, None), workers=2)
    assert next(going)[1] == {"key": TWO[0].key}
    children = multiprocessing.active_children()
    assert children
    going.close()
    for child in children:
        child.join(30)
        assert child.exitcode is not None


def test_a_finished_build_of_several_processes_has_nothing_to_do(tmp_path):
    assert list(outcomes([], Work(tmp_path, None), workers=2)) == []


def test_a_data_set_that_is_not_there_is_said_once(tmp_path, capsys):
    asked = ["build", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "rows.jsonl")]
    assert door.main([*asked, "--device", "cpu"]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1 and "none" in told.err


def test_nothing_is_begun_after_the_time(wcpa_of_ten):
    assert list(outcomes(TWO, Work(wcpa_of_ten, None), seconds=1e-9)) == []
    assert list(outcomes(TWO, Work(wcpa_of_ten, None), workers=2, seconds=1e-9)) == []


def test_a_run_that_diverged_is_scored_by_nobody(wcpa_of_ten, tiny_wcpa, tmp_path):
    wild = Entry(SMALLEST, "uniform", 0, TINY.replace(lr=1e30, epochs=4))
    ((_, row),) = outcomes([wild], Work(wcpa_of_ten, tiny_wcpa))
    assert row["status"] == "diverged" and row["l_error_mm"] is None
    assert row["people_mm"] == [] and "test_l_error_mm" not in row
    rows.append(tmp_path / "rows.jsonl", row)
    assert rows.read(tmp_path / "rows.jsonl") == [row]


def test_machines_that_share_a_comparison_take_whole_seeds():
    plan = TABLES["cpu-1.2G-second-longer-confirm"]
    entries = list(plan.entries())
    for part in (0, 1):
        mine = part_of(entries, part, 2)
        assert len(mine) == len(entries) // 2
        assert {e.seed for e in mine if e.role == "control"} == {
            e.seed for e in mine if e.role == "candidate"
        }
    assert part_of(TWO, 1, 2) == TWO[1:]


def test_a_file_of_other_people_is_not_gone_on_with(wcpa_of_ten, tiny_wcpa):
    (row,) = (row for _, row in outcomes(TWO[:1], Work(wcpa_of_ten, tiny_wcpa)))
    Work(wcpa_of_ten, tiny_wcpa).require_data([(TWO[0], row)])
    Work(wcpa_of_ten, None).require_data([(TWO[0], row)])
    with pytest.raises(ValueError, match="was run on different data"):
        Work(tiny_wcpa, None).require_data([(TWO[0], row)])
    with pytest.raises(ValueError, match="was run on different test_data"):
        Work(wcpa_of_ten, wcpa_of_ten).require_data([(TWO[0], row)])
