"""Rank agreement of cheap measurements with expensive ones."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from bench_rows import simulated_rows, write_rows
from reports_simulated import EPOCHS, run

from proxy_tasks.bench.scoring import archs_of
from reports import fidelity
from reports.fidelity import agreement
from reports.figures.fidelity import draw_views


def test_tau_is_concordant_minus_discordant_pairs():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=12), rng.normal(size=12)
    pairs = list(itertools.combinations(range(12), 2))
    signs = [np.sign(x[i] - x[j]) * np.sign(y[i] - y[j]) for i, j in pairs]
    assert agreement(x, y).tau == pytest.approx(sum(signs) / len(pairs))


def test_equal_orders_agree_and_opposite_ones_do_not():
    x = np.arange(10.0)
    assert agreement(x, x**3).tau == pytest.approx(1) and agreement(x, -x).tau == pytest.approx(-1)


def test_regret_is_what_the_cheap_favourite_costs():
    assert agreement([3.0, 1.0, 2.0], [50.0, 53.0, 51.0]).regret == 3.0
    assert agreement([3.0, 1.0, 2.0], [53.0, 50.0, 51.0]).regret == 0.0


def test_interval_covers_at_about_the_stated_rate():
    # for normal pairs tau = 2 / pi asin(correlation)
    rng, correlation, held = np.random.default_rng(1), 0.6, 0
    truth = 2 / math.pi * math.asin(correlation)
    for _ in range(600):
        x = rng.normal(size=30)
        y = correlation * x + math.sqrt(1 - correlation**2) * rng.normal(size=30)
        found = agreement(x, y)
        held += found.low <= truth <= found.high
    assert 0.92 <= held / 600 <= 0.98


@pytest.mark.parametrize("cheap", [[1.0], [2.0, 2.0, 2.0]])
def test_no_order_has_no_tau(cheap):
    found = agreement(cheap, np.arange(len(cheap)))
    assert math.isnan(found.tau) and found.low is None


def test_four_architectures_have_a_tau_and_no_interval():
    found = agreement([1, 2, 3, 4], [1, 3, 2, 4])
    assert found.tau == pytest.approx(4 / 6) and found.low is None


def test_curves_agree_with_their_end_more_and_more():
    rows = fidelity.by_epoch(run(80)).rows
    assert [row["epochs"] for row in rows] == list(range(1, EPOCHS + 1))
    assert rows[-1]["tau"] == pytest.approx(1) and rows[-1]["regret"] == 0
    assert rows[0]["tau"] < rows[-2]["tau"]


def test_two_runs_are_paired_by_architecture():
    cheap = run(20)
    moved = [dataclasses.replace(r, l_error_mm=r.l_error_mm and 2 * r.l_error_mm) for r in cheap.records[:9]]
    dear = dataclasses.replace(cheap, records=tuple(reversed(moved)))
    table, pairs = fidelity.between(cheap, dear)
    assert pairs.shape[1] == 2 and len(pairs) == len({r.arch.id for r in moved})
    assert table.rows[0]["n"] == len(pairs)


def test_a_race_at_another_proxy_does_not_mix_into_the_errors_of_a_pair():
    plain = run(12)
    race = [
        dataclasses.replace(r, fidelity="long-1", l_error_mm=r.l_error_mm - 20) for r in plain.records[:5]
    ]
    raced = dataclasses.replace(plain, records=(*plain.records, *race))
    assert (fidelity.between(raced, plain)[1] == fidelity.between(plain, plain)[1]).all()


def test_runs_without_a_shared_architecture_are_refused():
    with pytest.raises(ValueError, match="no finished architecture in common"):
        fidelity.between(run(3, controls=0, repeats=1), run(3, seed=9, controls=0, repeats=1))


def test_a_race_at_a_longer_proxy_is_found_in_the_run_itself():
    plain = run(12)
    assert fidelity.between_fidelities(plain) is None
    raced = [dataclasses.replace(r, fidelity="short-77") if r.role == "repeat" else r for r in plain.records]
    table, pairs = fidelity.between_fidelities(dataclasses.replace(plain, records=tuple(raced)))
    assert len(pairs) == 3 and table.rows[0]["dear"] == "short-77"


def test_counted_scores_are_ranked_against_the_final_error():
    table = fidelity.zero_cost(run(30), most=10)
    assert [row["score"] for row in table.rows] == ["macs", "params", "activations", "depth"]
    assert all(row["n"] == 10 and -1 <= row["tau"] <= 1 for row in table.rows)


def test_a_table_of_trained_networks_has_a_row_and_a_point_for_each_view(tmp_path):
    rows = simulated_rows(8, repeated=3, longer=6)
    file = write_rows(tmp_path / "rows.jsonl", rows)
    told = [
        {"key": f"{i}", "arch": arch.to_dict(), "conditions": "here", "latency_ms": float(i), "sitting": 1}
        for i, arch in enumerate(archs_of(rows))
    ]
    scores = write_rows(tmp_path / "scores.jsonl", told)
    table, study = fidelity.of_table(str(file), scores=str(scores))
    assert study.judged[-1].view.name == "short latency" and study.judged[-1].n == 6
    assert [row["view"].removesuffix(" *") for row in table.rows] == [e.view.name for e in study.judged]
    assert all(row["regret1"] >= row["regret5"] for row in table.rows)
    (axes,) = draw_views(study).wide.axes
    assert len(axes.containers) == 2, "views of another run and of the same"
