"""Cheap views beside the longest training: rank agreement, regret, and the ceiling of the seeds."""

import itertools
import math

import numpy as np
import pytest
from bench_rows import simulated_rows, write_rows

from proxy_tasks import fidelity
from proxy_tasks.bench.views import KEPT, View, by_chance, ceiling, judge, regret, study, tau


@pytest.fixture(scope="module")
def rows():
    return simulated_rows(24, repeated=6, longer=20, noise_mm=0.2)


@pytest.fixture(scope="module")
def found(rows):
    return study(rows, resamples=100)


def test_tau_and_regret_are_their_definitions():
    cheap, dear = np.array([1.0, 2.0, 3.0, 4.0]), np.array([10.0, 12.0, 9.0, 13.0])
    assert tau(cheap, dear) == pytest.approx((4 - 2) / 6)
    assert [regret(cheap, dear, k) for k in (1, 2, 3)] == [1.0, 1.0, 0.0]
    assert math.isnan(tau(cheap, np.ones(4)))


def test_views_are_of_the_architectures_that_were_trained_longest(found):
    assert len(found.archs) == 20 and found.length == 4
    names = [each.view.name for each in found.judged]
    assert "x1 run, validation 6 of 6" in names and "x4 run, validation 5 of 6" in names
    assert "x4 run, validation 6 of 6" not in names, "that is the dear measure itself"
    assert {"parameters", "x1 run, its end on a 4th of the people"} <= set(names)


def test_later_views_agree_more_and_cost_more(found):
    views = {each.view.name: each for each in found.judged}
    first, last = views["x1 run, validation 1 of 6"], views["x1 run, validation 6 of 6"]
    assert first.view.seconds * 6 == pytest.approx(last.view.seconds) and first.tau[0] < last.tau[0]
    assert last.view.seconds == pytest.approx(found.seconds / 4, rel=0.1)
    for each in found.judged:
        assert each.tau[1] <= each.tau[2] and len(each.regrets) == len(KEPT)
        assert each.regrets[0][0] >= each.regrets[1][0] >= each.regrets[2][0] >= 0


def test_only_views_of_the_same_run_share_its_seed(found):
    same = {each.view.name for each in found.judged if each.view.same_run}
    assert same == {f"x4 run, validation {i} of 6" for i in range(1, 6)}


def test_the_interval_of_tau_holds_the_truth_at_about_the_stated_rate():
    rng, truth, held = np.random.default_rng(0), 2 / np.pi * np.arcsin(0.7), 0
    for _ in range(100):
        pairs = rng.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], 30)
        _, low, high = judge(View("v", pairs[:, 0], 1.0), pairs[:, 1], rng, 200).tau
        held += low <= truth <= high
    assert held >= 86


def test_the_ceiling_is_one_without_noise_and_that_of_two_noisy_copies_with_it():
    rng = np.random.default_rng(1)
    dear, ones = rng.normal(50, 1.0, 400), np.ones(400, dtype=int)
    assert ceiling(dear, ones, 0.0, rng) == pytest.approx((1.0, 1.0))
    shared = 1 - 0.36 / dear.var()  # of the variance; the truth meets the noise once, another run twice
    expected = 2 / np.pi * np.arcsin([math.sqrt(shared), shared])
    assert ceiling(dear, ones, 0.6, rng) == pytest.approx(tuple(expected), abs=0.03)
    assert all(map(math.isnan, ceiling(dear, ones, math.nan, rng)))
    assert ceiling(dear, ones, 2.0, rng) == (0.0, 0.0), "seeds alone spread them as much"


def test_the_noise_is_told_with_the_runs_that_it_was_seen_in(rows):
    found = study(rows, resamples=5)
    assert found.noise_of[0] == 1 and found.noise_of[1] == 12, "no long run has a second seed"
    assert found.again < found.ceiling < 1
    again = {**next(r for r in rows if r["length"] == 4), "seed": 1, "key": "again"}
    assert study([*rows, again], resamples=5).noise_of == (4.0, 1)


def test_favourites_of_a_resample_are_different_architectures():
    cheap, dear = np.array([1.0, 2.0, 3.0]), np.array([12.0, 11.0, 10.0])
    judged = judge(View("v", cheap, 1.0), dear, np.random.default_rng(0), 300)
    assert judged.regrets[1][2] == 0, "three favourites of three are all there are"


def test_a_longer_run_that_diverged_leaves_the_short_ones_to_be_judged(rows):
    short = [r for r in rows if r["length"] == 1]
    broken = {**rows[-1], "status": "diverged", "l_error_mm": None, "curve": []}
    assert study([*short, broken], resamples=5).length == 1


def test_the_cheapest_training_that_ranks_within_the_bound_is_recommended(found):
    cheapest = found.recommended(100.0)
    ranks = [each for each in found.judged if each.view.trained and each.tau[1] > 0]
    assert cheapest.view.seconds == min(each.view.seconds for each in ranks) > 0, "a count trains nothing"
    assert any(each.view.seconds == 0 and each.regrets[1][2] < 100 for each in found.judged)
    ends = sorted(each.regrets[1][2] for each in ranks)
    assert found.recommended(ends[0]).regrets[1][2] == ends[0] and found.recommended(ends[0] - 1e-9) is None


def test_an_order_by_chance_has_the_regret_of_all_its_orders():
    dear = np.array([3.0, 1.0, 7.0, 2.0, 4.0])
    for k in (1, 2, 3, 5):
        every = [dear[list(each)].min() - 1.0 for each in itertools.combinations(range(5), k)]
        assert by_chance(dear, k) == pytest.approx(np.mean(every))
    assert by_chance(dear, 9) == 0.0


def test_what_a_view_did_not_see_is_lost_to_it():
    cheap, dear = np.array([1.0, 2.0, 3.0, math.nan]), np.array([10.0, 12.0, 13.0, 7.0])
    judged = judge(View("v", cheap, 1.0), dear, np.random.default_rng(0), 50)
    assert judged.n == 3 and [each[0] for each in judged.regrets] == [3.0, 3.0, 3.0]


def test_the_lucky_run_that_chose_a_candidate_is_no_view_of_it(rows):
    drawn = next(r for r in rows if r["role"] == "uniform" and r["seed"] == 0 and r["length"] == 1)
    lucky = {
        **drawn,
        "curve": [{**point, "l_error_mm": 20.0} for point in drawn["curve"]],
        "l_error_mm": 20.0,
    }
    fresh = {**drawn, "role": "candidate", "seed": 1000, "key": "fresh"}
    several = [*(lucky if r is drawn else r for r in rows), fresh]
    assert _ends(several).min() == pytest.approx(20, abs=1), "a draw that is trained longer whatever it shows"
    for row in several:
        if row["arch"] == drawn["arch"] and row["length"] == 4:
            several[several.index(row)] = {**row, "role": "candidate"}
    assert _ends(several).min() > 30, "one that is trained longer for what it showed"


def _ends(rows):
    judged = study(rows, resamples=5).judged
    return next(each.view.values for each in judged if each.view.name == "x1 run, validation 6 of 6")


def test_what_is_asked_about_may_be_a_shorter_training(rows):
    assert study(rows, resamples=5, length=1).length == 1
    assert study(rows, resamples=5, length=4).length == 4


def test_before_the_long_runs_are_there_the_short_ones_are_the_dear_measure(rows):
    short = study([r for r in rows if r["length"] == 1], resamples=20)
    assert short.length == 1 and len(short.archs) == 25
    assert all(each.view.same_run for each in short.judged if "run" in each.view.name)
    with pytest.raises(ValueError, match="5 architectures or more, and 2 are complete"):
        study([r for r in rows if r["length"] == 1 and r["role"] == "control"] + [rows[10]], resamples=5)


def test_scores_of_untrained_networks_are_views_too(rows):
    found = study(
        rows, lambda arch: {"naswot": -sum(arch.depths), "latency_ms": float(sum(arch.depths))}, resamples=20
    )
    naswot, latency = found.judged[-2:]
    assert (naswot.view.name, latency.view.name) == ("naswot", "short latency")
    assert latency.tau[0] == naswot.tau[0], "few milliseconds are taken for better, as a high score is"


def test_the_command_prints_a_row_for_each_view_and_a_recommendation(rows, tmp_path, capsys):
    file = write_rows(tmp_path / "rows.jsonl", rows)
    assert fidelity.main([str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("20 architectures; dear: the final error of runs of x4")
    assert "regret@3" in lines[2] and "regret@3 within 0.5 mm" in lines[-1]
    assert lines[-2].startswith("an order by chance has a regret of @1 ")
    assert fidelity.main([str(file), "--length", "1"]) == 0
    assert capsys.readouterr().out.startswith("25 architectures; dear: the final error of runs of x1")
    assert fidelity.main([str(tmp_path / "none.jsonl")]) == 2
    assert "there is no file" in capsys.readouterr().err


def test_untrained_networks_are_scored_on_the_images_that_are_given(tmp_path, tiny_wcpa, capsys):
    file = write_rows(tmp_path / "rows.jsonl", simulated_rows(4, repeated=0))
    assert fidelity.main([str(file), "--data", str(tiny_wcpa)]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in ("grad_norm", "naswot", "log_synflow"))
