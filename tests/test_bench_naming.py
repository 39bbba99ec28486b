"""Who is named for more runs: by shrunken error and by a model, by validation people alone."""

import json

import pytest
from bench_rows import feasible, row, simulated_rows, write_rows

from proxy_tasks.bench import __main__ as door
from proxy_tasks.bench.naming import best, predicted
from proxy_tasks.bench.plan import CONTROL
from proxy_tasks.bench.table import RunTable
from space import ArchSpec
from space.specfile import read_spec

ROWS = simulated_rows(24)


def test_the_best_are_uniform_draws_in_the_order_of_their_shrunken_errors():
    table = RunTable.of(ROWS)
    found = best(table, 5)
    assert [each.name for each in found] == [f"table-{n}" for n in range(1, 6)]
    assert [each.expected_mm for each in found] == sorted(each.expected_mm for each in found)
    drawn = {arch for arch, role in zip(table.archs, table.roles, strict=True) if role == "uniform"}
    assert {each.arch for each in found} <= drawn
    assert min(table.shrunken()[[a in drawn for a in table.archs]]) == found[0].expected_mm


def test_predicted_ones_lie_in_the_set_and_have_depths_of_their_own():
    found = predicted(RunTable.of(ROWS), feasible(), 4, screened=3_000)
    assert len({each.arch.depths for each in found}) == 4
    assert all(each.arch in feasible() for each in found)
    assert [each.expected_mm for each in found] == sorted(each.expected_mm for each in found)
    again = predicted(RunTable.of(ROWS), feasible(), 4, screened=3_000)
    assert again == found


def test_errors_on_the_test_people_name_nobody():
    blind = [{**each, "test_l_error_mm": 0.0, "test_people_mm": []} for each in ROWS]
    assert best(RunTable.of(blind), 3) == best(RunTable.of(ROWS), 3)


def test_the_command_writes_spec_files_that_a_confirming_table_reads(tmp_path, capsys):
    file, out = write_rows(tmp_path / "rows.jsonl", ROWS), tmp_path / "named"
    assert door.main(["name", "--rows", str(file), "--best", "2", "--predicted", "0", "--out", str(out)]) == 0
    specs = sorted(out.iterdir())
    assert [path.name for path in specs] == ["table-1.json", "table-2.json"]
    assert str(read_spec(str(specs[0])).id) in capsys.readouterr().out
    assert json.loads(specs[0].read_text())["named"] == "table-1"
    asked = ["query", "--table", "gpu-5.1G-confirm", "--rows", str(file), "--candidates", *map(str, specs)]
    assert door.main(asked) == 0
    assert "0 of the control, 0, 0 of the candidates" in capsys.readouterr().out


def test_the_best_of_longer_runs_are_told_with_their_own_noise(tmp_path, capsys):
    rows = simulated_rows(8, repeated=0, longer=8)
    drawn = [ArchSpec.from_dict(r["arch"]) for r in rows if r["length"] == 4]
    rows += [row(arch, seed, length=4.0) for arch in drawn[:3] for seed in (1, 2)]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    assert door.main(["query", "--rows", str(file), "--best", "2", "--length", "4"]) == 0
    told = capsys.readouterr().out.splitlines()[-4:]
    assert "(6 degrees of freedom), between runs of one seed" in told[0] and "(4)" in told[0]
    least = min(drawn, key=lambda a: RunTable.of(rows, 4.0).shrunken()[drawn.index(a)])
    assert least.id in told[2]


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["query", "--table", "gpu-5.1G-confirm"], "name --candidates"),
        (["query", "--table", "cpu-1.2G", "--candidates", "resnet18"], "compares no candidates"),
        (["name", "--table", "mini-tuning", "--out", "x"], "no draws to name"),
        (["name", "--out", "x"], "shrinking needs two uniform draws"),
    ],
)
def test_what_cannot_be_named_is_one_sentence(words, wrong, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = write_rows(tmp_path / "rows.jsonl", [row(CONTROL, 0)])
    assert door.main([*words, "--rows", str(file)]) == 2
    told = capsys.readouterr().err
    assert wrong in told and told.count("\n") == 1
    assert not (tmp_path / "x").exists()
