"""The table of trained networks: its plan, its rows, and a build that may be stopped anywhere."""

import dataclasses
import json
from pathlib import Path

import pytest

from proxy_tasks.bench import __main__ as door
from proxy_tasks.bench import plan as plans
from proxy_tasks.bench import rows
from proxy_tasks.bench.plan import TABLES
from proxy_tasks.bench.run import Entry, train
from proxy_tasks.proxy import Proxy
from space import ArchSpec

TINY = Proxy("tiny", resolution=32, epochs=1, batch=8, lr=2.0, evaluations=2)
SMALLEST, NEXT = ArchSpec((1, 1, 1, 1), (8, 8, 8, 8)), ArchSpec((1, 1, 1, 1), (8, 8, 8, 16))


class TwoRuns:
    """A plan of the two smallest networks."""

    def entries(self):
        return [Entry(SMALLEST, "control", 0, TINY), Entry(NEXT, "uniform", 0, TINY)]

    def text(self, rows):
        return f"{len(rows)} rows"


PLAN = TwoRuns()


def test_a_larger_table_begins_with_a_smaller_one():
    whole = TABLES["cpu-1.2G"]
    feasible = whole.feasible()
    part = dataclasses.replace(whole, singles=30)
    assert whole.uniform(feasible)[:30] == part.uniform(feasible)


def test_every_run_of_the_table_has_its_own_key_and_lies_in_the_budget():
    whole = TABLES["cpu-1.2G"]
    feasible, entries = whole.feasible(), list(whole.entries())
    assert len({e.key for e in entries}) == len(entries)
    assert all(e.arch in feasible for e in entries)
    counted = {role: sum(e.role == role for e in entries) for role in ("uniform", "control")}
    assert counted["uniform"] == 120 + 2 * 24 + 24
    assert counted["control"] == 8 + 1


def test_the_longer_runs_can_be_done_first_and_repeat_the_control():
    table = {entry.key for entry in TABLES["cpu-1.2G"].entries() if entry.length > 1}
    longer = list(TABLES["cpu-1.2G-longer"].entries())
    assert {entry.length for entry in longer} == {4.0}
    more = [entry for entry in longer if entry.key not in table]
    assert table < {entry.key for entry in longer}
    assert [(entry.role, entry.seed) for entry in more] == [("control", 1), ("control", 2)]
    assert [entry.role for entry in longer[:8]].count("uniform") == 4


def test_draws_of_a_part_of_the_space_belong_to_no_tables_population():
    shallow = list(TABLES["cpu-1.2G-shallow"].entries())
    assert len({entry.arch for entry in shallow}) == 12
    assert all(max(entry.arch.depths) <= 6 and 1.176e9 <= entry.arch.macs() <= 1.224e9 for entry in shallow)
    assert {(entry.role, entry.seed, entry.length) for entry in shallow} == {("shallow", 0, 4.0)}
    assert not {entry.key for entry in shallow} & {entry.key for entry in TABLES["cpu-1.2G"].entries()}


def test_rows_are_merged_by_key_and_a_torn_last_line_is_left_out(tmp_path):
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    rows.append(one, {"key": "a", "value": 1})
    rows.append(two, {"key": "a", "value": 2})
    rows.append(two, {"key": "b", "value": 3})
    with open(two, "a") as file:
        file.write('{"key": "c", "val')
    assert rows.read(one, two, tmp_path / "missing") == [{"key": "a", "value": 1}, {"key": "b", "value": 3}]


def test_a_row_after_a_torn_line_is_whole(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"key": "a"}\n{"key": "b", "v')
    rows.append(path, {"key": "c"})
    assert [row["key"] for row in rows.read(path)] == ["a", "c"]


@pytest.fixture
def tiny_table(monkeypatch):
    monkeypatch.setitem(plans.TABLES, "tiny", PLAN)


def build(data, test, out, *more):
    words = ["build", "--table", "tiny", "--data", str(data), "--test", str(test), "--out", str(out)]
    return door.main([*words, "--device", "cpu", *more])


def test_a_build_goes_on_where_it_was_stopped_and_repeats_nothing(
    tiny_table, wcpa_of_ten, tiny_wcpa, tmp_path, capsys
):
    out = tmp_path / "rows.jsonl"
    assert build(wcpa_of_ten, tiny_wcpa, out, "--at-most", "1") == 0
    first = out.read_text()
    assert build(wcpa_of_ten, tiny_wcpa, out) == 0
    assert out.read_text().startswith(first)
    table = rows.read(out)
    assert [row["key"] for row in table] == [entry.key for entry in PLAN.entries()]
    assert len(out.read_text().splitlines()) == len(table)
    row = table[0]
    assert row["role"] == "control" and len(row["curve"]) == 2
    assert len(row["people_mm"]) == 2 and len(row["test_people_mm"]) == 5
    assert row["test_data"] != row["data"]
    mean = sum(row["people_mm"]) / 2  # every person has as many images, so people and images have one mean
    assert abs(mean - row["l_error_mm"]) < 0.01


def test_an_ensemble_is_scored_by_its_members_mean_output(wcpa_of_ten, tiny_wcpa):
    alone, twin, pair = (
        train(Entry(SMALLEST, "x", 0, TINY, partners=partners), wcpa_of_ten, tiny_wcpa)
        for partners in ((), (SMALLEST,), (NEXT,))
    )
    assert twin["test_people_mm"] == pytest.approx(
        alone["test_people_mm"], abs=0.02
    )  # the same network twice
    assert twin["l_error_mm"] == pytest.approx(alone["l_error_mm"], abs=0.01)
    assert pair["test_people_mm"] != alone["test_people_mm"]
    assert pair["macs"] == SMALLEST.macs() + NEXT.macs()
    assert len({row["key"] for row in (alone, twin, pair)}) == 3


def test_runs_of_another_table_are_not_repeated(tiny_table, wcpa_of_ten, tiny_wcpa, tmp_path, capsys):
    known, out = tmp_path / "known.jsonl", tmp_path / "rows.jsonl"
    for entry in PLAN.entries():
        rows.append(known, {"key": entry.key})
    assert build(wcpa_of_ten, tiny_wcpa, out, "--known", str(known)) == 0
    assert not out.exists()
    assert capsys.readouterr().out == "2 rows\n"


def test_parts_share_the_work(tiny_table, wcpa_of_ten, tiny_wcpa, tmp_path, capsys):
    out = tmp_path / "rows.jsonl"
    assert build(wcpa_of_ten, tiny_wcpa, out, "--part", "2/2") == 0
    keys = [entry.key for entry in PLAN.entries()]
    assert [json.loads(line)["key"] for line in out.read_text().splitlines()] == keys[1::2]


@pytest.mark.parametrize("words", [["--part", "3/2"], ["--part", "x"], ["--table", "none"]])
def test_a_request_that_cannot_be_meant_is_refused(words, tmp_path, capsys):
    asked = ["build", "--data", str(tmp_path), "--out", str(tmp_path / "rows.jsonl"), *words]
    assert door.main(asked) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "rows.jsonl").exists()


@pytest.mark.parametrize("table", ["cpu-1.2G-tuning", "mini-tuning"])
def test_the_recipes_that_were_compared_are_those_of_the_committed_rows(table):
    committed = Path(__file__).parents[1] / f"docs/evidence/{table}.jsonl"
    planned = [entry.key for entry in TABLES[table].entries()]
    assert sorted(row["key"] for row in rows.read(committed)) == sorted(planned)


def test_a_run_that_diverged_at_once_is_listed_last_and_breaks_nothing():
    recipes = (TINY, TINY.replace(name="other"))
    plan = plans.TuningPlan(SMALLEST, recipes, seeds=2)
    found = [
        {"key": e.key, "arch": SMALLEST.to_dict(), "role": e.role, "seed": e.seed, "length": 1.0,
         "proxy": e.proxy.id, "data": "d", "status": "complete", "l_error_mm": 50.0 + n,
         "curve": [{"l_error_mm": 50.0 + n}]}
        for n, e in enumerate(plan.entries())
    ]  # fmt: skip
    assert plan.text(found).splitlines()[-2:] == [
        "tiny             51.00 ± 1.41 mm, 2 seeds",
        "other            52.00 ± 1.41 mm, 2 seeds",
    ]
    found[0] |= {"status": "diverged", "l_error_mm": None, "curve": []}
    lines = plan.text(found).splitlines()
    assert lines[3].split()[0] == "diverged" and lines[-1].startswith("other"), "one seed has no spread"


def test_rows_of_one_run_on_different_people_are_not_read_as_one(tmp_path):
    here = [{"key": "a", "data": "these"}, {"key": "b", "data": "these"}]
    there = [{"key": "a", "data": "those"}]
    for name, some in (("here", here), ("there", there)):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in some))
    assert rows.read(tmp_path / "here", tmp_path / "here") == here
    with pytest.raises(ValueError, match="a was run on different data"):
        rows.read(tmp_path / "here", tmp_path / "there")
