import pytest

from proxy_tasks.schedule import learning_rate, poly, warmup_share


def test_poly_starts_at_one_ends_at_zero_and_is_quadratic_between():
    assert poly(0.0) == 1.0
    assert poly(0.5) == pytest.approx(0.25)
    assert poly(1.0) == 0.0


def test_warm_up_rises_linearly_to_the_base_rate_and_then_poly_falls():
    assert poly(0.05, warmup=0.1) == pytest.approx(0.5)
    assert poly(0.1, warmup=0.1) == 1.0
    assert poly(0.55, warmup=0.1) == pytest.approx(0.25)


def test_warm_up_takes_at_most_a_tenth_of_a_short_run():
    assert warmup_share(100, 1000) == 0.1
    assert warmup_share(100_000, 1000) == 0.01


def test_every_step_of_a_run_has_a_positive_rate_no_larger_than_the_base():
    rates = [learning_rate(s, 50, 0.1, 1000, 2.0) for s in range(50)]
    assert all(0 < r <= 0.1 for r in rates)
    assert max(rates) == rates[5]


def test_a_run_without_steps_is_refused():
    with pytest.raises(ValueError, match="at least one step"):
        warmup_share(0, 10)
