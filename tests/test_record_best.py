"""Critical values of comparisons with the best, who may be best, and the chance of each."""

import numpy as np
import pytest
from scipy.stats import t

from nas.record.best import chances, critical, may_be_best, spreads


@pytest.mark.parametrize("freedom", [2, 4, 10, 60])
def test_one_comparison_is_students_test(freedom):
    assert critical(3, [5], freedom) == pytest.approx(t.ppf(0.95, freedom), abs=1e-3)


@pytest.mark.parametrize(
    ("others", "freedom", "dunnett"),
    [(2, 20, 2.03), (5, 20, 2.39), (9, 20, 2.60), (5, 10, 2.56), (2, 10_000, 1.92), (9, 10_000, 2.42)],
)
def test_equal_runs_give_the_values_of_dunnetts_table(others, freedom, dunnett):
    """One-sided, 5 %: Dunnett (JASA 1955), table 1a."""
    assert critical(4, [4] * others, freedom) == pytest.approx(dunnett, abs=0.006)


@pytest.mark.parametrize(("own", "others"), [(3, (8, 1, 1, 3)), (1, (6, 6, 2)), (12, (1, 1, 1, 1, 1, 1))])
def test_unequal_runs_give_the_value_of_a_simulation(own, others):
    rng, n, draws = np.random.default_rng(own), np.array(others), 200_000
    ours = rng.standard_normal((draws, 1)) / np.sqrt(own)
    theirs = rng.standard_normal((draws, len(n))) / np.sqrt(n)
    noise = np.sqrt(rng.chisquare(6, draws) / 6)
    largest = ((ours - theirs) / np.sqrt(1 / own + 1 / n)).max(axis=1) / noise
    assert np.mean(largest <= critical(own, others, 6)) == pytest.approx(0.95, abs=0.002)


def test_it_is_sharper_than_bonferroni():
    assert critical(3, [3] * 19, 8) < 0.76 * t.ppf(1 - 0.05 / 40, 8)
    assert critical(3, [], 8) == 0.0


def test_only_judges_rule_out_and_the_lowest_may_always_be_best():
    y, n = [50.0, 52.0, 49.0], [8, 8, 1]
    assert may_be_best(y, n, [True, True, False], 0.3, 40) == [True, False, True]
    assert may_be_best(y, n, [False, False, False], 0.3, 40) == [True, True, True]
    assert may_be_best(y, n, [True, True, True], 0.1, 40) == [False, False, True]


@pytest.mark.parametrize("runs", [(3, 3, 3, 3), (1, 2, 4, 8), (8, 1, 1, 1, 1, 1, 1, 1)])
def test_the_truly_best_is_kept_at_the_stated_rate_whatever_the_runs(runs):
    """The worst case: all are equal, so each is ruled out in at most 5 % of the studies."""
    rng, n, studies = np.random.default_rng(len(runs)), np.array(runs), 1000
    kept = np.zeros(len(n))
    for _ in range(studies):
        noise = 0.6 * np.sqrt(rng.chisquare(20) / 20)
        kept += may_be_best(rng.normal(50, 0.6 / np.sqrt(n)), runs, [True] * len(n), noise, 20)
    assert (kept / studies > 0.95 - 3 * np.sqrt(0.05 * 0.95 / studies)).all()


def test_the_population_behind_noisy_means_is_found():
    rng = np.random.default_rng(0)
    n = np.array([1] * 300 + [4] * 100)
    y = rng.normal(55, 1.1, 400) + rng.normal(0, 0.6, 400) / np.sqrt(n)
    values, weight = spreads(y, n, 0.6)
    assert weight @ values == pytest.approx(1.1, abs=0.1) and weight.sum() == pytest.approx(1)
    values, weight = spreads(rng.normal(0, 0.6, 50) * 0.5, [1] * 50, 0.6)
    assert 0 < weight @ values < 0.2, "less spread than the noise, and still not known to be none"


def test_means_no_wider_apart_than_noise_leave_the_better_ones_a_better_chance():
    """With the likeliest spread, 0, all but the control were alike whatever their runs."""
    y = [53.7, 53.6, 54.5, 54.8, 55.1, 53.5, 53.8, 53.9, 54.2]
    found = chances(y, [4, 5, 3, 4, 3, 1, 1, 1, 1], [False] + [True] * 8, 0.9, 10)
    assert found[1] > 2 * found[3] and found[1] > 2 * found[4] and found[0] < 0.6


def test_chances_are_calibrated_where_the_model_holds():
    """Of those that are given a chance near p, about p are the best."""
    rng, told, best = np.random.default_rng(1), [], []
    for study in range(150):
        truth = rng.normal(55, 1.0, 20)
        n = np.array([4] * 6 + [1] * 14)
        y = truth + rng.normal(0, 0.6, 20) / np.sqrt(n)
        told.append(chances(y, n, [True] * 20, 0.6, 30, seed=study))
        best.append(np.arange(20) == truth.argmin())
    told, best = np.concatenate(told), np.concatenate(best)
    for low, high in ((0.02, 0.2), (0.2, 0.5), (0.5, 1.0)):
        near = (told > low) & (told <= high)
        assert best[near].mean() == pytest.approx(told[near].mean(), abs=0.1)


def test_a_lucky_single_run_is_worth_less_than_a_mean_of_many():
    y, n = np.array([53.0, 53.2, 55.0, 56.0, 55.5, 54.8]), [1, 6, 1, 1, 1, 1]
    found = chances(y, n, [True] * 6, 0.9, 30)
    assert found[1] > found[0] and found.sum() == pytest.approx(1)


def test_among_a_thousand_single_runs_those_of_several_are_still_looked_at():
    rng = np.random.default_rng(5)
    truth = rng.normal(55, 0.6, 1000)
    n = np.array([4] * 5 + [1] * 995)
    y = truth + rng.normal(0, 0.9, 1000) / np.sqrt(n)
    y[:5] = [53.4, 53.5, 53.6, 53.7, 53.8]
    found = chances(y, n, [False] + [True] * 999, 0.9, 20)
    assert found.sum() == pytest.approx(1)
    assert found[0] > 0.05 and found[0] > 3 * found[5:].max() and (found[1:5] > 0).all()


def test_means_that_lie_close_by_chance_are_no_proof_that_all_are_alike():
    values, weight = spreads([54.0, 54.01, 54.02], [1, 1, 1], 0.9)
    assert weight @ values > 0.5
    values, weight = spreads([54.0, 54.0, 54.0], [1, 1, 1], 0.0)
    assert np.isfinite(weight).all() and weight.sum() == pytest.approx(1)


def test_two_architectures_and_no_noise_are_no_trouble():
    assert chances([50.0, 51.0], [1, 1], [True, True], 0.0, 3)[0] == 1.0
    assert chances([50.0], [1], [True], 0.5, 3)[0] == 1.0
