"""Builds of several processes: the same rows as one, failures that cost no other run, limits of time."""

import pytest
from test_proxy_bench import NEXT, SMALLEST, TINY

from proxy_tasks.bench import rows
from proxy_tasks.bench.building import Work, outcomes
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
