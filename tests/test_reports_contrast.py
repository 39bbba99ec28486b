"""Comparing two populations: against closed forms, scipy, and simulation."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from reports.contrast import (
    beating_interval,
    contrast,
    holm,
    mann_whitney_p,
    probability_of_beating,
    sample_size,
    shift,
)


def test_probability_of_beating_is_the_share_of_pairs_with_half_for_ties():
    a, b = [1.0, 3.0, 3.0], [2.0, 3.0]
    pairs = [1.0 if x < y else 0.5 if x == y else 0.0 for x, y in itertools.product(a, b)]
    assert probability_of_beating(a, b) == pytest.approx(np.mean(pairs))


def test_probability_of_beating_is_the_mann_whitney_statistic():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 30).round(1), rng.normal(0.3, 1, 40).round(1)
    assert probability_of_beating(a, b) == pytest.approx(stats.mannwhitneyu(b, a).statistic / (30 * 40))
    assert probability_of_beating(a, b) + probability_of_beating(b, a) == pytest.approx(1.0)


@pytest.mark.parametrize(("m", "n", "shifted"), [(8, 8, 0.0), (20, 60, 0.8), (64, 64, 1.5)])
def test_interval_of_the_effect_covers_at_about_the_stated_rate(m, n, shifted):
    rng, truth = np.random.default_rng(m), stats.norm.cdf(shifted / math.sqrt(2))
    held = 0
    for _ in range(800):
        theta = probability_of_beating(rng.normal(0, 1, m), rng.normal(shifted, 1, n))
        low, high = beating_interval(theta, m, n)
        held += low <= truth <= high
    assert 0.93 <= held / 800 <= 0.985


def test_interval_of_a_clean_sweep_is_not_a_point():
    low, high = beating_interval(1.0, 10, 10)
    assert high == 1.0 and 0.6 < low < 0.95
    assert beating_interval(0.0, 10, 10) == pytest.approx((0.0, 1 - low))


def test_permuted_p_value_is_the_exact_one_over_all_relabellings():
    a, b = np.array([1.0, 2.0, 2.0, 4.0]), np.array([2.0, 5.0, 6.0, 7.0, 7.0])
    ranks = stats.rankdata(np.concatenate([a, b]))
    seen, centre = ranks[:4].sum(), 4 * 10 / 2
    every = [abs(sum(pick) - centre) for pick in itertools.combinations(ranks, 4)]
    exact = np.mean([far >= abs(seen - centre) - 1e-9 for far in every])
    found = mann_whitney_p(a, b, np.random.default_rng(0), resamples=40_000)
    assert found == pytest.approx(exact, abs=0.005)


def test_rank_sum_p_value_is_scipys_where_scipy_is_exact():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, 9), rng.normal(1, 1, 11)
    exact = stats.mannwhitneyu(a, b, method="exact").pvalue
    assert mann_whitney_p(a, b, rng, resamples=40_000) == pytest.approx(exact, abs=0.004)


def test_p_values_are_below_five_percent_five_percent_of_the_time_without_an_effect():
    rng = np.random.default_rng(3)
    p = [mann_whitney_p(rng.normal(size=10), rng.normal(size=14), rng, 399) for _ in range(1_200)]
    assert 0.032 <= np.mean(np.array(p) <= 0.05) <= 0.068


def test_large_samples_take_the_normal_limit():
    rng = np.random.default_rng(4)
    a, b = rng.normal(0, 1, 400), rng.normal(0.2, 1, 300)
    assert mann_whitney_p(a, b, rng) == stats.mannwhitneyu(a, b, method="asymptotic").pvalue


def test_holm_steps_down_the_written_out_example():
    # sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1, then never falling
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.2]) == pytest.approx([0.2])
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])


def test_holm_keeps_the_family_wise_rate():
    rng = np.random.default_rng(5)
    false = [(holm(rng.random(6)) <= 0.05).any() for _ in range(4_000)]
    assert np.mean(false) <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / 4_000)


def test_sample_size_is_noethers_number():
    # (1.959964 + 0.841621)^2 / (6 * 0.2^2) = 32.7
    assert sample_size(0.7) == 33
    assert sample_size(0.3) == 33
    assert sample_size(0.5) == math.inf
    assert sample_size(0.7, comparisons=3) > sample_size(0.7)


def test_sample_size_gives_the_power_that_it_says():
    effect = 0.65
    n, move = int(sample_size(effect)), math.sqrt(2) * stats.norm.ppf(effect)
    rng = np.random.default_rng(6)
    seen = [
        stats.mannwhitneyu(rng.normal(0, 1, n), rng.normal(move, 1, n), method="asymptotic").pvalue <= 0.05
        for _ in range(2_000)
    ]
    assert 0.76 <= np.mean(seen) <= 0.85


def test_shift_recovers_a_shift():
    errors = np.random.default_rng(7).normal(60, 2, 50)
    assert shift(errors - 0.7, errors) == pytest.approx(-0.7)


def test_shift_of_very_many_is_that_of_an_even_selection():
    errors = np.random.default_rng(8).normal(60, 2, 5_000)
    assert shift(errors + 0.3, errors) == pytest.approx(0.3, abs=0.01)


def test_contrast_holds_all_of_it_and_is_antisymmetric():
    rng = np.random.default_rng(8)
    a, b = rng.normal(60, 2, 40), rng.normal(61, 2, 50)
    forth, back = contrast(a, b, rng), contrast(b, a, rng)
    assert forth.n == (40, 50) and back.n == (50, 40)
    assert forth.wins == pytest.approx(1 - back.wins)
    assert forth.wins_low == pytest.approx(1 - back.wins_high)
    assert forth.median_difference == pytest.approx(-back.median_difference)
    assert forth.p_value == pytest.approx(back.p_value, abs=0.01)
