"""space/pull.py: the window's cube with what breaks a cap pulled back inside."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import space_brute
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from space import Budget, Caps, FeasibleSet, Space
from space.pull import Pulled

SPACE = Space(max_depth=4, min_width=32, max_width=160, width_step=32)
SPECS = space_brute.every_spec(SPACE)
BUDGET = Budget(sorted(spec.macs() for spec in SPECS)[len(SPECS) // 2], 0.2)
INSIDE = [spec for spec in SPECS if spec.macs() in BUDGET]
MOST = int(np.quantile([spec.params() for spec in INSIDE], 0.1))
FEASIBLE = FeasibleSet(SPACE, BUDGET, Caps(params=MOST), cache=False)
PULLED = Pulled(FEASIBLE)


@given(st.lists(st.tuples(*[st.floats(0, 1)] * 8), min_size=1, max_size=20))
@settings(deadline=None, max_examples=40)
def test_no_point_leaves_the_caps_and_its_architecture_comes_back(points):
    rows = PULLED.from_unit_array(np.array(points))
    assert FEASIBLE.holds(rows).all()
    for point, row in zip(points, rows.tolist(), strict=True):
        found = PULLED.from_unit(point)
        assert [*found.depths, *found.widths] == row
        assert PULLED.from_unit(PULLED.to_unit(found)) == found


def test_every_architecture_that_keeps_the_caps_lies_where_the_window_has_it():
    for spec in (spec for spec in INSIDE if spec.params() <= MOST):
        point = PULLED.to_unit(spec)
        assert point == FEASIBLE.window.to_unit(spec) and PULLED.from_unit(point) == spec


def test_points_that_keep_the_caps_are_not_moved_and_others_go_a_part_of_the_way():
    points = np.random.default_rng(0).random((300, 8))
    before, after = FEASIBLE.window.from_unit_array(points), PULLED.from_unit_array(points)
    kept = FEASIBLE.holds(before)
    assert 0.03 < kept.mean() < 0.3
    assert (before[kept] == after[kept]).all()
    moved = np.abs(FEASIBLE.window.to_unit_array(after) - points).max(1)
    anywhere = np.abs(FEASIBLE.window.to_unit_array(after[::-1]) - points).max(1)
    assert moved.mean() < 0.8 * anywhere.mean()


def test_near_points_stay_near():
    """A small step moves an architecture by far less than a step to anywhere does."""
    rng = np.random.default_rng(1)
    points = rng.random((200, 8))
    near = np.clip(points + rng.normal(0, 1e-3, points.shape), 0, 1)
    here, there, else_ = (np.log(PULLED.from_unit_array(p)) for p in (points, near, rng.random((200, 8))))
    assert np.abs(there - here).mean() < 0.1 * np.abs(else_ - here).mean()


def test_a_start_is_uniform_over_what_the_caps_leave():
    kept = [spec for spec in INSIDE if spec.params() <= MOST]
    points = np.random.default_rng(2).random((15 * len(kept), 8))
    seen = Counter(PULLED.from_unit(PULLED.start(point)) for point in points)
    assert chisquare([seen[spec] for spec in kept]).pvalue > 1e-3


def test_an_architecture_outside_has_no_point_and_the_cube_has_its_own_id():
    heavy = max(INSIDE, key=lambda spec: spec.params())
    with pytest.raises(ValueError, match="parameters, above --max-params"):
        PULLED.to_unit(heavy)
    assert len({PULLED.id, FEASIBLE.id, FEASIBLE.window.id}) == 3
    assert Pulled(FeasibleSet(SPACE, BUDGET, Caps(params=MOST), cache=False)).id == PULLED.id
