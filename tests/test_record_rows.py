"""A search's runs as rows of a table: what the table's readers need, and nothing that came from elsewhere."""

import dataclasses
import json

import pytest
from finished_search import CONTROL, SMALL, WIDER, write

from nas.record.rows import rows
from nas.record.store import Store
from nas.status import main
from proxy_tasks.bench.plan import TABLES, kept_as
from proxy_tasks.bench.run import Entry
from proxy_tasks.bench.table import RunTable


@pytest.fixture
def run(tmp_path, wcpa_of_ten):
    return write(tmp_path / "run", wcpa_of_ten)


def test_each_complete_run_is_a_row_that_a_table_reads(run):
    records = [dataclasses.replace(r, curve=((2.0, r.l_error_mm),)) for r in Store.open(run).records()]
    found = rows(records, "faces")
    table = RunTable.of(found)
    assert {arch.id for arch in table.archs} == {SMALL.id, WIDER.id, CONTROL.id}
    assert table.data == "faces" and (table.seconds >= 0).all()
    assert {row["arch"]["widths"][3]: row["l_error_mm"] for row in found} == {8: 11.0, 24: 10.0, 16: 12.0}
    assert len({row["key"] for row in found}) == 3
    assert [row["role"] for row in found].count("control") == 1


def test_only_uniform_draws_are_called_uniform(run):
    proposal = next(r for r in Store.open(run).records() if r.role == "proposal")
    for by, role in (("random", "uniform"), ("uniform start", "uniform"), ("tpe", "proposal")):
        (row,) = rows([_by(proposal, by)])
        assert row["role"] == role and row["by"] == by


def test_draws_of_which_rungs_or_caps_left_a_part_are_no_population(run):
    drawn = _by(next(r for r in Store.open(run).records() if r.role == "proposal"), "random")
    whole = {"scheduler": "none", "max_params": None}
    for config, round_, role in (
        (whole, 1, "uniform"),
        ({**whole, "scheduler": "asha"}, 1, "proposal"),
        ({**whole, "max_params": "30M"}, 1, "proposal"),
        (whole, 2, "proposal"),
    ):
        (row,) = rows([dataclasses.replace(drawn, round=round_)], config=config)
        assert row["role"] == role, (config, round_)


def _by(record, by):
    return dataclasses.replace(record, by=by)


def test_runs_from_elsewhere_and_those_without_a_score_are_no_rows(run):
    record = Store.open(run).records()[0]
    others = [dataclasses.replace(record, role="known"), dataclasses.replace(record, l_error_mm=None)]
    assert rows(others) == []


def test_a_table_keeps_its_longer_runs_under_its_own_proxy(run):
    table = TABLES["cpu-1.2G"].proxy
    record = next(r for r in Store.open(run).records() if r.role == "proposal")
    (row,) = rows([dataclasses.replace(record, fidelity=table.longer(4).id)], "faces", kept_as())
    assert (row["proxy"], row["length"]) == (table.id, 4.0)
    assert row["key"] == Entry(record.arch, "proposal", record.seed, table, 4.0).key
    (row,) = rows([record], "faces", kept_as())
    assert (row["proxy"], row["length"]) == (record.fidelity, 1.0)


def test_the_command_prints_a_line_a_run(run, capsys):
    assert main([str(run), "--rows"]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(printed) == 3 and all(row["status"] == "complete" for row in printed)
    assert main(["--rows"]) == 2
    assert "name its folder" in capsys.readouterr().err
