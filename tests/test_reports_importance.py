"""Permutation importance, on functions whose answers are known."""

import numpy as np
import pytest

from reports.importance import permutation_importance


def test_importance_of_a_linear_law_is_its_closed_form():
    # y = 2 a + b: shuffling a raises a perfect model's squared error by 2 Var(2 a), and Var(y) = 5 Var(a)
    rng = np.random.default_rng(4)
    x = rng.random((1_000, 3))
    found = permutation_importance(x, 2 * x[:, 0] + x[:, 1], rng)
    assert found.explained > 0.9
    assert found.value == pytest.approx([8 / 5, 2 / 5, 0.0], abs=0.15)
    assert abs(found.value[2]) < 0.02


def test_importance_of_noise_holds_zero_and_explains_nothing():
    rng = np.random.default_rng(5)
    found = permutation_importance(rng.random((120, 4)), rng.normal(60, 2, 120), rng)
    assert found.explained < 0.1
    assert (found.low <= 0).all() and (found.high >= 0).all()


def test_intervals_are_as_wide_as_the_spread_over_fresh_trials():
    rng = np.random.default_rng(6)

    def draw(n):
        x = rng.random((n, 2))
        return x, 3 * x[:, 0] + rng.normal(0, 1, n)

    found = [permutation_importance(*draw(150), rng, repeats=8, trees=8) for _ in range(20)]
    truth = np.mean([each.value[0] for each in found])
    held = np.mean([each.low[0] <= truth <= each.high[0] for each in found])
    assert held >= 0.85


def test_equal_errors_have_no_importance():
    rng = np.random.default_rng(7)
    found = permutation_importance(rng.random((30, 2)), np.full(30, 61.0), rng)
    assert found.value == pytest.approx([0, 0]) and found.high == pytest.approx([0, 0])


def test_too_few_trials_are_refused():
    with pytest.raises(ValueError, match="at least 20 complete trials; there are 8"):
        permutation_importance(np.ones((8, 2)), np.ones(8), np.random.default_rng(0))
