"""The distribution of a population's errors: closed forms, second methods, and coverage in simulation."""

import itertools

import numpy as np
import pytest
from scipy import integrate, stats

from reports.edf import (
    area,
    best_of,
    bootstrap_band,
    edf,
    expected_gain,
    quantile_interval,
)


def test_edf_is_scipys_with_ties_counted_once():
    errors = [3.0, 1.0, 2.0, 2.0, 5.0]
    x, share = edf(errors)
    other = stats.ecdf(errors).cdf
    assert x.tolist() == other.quantiles.tolist()
    assert share == pytest.approx(other.probabilities)


def test_censored_trials_stand_in_the_denominator_only():
    x, share = edf([1.0, 2.0], censored=2)
    assert x.tolist() == [1.0, 2.0] and share.tolist() == [0.25, 0.5]


def covers(band, cdf) -> bool:
    """Does the band hold F everywhere? F is continuous, so the ends of each step decide."""
    inside = (cdf(band.x) >= band.low - 1e-12).all()
    before_next = np.append(cdf(band.x[1:]), 1.0)
    return bool(inside and (before_next <= band.high + 1e-12).all() and cdf(band.x[0]) <= band.high_before)


@pytest.mark.parametrize("n", [1, 2, 8, 64])
def test_bands_cover_at_the_stated_rate(n):
    rng, runs, law = np.random.default_rng(n), 1_500, stats.lognorm(0.1, scale=60)
    held = np.mean([covers(bootstrap_band(law.rvs(n, random_state=rng)), law.cdf) for _ in range(runs)])
    noise = 4 * np.sqrt(0.95 * 0.05 / runs)
    assert 0.95 - noise <= held <= 0.95 + noise  # and no wider than it says


def test_resampling_the_errors_would_cover_too_rarely_at_eight_trials():
    rng, n = np.random.default_rng(8), 8
    share = np.arange(1, n + 1) / n
    resampled = rng.multinomial(n, np.full(n, 1 / n), size=20_000).cumsum(axis=1) / n
    half = np.quantile(np.abs(resampled - share).max(axis=1), 0.95)
    uniform = np.sort(rng.random((20_000, n)), axis=1)
    distance = np.maximum((share - uniform).max(axis=1), (uniform - share + 1 / n).max(axis=1))
    assert np.mean(distance <= half) == pytest.approx(0.84, abs=0.02)


def test_band_with_ties_covers_a_discrete_truth():
    rng, law, n = np.random.default_rng(3), stats.randint(55, 65), 30
    grid = np.arange(55, 65)
    held = 0
    for _ in range(500):
        band = bootstrap_band(law.rvs(n, random_state=rng))
        at = np.searchsorted(band.x, grid, side="right") - 1
        low = np.where(at < 0, 0.0, band.low[at])
        high = np.where(at < 0, band.high_before, band.high[at])
        held += bool(((law.cdf(grid) >= low) & (law.cdf(grid) <= high)).all())
    assert held / 500 >= 0.95


def test_bootstrap_band_is_narrower_than_dkw_in_the_lower_tail():
    errors = np.linspace(50, 70, 200)
    ours, half = bootstrap_band(errors), np.sqrt(np.log(2 / 0.05) / (2 * errors.size))  # Massart 1990
    theirs = ours.share[1] + half  # its lower end is cut at 0 there
    assert (ours.high - ours.low)[1] < 0.6 * theirs


def test_censoring_moves_the_band_as_trials_beyond_the_last_would():
    rng = np.random.default_rng(1)
    errors = np.sort(rng.normal(60, 2, 50))
    censored, full = bootstrap_band(errors[:20], censored=30), bootstrap_band(errors)
    assert censored.n == full.n == 50
    for part in ("x", "share", "low", "high"):
        assert getattr(censored, part) == pytest.approx(getattr(full, part)[:20])


@pytest.mark.parametrize("n", [9, 40])
def test_median_interval_covers_at_least_at_the_stated_rate(n):
    rng, held = np.random.default_rng(n), 0
    for _ in range(2_000):
        low, _, high = quantile_interval(rng.normal(size=n))
        held += low <= 0.0 <= high
    assert 0.94 <= held / 2_000 <= 0.985


def test_median_is_numpys_and_an_end_beyond_the_trials_is_infinite():
    errors = [4.0, 1.0, 3.0, 2.0]
    low, middle, high = quantile_interval(errors)
    assert (low, middle, high) == (-np.inf, np.median(errors), np.inf)  # four trials cannot give 95 %
    assert quantile_interval([1.0], 0.5)[1] == 1.0


def test_median_interval_of_twenty_is_the_textbook_order_statistics():
    low, _, high = quantile_interval(np.arange(1, 21))
    assert (low, high) == (6, 15)  # P(6 <= B < 15) = 0.9586 for B ~ Bin(20, 1/2)


def test_area_is_the_integral_of_the_edf():
    errors, ceiling = np.array([50.0, 55.0, 61.0, 80.0]), 70.0
    law = stats.ecdf(errors).cdf
    numeric, _ = integrate.quad(law.evaluate, 0, ceiling, points=errors[:3], limit=200)
    assert area(errors, ceiling) == pytest.approx(numeric / ceiling)


def test_expected_gain_is_the_integral_of_the_edf_below_the_reference():
    errors, reference = np.array([50.0, 55.0, 61.0, 80.0]), 60.0
    assert expected_gain(errors, reference) == pytest.approx((10 + 5) / 4)
    assert expected_gain(errors, reference, censored=4) == pytest.approx((10 + 5) / 8)


@pytest.mark.parametrize("draws", [1, 2, 3, 5, 6])
def test_best_of_n_is_the_mean_over_every_subset_and_every_tuple(draws):
    errors = np.array([5.0, 1.0, 4.0, 1.0, 3.0, 9.0])
    subsets = [min(pick) for pick in itertools.combinations(errors, draws)]
    assert best_of(errors, draws) == pytest.approx(np.mean(subsets))
    tuples = [min(pick) for pick in itertools.product(errors, repeat=draws)]
    assert best_of(errors, draws, replace=True) == pytest.approx(np.mean(tuples))


def test_best_of_n_is_unbiased_for_the_population():
    rng, law = np.random.default_rng(2), stats.uniform()
    estimates = [best_of(law.rvs(20, random_state=rng), 5) for _ in range(3_000)]
    error = np.std(estimates) / np.sqrt(3_000)
    assert np.mean(estimates) == pytest.approx(1 / 6, abs=4 * error)  # E min of five uniforms


def test_best_of_n_ends_at_the_mean_and_the_minimum_of_a_thousand():
    errors = np.random.default_rng(4).normal(60, 2, 1_000)
    curve = best_of(errors, np.array([1, 1_000]))
    assert curve == pytest.approx([errors.mean(), errors.min()])
    assert (np.diff(best_of(errors, np.arange(1, 1_001))) <= 1e-9).all()


def test_best_of_more_than_there_are_is_refused():
    with pytest.raises(ValueError, match="best of 9 needs at least that many trials; there are 2"):
        best_of([1.0, 2.0], 9)


@pytest.mark.parametrize("bad", [[], [1.0, np.nan], [[1.0]]])
def test_a_distribution_of_nothing_is_refused(bad):
    with pytest.raises(ValueError, match="at least one finite error"):
        edf(bad)
