"""Comparisons over common seeds: closed forms, tables, and what a layout cannot tell."""

import math

import numpy as np
import pytest
from scipy import stats

from nas.record.best import critical
from proxy_tasks.blocks import fit, sharper


def layout(rng, cells, levels, shared=1.0, noise=0.5):
    """Runs (architecture, seed, error) of the additive model in the given cells."""
    seeds = rng.normal(0, shared, 20)
    return [(a, s, levels[a] + seeds[s] + rng.normal(0, noise)) for a, s in cells]


def test_two_on_the_same_seeds_are_the_paired_t_test():
    rng = np.random.default_rng(0)
    runs = layout(rng, [(a, s) for a in "ab" for s in range(5)], {"a": 50.0, "b": 51.0})
    found = fit(runs, ["a", "b"])
    gaps = np.array([y for a, _, y in runs if a == "b"]) - [y for a, _, y in runs if a == "a"]
    assert found.level("b") - found.level("a") == pytest.approx(gaps.mean())
    assert found.sd_mm * found.deviation("a", "b") == pytest.approx(gaps.std(ddof=1) / math.sqrt(5))
    assert found.freedom == 4
    assert found.critical("a", ["b"], 0.05) == pytest.approx(stats.t.ppf(0.95, 4), rel=0.006)


@pytest.mark.parametrize(("others", "blocks"), [(2, 6), (3, 5), (8, 4)])
def test_a_full_layout_has_the_critical_values_of_dunnett(others, blocks):
    cells = [(a, s) for a in range(others + 1) for s in range(blocks)]
    found = fit(layout(np.random.default_rng(1), cells, np.zeros(others + 1)), range(others + 1))
    assert found.freedom == others * (blocks - 1)
    table = critical(blocks, [blocks] * others, found.freedom)
    assert found.critical(0, range(1, others + 1), 0.05) == pytest.approx(table, rel=0.006)
    assert found.critical(0, [], 0.05) == 0.0


def test_unequal_layouts_find_the_levels_that_made_them_and_their_own_error():
    cells = [(a, s) for a, seeds in enumerate([(0, 1, 2), (1, 2, 3), (3, 1), (2,)]) for s in seeds]
    levels, rng = [50.0, 51.0, 52.5, 49.0], np.random.default_rng(2)
    gaps, variances, deviation = [], [], fit(layout(rng, cells, levels), range(4)).deviation(3, 0)
    for _ in range(2000):
        found = fit(layout(rng, cells, levels, shared=5.0), range(4))
        gaps.append(found.level(3) - found.level(0))
        variances.append(found.sd_mm**2)
    assert np.mean(gaps) == pytest.approx(-1.0, abs=0.06)
    assert np.std(gaps) == pytest.approx(0.5 * deviation, rel=0.06)
    assert np.mean(variances) == pytest.approx(0.25, rel=0.15), "the seeds' 5 mm are not in it"


def test_what_does_not_hang_together_by_seeds_is_not_compared():
    rng = np.random.default_rng(3)
    apart = [("a", 0), ("a", 1), ("c", 0), ("c", 1), ("b", 2), ("b", 3), ("d", 2), ("d", 3)]
    levels = dict.fromkeys("abcd", 50.0)
    assert fit(layout(rng, apart, levels), ["a", "b"]) is None
    assert fit(layout(rng, apart, levels), ["a", "c"]).freedom == 2, "b and d tell of the noise too"
    assert fit(layout(rng, [("a", 0), ("b", 0)], levels), ["a", "b"]) is None, "one pair has no spread"
    assert fit(layout(rng, [("a", 0), ("b", 1)], levels), ["a", "b"]) is None
    assert fit([], ["a"]) is None


def test_runs_that_tell_nothing_change_nothing():
    rng = np.random.default_rng(4)
    runs = layout(rng, [(a, s) for a in "ab" for s in range(4)], {"a": 50.0, "b": 51.0})
    lonely = [("a", 17, 99.0), ("x", 0, 12.0), ("y", 18, 3.0)]
    bare, more = fit(runs, ["a", "b"]), fit([*runs, *lonely], ["a", "b"])
    assert more.level("a") - more.level("b") == pytest.approx(bare.level("a") - bare.level("b"))
    assert more.freedom == bare.freedom and more.sd_mm == pytest.approx(bare.sd_mm)


def test_whether_seeds_are_looked_at_follows_from_the_layout_alone():
    rng = np.random.default_rng(5)
    full = fit(layout(rng, [(a, s) for a in range(4) for s in range(4)], np.zeros(4)), range(4))
    assert sharper(full, dict.fromkeys(range(4), 4), freedom=12)
    chain = fit(layout(rng, [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 0)], np.zeros(3)), range(3))
    assert chain.freedom == 1 and not sharper(chain, dict.fromkeys(range(3), 2), freedom=3)


def test_curves_are_fitted_at_every_validation_and_effects_are_nothing_in_the_mean():
    cells = [(a, s) for a, seeds in enumerate([(0, 1, 2), (1, 2, 3), (3, 1), (2, 7, 8)]) for s in seeds]
    seen = layout(np.random.default_rng(6), cells, [50.0, 51.0, 52.5, 49.0])
    curves = fit([(a, s, [y + 10, y]) for a, s, y in seen])
    plain = fit(seen)
    assert curves.levels.shape == (3, 2), (
        "nobody shares the first's seed 0, and nobody asks for the last, of which one run is left"
    )
    assert curves.levels[:, 0] == pytest.approx(curves.levels[:, 1] + 10)
    assert curves.level(0) == pytest.approx(plain.level(0)) and curves.sd_mm == pytest.approx(plain.sd_mm)
    used = [(a, s) for a, s in cells if a < 3 and s > 0]
    assert sum(curves.effects[s][-1] for _, s in used) == pytest.approx(0.0, abs=1e-9)
    means = {a: np.mean([y for b, s, y in seen if a == b and s > 0]) for a in range(3)}
    for a in range(3):
        added = np.mean([curves.effects[s][-1] for b, s in used if a == b])
        assert curves.level(a) + added == pytest.approx(means[a])


def test_parts_that_no_seed_joins_stand_at_the_mean_of_their_own_seeds():
    one = layout(np.random.default_rng(7), [(a, s) for a in "ab" for s in (0, 1, 2)], {"a": 50.0, "b": 51.0})
    other = layout(
        np.random.default_rng(8), [(a, s) for a in "cd" for s in (5, 6, 7)], {"c": 60.0, "d": 61.0}
    )
    both = fit([*one, *other])
    for name, runs in (("a", one), ("b", one), ("c", other), ("d", other)):
        assert both.level(name) == pytest.approx(np.mean([y for a, _, y in runs if a == name]))
    assert both.freedom == 4
