"""Runs compared: the sentence, its numbers, and the warnings where the comparison is not fair."""

import dataclasses
import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
from reports_simulated import INFO, records, run, write_run
from test_reports_page import Page, printed, small_picture

from reports import edf, likeness
from reports.compare import gather, main, names_of, write
from reports.figures.comparison import draw as draw_comparison
from reports.figures.style import png
from reports.likeness import differences
from reports.sections.comparison import best_of_table, pairs_table, sentence
from reports.sections.where import flags
from space import Space


def test_two_samples_of_one_space_are_not_told_apart():
    rng = np.random.default_rng(0)
    (row,) = pairs_table(["a", "b"], [rng.normal(60, 2, 50), rng.normal(60, 2, 60)]).rows
    assert row["real"] == "not shown" and row["p_holm"] == row["p_value"]
    words = sentence(dict(row))
    assert words.startswith("The difference between a and b is not shown to be real at n = 50 and 60")
    assert "would need about" in words


def test_a_real_difference_names_the_better_run_whichever_comes_first():
    rng = np.random.default_rng(1)
    good, bad = rng.normal(58, 2, 60), rng.normal(60, 2, 60)
    forth = sentence(dict(pairs_table(["good", "bad"], [good, bad]).rows[0]))
    back = sentence(dict(pairs_table(["bad", "good"], [bad, good]).rows[0]))
    assert forth.startswith(
        "good is better than bad: a random draw of good beats one of bad with probability 0."
    )
    assert back.split(" (p")[0] == forth.split(" (p")[0]
    low, high = map(float, re.search(r"\[([\d.]+), ([\d.]+)\]", back).groups())
    assert 0.5 < low < high < 1


def test_equal_populations_need_no_sample_size():
    (row,) = pairs_table(["a", "b"], [[1.0, 2.0], [1.0, 2.0]]).rows
    assert math.isinf(row["needed"]) and "No difference between a and b is seen" in sentence(dict(row))


def test_three_runs_pay_for_three_comparisons():
    rng = np.random.default_rng(2)
    errors = [rng.normal(60 - 0.5 * k, 2, 40) for k in range(3)]
    rows = pairs_table(["a", "b", "c"], errors).rows
    assert [(row["first"], row["second"]) for row in rows] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert all(row["p_holm"] >= row["p_value"] for row in rows)
    assert max(row["p_holm"] / row["p_value"] for row in rows) == pytest.approx(3)


def test_a_run_that_a_rung_stopped_counts_as_worse_than_all_that_finished():
    complete = [58.0, 59.0, 60.0, 61.0]
    (row,) = pairs_table(["a", "b"], [[*complete, math.inf], [58.5, 59.5, math.inf, math.inf]]).rows
    wins = [x < y for x in complete for y in (58.5, 59.5, math.inf, math.inf)]
    assert row["wins"] == (sum(wins) + 2 * 0.5) / 20 and math.isfinite(row["shift_mm"])


def test_rungs_in_one_run_alone_make_no_difference_of_two_samples_of_one_space():
    rng = np.random.default_rng(4)
    whole, stopped = rng.normal(60, 2, 80), rng.normal(60, 2, 80)
    stopped[rng.permutation(80)[:50]] = math.inf
    rows = pairs_table(["whole", "stopped", "other"], [whole, stopped, rng.normal(60, 2, 80)]).rows
    assert [row["real"] for row in rows] == ["not comparable", "not shown", "not comparable"]
    assert rows[1]["p_holm"] == rows[1]["p_value"] and "p_value" not in rows[0]
    assert "rungs stopped runs of one of them alone" in sentence(dict(rows[0]))


def test_false_alarms_stay_at_the_stated_rate():
    rng = np.random.default_rng(3)
    alarms = [
        pairs_table(["a", "b", "c"], rng.normal(60, 2, (3, 201))).rows for _ in range(150)
    ]  # 402 pooled trials: the normal limit, so that this is quick
    assert np.mean([any(row["real"] == "real" for row in rows) for rows in alarms]) <= 0.05 + 3 * 0.018


def test_best_of_table_ends_where_the_smallest_run_does():
    table = best_of_table({"a": np.linspace(62, 58, 30), "b": np.linspace(62, 58, 12)})
    assert [row["n"] for row in table.rows] == [1, 2, 5, 10]


def test_a_run_that_is_called_n_keeps_its_column():
    table = best_of_table({"n": np.linspace(62, 58, 30), "b": np.linspace(60, 57, 12)})
    assert list(table.frame().columns) == ["n", "n (mm)", "b (mm)"]
    assert table.frame()["n (mm)"].tolist() == pytest.approx([62, 62 - 4 / 29, 62 - 16 / 29, 62 - 36 / 29])


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"data": {"path": "elsewhere", "fingerprint": "beef"}}, "differ in data (a has f00d, b has beef)"),
        ({"seed": 7}, "differ in seed (a has 0, b has 7)"),
        ({"config": INFO["config"] | {"scheduler": "asha"}}, "differ in scheduler (a has none, b has asha)"),
        ({"config": INFO["config"] | {"strategy": "tpe"}}, "b was searched with tpe"),
        ({"budget": {"target": 2_600_000_000, "tolerance": 0.02}}, "(a has 5.1 G within 2%, b has 2.6 G"),
    ],
)
def test_what_is_not_like_with_like_is_said(other, words):
    found = differences([run(6), run(6, info=other)], ["a", "b"])
    assert len(found) == 1 and words in found[0]


def test_another_proxy_is_said():
    plain = run(6)
    longer = dataclasses.replace(
        plain, records=tuple(dataclasses.replace(r, fidelity="short-9z") for r in plain.records)
    )
    (found,) = differences([plain, longer], ["a", "b"])
    assert "differ in proxy (a has mini-1a2b, b has short-9z)" in found


def test_like_with_like_has_no_warning():
    assert differences([run(6), run(9, seed=1)], ["a", "b"]) == []


def test_repeated_draws_are_said():
    plain = run(6)
    twice = dataclasses.replace(plain, records=(*plain.records, *plain.records[:2]))
    (found,) = differences([plain, twice], ["a", "b"])
    assert found.startswith("b holds 2 repeated draws")


def test_runs_of_one_name_are_numbered():
    assert names_of([run(2), run(2)]) == ["simulated-1", "simulated-2"]


def test_every_number_of_a_comparison_is_that_of_a_table_beside_it(tmp_path, monkeypatch):
    runs = [run(30, seed=1, better_by=0.6), run(25, seed=2, pruned=0.4), run(8, seed=3)]
    page = write(gather(runs, ["a", "b", "c"]), ["a", "b", "c"], tmp_path)
    parsed = Page(page.read_text())
    assert len(parsed.cells) > 60
    for where, digits, text in parsed.cells:
        assert text == printed(tmp_path, where, digits), where
    assert not [text for text in parsed.loose if re.search(r"[0-9]", text)]
    assert (tmp_path / "figures" / "distributions.svg").exists()


def test_command_line_prints_the_sentence_and_the_page(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("reports.figures.style.write", small_picture)
    paths = [write_run(tmp_path / name, records(8, seed)) for seed, name in enumerate(("first", "second"))]
    assert main([str(path) for path in paths]) == 0
    out = capsys.readouterr().out.splitlines()
    assert "first" in out[0] and "second" in out[0] and "probability" in out[0]
    assert out[-1] == str(tmp_path / "compare-first-second" / "index.html")


def test_one_run_is_no_comparison(tmp_path, capsys):
    assert main([str(tmp_path / "only")]) == 2
    assert "needs at least two runs" in capsys.readouterr().err
    assert main([str(tmp_path / "only"), str(tmp_path / "x" / ".." / "only")]) == 2
    assert "only is named twice" in capsys.readouterr().err


def test_a_second_round_is_no_uniform_sample():
    rounds = [SimpleNamespace(round=number) for number in (1, 2)]
    one, two = (SimpleNamespace(is_uniform=True, proposals=rounds[:n]) for n in (1, 2))
    assert likeness._chosen(one, "a") == "" and "a has two rounds" in likeness._chosen(two, "a")


def test_every_run_is_drawn_and_named_whatever_it_is_called():
    names = [*"abcdefg", "_old", "a$_$b"]
    bands = {name: edf.bootstrap_band(np.arange(5.0) + i) for i, name in enumerate(names)}
    figure = draw_comparison(bands, {name: np.arange(3.0) for name in names}, 2)
    png(figure)
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(shown) == 9 and any("_old" in text for text in shown)
    left, right = figure.axes
    for axes in (left, right):
        drawn = [(line.get_color(), line.get_linestyle()) for line in axes.lines]
        assert len(drawn) == len(set(drawn)) == 9


def test_a_space_is_told_by_all_of_its_flags():
    space = Space(block="bottleneck", width_step=16, free_widths=True)
    said = flags(space)
    assert "--block bottleneck" in said and "--width-step 16" in said and "--free-widths" in said
    assert "--block" not in flags(Space())
