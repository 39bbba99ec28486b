"""The empirical bootstrap of the best's range, against its closed form and the published resampling."""

import numpy as np
import pytest

from nas.record.narrow import best_range, best_weights


def resampled(values, errors, rng, resamples=10_000, fraction=0.25, level=0.95):
    """RegNet sec. 3.2 as published: draw, keep the best, repeat, read the quantiles."""
    n = len(errors)
    drawn = rng.integers(n, size=(resamples, max(1, int(fraction * n))))
    best = drawn[np.arange(resamples), np.argmin(errors[drawn], axis=1)]
    return np.quantile(values[best], [(1 - level) / 2, 0.5, (1 + level) / 2], method="inverted_cdf"), best


def test_best_of_one_draw_is_every_trial_alike():
    assert best_weights([3.0, 1.0, 2.0]) == pytest.approx([1 / 3] * 3)  # 25 % of three is one draw


def test_best_of_two_draws_of_four_is_the_written_out_product():
    # P(best has rank > k) = ((4 - k) / 4)^2: 16, 9, 4, 1, 0 sixteenths
    assert best_weights([10.0, 40.0, 20.0, 30.0], fraction=0.5) == pytest.approx(
        [7 / 16, 1 / 16, 5 / 16, 3 / 16]
    )


def test_tied_errors_share_their_probability():
    weights = best_weights([1.0, 1.0, 2.0, 3.0], fraction=0.5)
    assert weights == pytest.approx([6 / 16, 6 / 16, 3 / 16, 1 / 16])


@pytest.mark.parametrize("n", [8, 40, 300])
def test_weights_are_the_frequencies_of_the_published_resampling(n):
    rng = np.random.default_rng(n)
    errors = np.round(rng.normal(60, 3, n), 1)  # with ties
    _, best = resampled(errors, errors, rng, resamples=60_000)
    seen = np.bincount(best, minlength=n) / len(best)
    weights = best_weights(errors)
    assert weights.sum() == pytest.approx(1.0)
    spread = np.sqrt(weights * (1 - weights) / len(best))
    assert (np.abs(seen - weights) <= 5 * spread + 1e-4).all()


def test_range_is_the_limit_of_the_published_resampling():
    rng = np.random.default_rng(5)
    depth = rng.integers(1, 25, 200)
    errors = 60 + 0.05 * (depth - 7) ** 2 + rng.normal(0, 0.5, 200)
    published, _ = resampled(depth, errors, rng, resamples=40_000)
    ours = best_range(depth, errors)
    assert (
        np.abs(np.subtract(ours, published)).max() <= 1
    )  # one step of depth, where a quantile falls between
    assert ours[1] == published[1]


def test_range_is_equivariant_under_a_monotone_map():
    rng = np.random.default_rng(6)
    values, errors = rng.uniform(1, 2, 80), rng.normal(size=80)
    assert best_range(np.log(values), errors) == pytest.approx(tuple(np.log(best_range(values, errors))))


def test_one_trial_is_its_own_range():
    assert best_range([7], [61.0]) == (7.0, 7.0, 7.0)


@pytest.mark.parametrize(
    ("values", "errors", "options", "words"),
    [
        ([], [], {}, "at least one finite error"),
        ([1, 2], [1.0, np.nan], {}, "at least one finite error"),
        ([1], [1.0, 2.0], {}, "one finite value for each of 2 errors"),
        ([1, 2], [1.0, 2.0], {"fraction": 0}, r"share of the trials in \(0, 1\], not 0"),
        ([1, 2], [1.0, 2.0], {"level": 95}, "between 0 and 1, not 95"),
    ],
)
def test_bad_input_is_one_sentence(values, errors, options, words):
    with pytest.raises(ValueError, match=words):
        best_range(values, errors, **options)
