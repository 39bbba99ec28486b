"""space/feasible.py, walk.py and cells.py: uniform draws, and the unit cube there and back."""

from __future__ import annotations

import pickle
from collections import Counter
from itertools import product

import numpy as np
import pytest
import space_brute
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from space import REFERENCES, ArchSpec, Budget, FeasibleSet, Space, cost
from space.rows import rows_at
from space.scale import nearest
from space.walk import COORDINATES

SMALL = space_brute.SMALL


def _middle_budget(space: Space, tolerance: float = 0.2) -> Budget:
    costs = sorted(spec.macs() for spec in space_brute.every_spec(space))
    return Budget(costs[len(costs) // 2], tolerance)


@pytest.fixture(scope="module", params=SMALL)
def small(request) -> tuple[FeasibleSet, list[ArchSpec]]:
    """A feasible set of a small space, and all its architectures by enumeration."""
    space = SMALL[request.param]
    budget = _middle_budget(space)
    inside = [spec for spec in space_brute.every_spec(space) if spec.macs() in budget]
    return FeasibleSet(space, budget, cache=False), inside


@pytest.fixture(scope="module")
def default() -> FeasibleSet:
    return FeasibleSet(Space(), Budget.parse("5.1GFLOPs"))


def _p_value(rows: np.ndarray, inside: list[ArchSpec]) -> float:
    """Chi-square of draws against the uniform distribution over all architectures."""
    seen = Counter(map(tuple, rows.tolist()))
    counts = [seen.pop((*spec.depths, *spec.widths), 0) for spec in inside]
    assert not seen, "a draw left the set"
    return float(chisquare(counts).pvalue) if len(inside) > 1 else 1.0


def test_sampler_is_uniform_on_a_space_small_enough_to_enumerate(small):
    feasible, inside = small
    rows = feasible.draw_array(60 * len(inside), np.random.default_rng(0))
    assert _p_value(rows, inside) > 1e-3


def test_from_unit_of_uniform_points_is_uniform(small):
    feasible, inside = small
    points = np.random.default_rng(1).random((30 * len(inside), 8))
    assert _p_value(feasible.from_unit_array(points), inside) > 1e-3


def test_every_architecture_is_reached_and_comes_back(small):
    feasible, inside = small
    assert feasible.count == len(inside)
    table = space_brute.table(inside)
    points = feasible.to_unit_array(table)
    assert ((points > 0) & (points < 1)).all()
    assert (feasible.from_unit_array(points) == table).all()


def test_each_coordinate_has_exactly_its_conditional_distribution(small):
    """On a grid as fine as the counts, every value has as many points as architectures.

    And to_unit gives the middle of a cell.
    """
    feasible, inside = small
    rng = np.random.default_rng(2)
    columns = [("d1", "d2", "d3", "d4", "w1", "w2", "w3", "w4").index(name) for name in COORDINATES]
    table = space_brute.table(inside)[:, columns]
    for row in rng.choice(len(table), 3):
        centre = feasible.to_unit(inside[row])
        for at, column in enumerate(columns):
            alike = table[(table[:, :at] == table[row, :at]).all(1)]
            points = np.tile(centre, (len(alike), 1))
            points[:, at] = (np.arange(len(alike)) + 0.5) / len(alike)
            found = feasible.from_unit_array(points)[:, column]
            assert sorted(found.tolist()) == sorted(alike[:, at].tolist())
            below = np.count_nonzero(alike[:, at] < table[row, at])
            own = np.count_nonzero(alike[:, at] == table[row, at])
            assert centre[at] == (below + own / 2) / len(alike)


def test_ranks_are_a_bijection(small):
    feasible, inside = small
    rows = feasible._walk.from_ranks(np.arange(feasible.count))
    assert len({tuple(row) for row in rows.tolist()}) == feasible.count == len(inside)


def test_corners_of_the_cube_belong_to_cells(default):
    corners = np.array(list(product([0.0, 1.0], repeat=8)))
    macs = cost.costs("basic", default.from_unit_array(corners))
    assert ((macs >= default.budget.low) & (macs <= default.budget.high)).all()


def test_cells_meet_without_gap_or_overlap(default):
    """Along a coordinate from 0 to 1 values only grow, one float apart at the borders."""
    rng = np.random.default_rng(3)
    base = rng.random(8)
    for at, name in enumerate(COORDINATES):
        column = ("d1", "d2", "d3", "d4", "w1", "w2", "w3", "w4").index(name)
        points = np.tile(base, (2000, 1))
        points[:, at] = np.linspace(0, 1, 2000)
        values = default.from_unit_array(points)[:, column]
        assert (np.diff(values) >= 0).all()


def test_identity_holds_on_the_default_space(default):
    rows = default.draw_array(3000, np.random.default_rng(4))
    assert (default.from_unit_array(default.to_unit_array(rows)) == rows).all()
    spec = REFERENCES["jmlr-searched"]
    assert default.from_unit(default.to_unit(spec)) == spec


def test_the_narrowest_cells_of_the_default_space_are_found(default):
    """Architectures whose w_2 is the rarest, and the extremes of cost."""
    index = default._walk.index
    lonely = np.flatnonzero(np.diff(index.starts) == np.diff(index.starts).min())
    rows = default.from_unit_array(default.to_unit_array(_rows_of(default, index.starts[lonely[:500]])))
    assert (rows == _rows_of(default, index.starts[lonely[:500]])).all()
    for spec in (default.smallest(), default.largest()):
        assert default.from_unit(default.to_unit(spec)) == spec


def _rows_of(feasible: FeasibleSet, ranks: np.ndarray) -> np.ndarray:
    return rows_at(feasible.space, feasible._walk.from_ranks(ranks))


def test_draws_of_the_default_space_have_its_exact_marginal(default):
    """Draws against the index's own numbers of architectures for each w_2."""
    halves, index = default._walk.halves, default._walk.index
    each = halves.widths[2] * halves.widths[0] * halves.depths[0]
    exact = np.bincount(index.keys // each, weights=np.diff(index.starts), minlength=halves.widths[1])
    rows = default.draw_array(200_000, np.random.default_rng(5))
    drawn = np.bincount(rows[:, 5] // 8 - 1, minlength=halves.widths[1])
    common = exact > exact.sum() * 1e-4
    expected = np.append(exact[common], exact[~common].sum()) / exact.sum() * len(rows)
    assert chisquare(np.append(drawn[common], drawn[~common].sum()), expected).pvalue > 1e-3


def test_draws_depend_on_the_generator_alone(default):
    draws = [default.draw_array(700, np.random.default_rng(6)) for _ in range(2)]
    assert (draws[0] == draws[1]).all()
    assert default.draw(3, np.random.default_rng(6))[2] in default
    assert default.draw_array(0, np.random.default_rng(6)).shape == (0, 8)


def test_draws_come_in_no_order(default):
    w2 = default.draw_array(2000, np.random.default_rng(7))[:, 5]
    assert abs(np.corrcoef(w2[:-1], w2[1:])[0, 1]) < 0.1


@st.composite
def _spaces(draw) -> Space:
    step = draw(st.sampled_from([8, 16, 40]))
    depths = st.lists(st.integers(1, 5), min_size=4, max_size=4).map(tuple)
    low = draw(depths)
    return Space(
        block=draw(st.sampled_from(["basic", "bottleneck"])),
        min_depth=low,
        max_depth=tuple(a + b for a, b in zip(low, draw(depths), strict=True)),
        min_width=tuple(sorted(step * each for each in draw(depths))),
        max_width=step * draw(st.integers(5, 9)),
        width_step=step,
        free_widths=draw(st.booleans()),
    )


@given(_spaces(), st.integers(0, 2**32), st.floats(0, 0.5), st.sampled_from([0.7, 1.0, 1.3]))
@settings(deadline=None, max_examples=60)
def test_no_draw_and_no_point_leaves_the_window(space, seed, tolerance, aim):
    rng = np.random.default_rng(seed)
    somewhere = ArchSpec(
        tuple(int(rng.choice(choices)) for choices in space.depth_choices),
        tuple(choices[-1] for choices in space.width_choices),
        space.block,
    )
    budget = Budget(round(aim * somewhere.macs()), tolerance)
    try:
        feasible = FeasibleSet(space, budget, cache=False)
    except ValueError as error:
        assert "no architecture of the space" in str(error)
        assert somewhere not in space or somewhere.macs() not in budget
        return
    rows = feasible.draw_array(300, rng)
    points = np.concatenate([rng.random((200, 8)), rng.integers(0, 2, (50, 8))])
    for table in (rows, feasible.from_unit_array(points)):
        macs = cost.costs(space.block, table)
        assert ((budget.low <= macs) & (macs <= budget.high)).all()
        assert all(ArchSpec(row[:4], row[4:], space.block) in feasible for row in table[:20])
    assert (feasible.from_unit_array(feasible.to_unit_array(rows)) == rows).all()
    assert nearest(feasible, REFERENCES["resnet34"]) in feasible
    assert feasible.smallest() in feasible and feasible.largest() in feasible


def test_a_narrowed_set_is_part_of_the_wide_one():
    wide, budget = SMALL["tied"], _middle_budget(SMALL["tied"])
    narrow = FeasibleSet(
        wide.narrowed(max_depth=(2, 3, 2, 3), min_width=(32, 32, 64, 64)), budget, cache=False
    )
    expected = {s for s in space_brute.every_spec(wide) if s.macs() in budget and s in narrow.space}
    assert narrow.count == len(expected)
    assert set(narrow.draw(40 * narrow.count, np.random.default_rng(0))) == expected
    assert narrow.id != FeasibleSet(wide, budget, cache=False).id


@pytest.mark.parametrize(
    "point",
    [[0.5] * 7, [0.5] * 7 + [1.0000001], [0.5] * 7 + [-1e-9], [0.5] * 7 + [float("nan")], [[0.5] * 8]],
)
def test_a_point_outside_the_cube_is_refused(default, point):
    with pytest.raises(ValueError, match=r"a point has 8 coordinates|lie in \[0, 1\]"):
        default.from_unit(point)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (REFERENCES["resnet18"], "costs 2.685 GFLOPs, outside"),
        (REFERENCES["resnet50"], "lies outside its space"),
        (ArchSpec((3, 4, 6, 3), (64, 128, 256, 508)), "lies outside its space"),
    ],
)
def test_an_architecture_outside_has_no_point(default, spec, words):
    with pytest.raises(ValueError, match=words):
        default.to_unit(spec)


def test_membership_is_space_and_budget(default):
    assert REFERENCES["resnet34"] in default
    assert REFERENCES["resnet18"] not in default and REFERENCES["resnet50"] not in default


def test_a_table_s_membership_is_each_architecture_s(small):
    feasible, inside = small
    everything = space_brute.every_spec(feasible.space)
    rows = np.concatenate([space_brute.table(everything), space_brute.table(everything[:20]) + 1])
    rows = np.concatenate([rows, rows[:20, [0, 1, 2, 3, 7, 6, 5, 4]]])
    expected = [ArchSpec(row[:4], row[4:], feasible.space.block) in feasible for row in rows]
    assert feasible.holds(rows).tolist() == expected
    assert sum(expected) >= len(inside)
    if not all(expected):
        with pytest.raises(
            ValueError, match=rf"{expected.count(False)} of {len(rows)} architectures are not"
        ):
            feasible.to_unit_array(rows)


def test_a_set_travels_between_processes_by_its_recipe(default):
    data = pickle.dumps(default)
    assert len(data) < 1000
    again = pickle.loads(data)
    assert (again.count, again.id) == (default.count, default.id)


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (Budget.parse("0.3G"), r"smallest, d1-1-1-1_w32-32-32-32, needs 615.1 MFLOPs; raise the budget"),
        (Budget.parse("900G"), r"largest, d3-3-3-3_w128-128-128-128, has \d\.\d+ GFLOPs; lower the budget"),
        (
            Budget(1_000_000_001, 0),
            r"the nearest are d\S+ with [\d,]+ FLOPs and d\S+ with [\d,]+; raise",
        ),
    ],
)
def test_an_empty_set_says_why(budget, words):
    with pytest.raises(ValueError, match=words):
        FeasibleSet(SMALL["tied"], budget, cache=False)


def test_tolerance_zero_holds_exactly_one_cost():
    budget = Budget(REFERENCES["resnet34"].macs(), 0)
    feasible = FeasibleSet(Space(), budget, cache=False)
    assert REFERENCES["resnet34"] in feasible
    assert {spec.macs() for spec in feasible.draw(200, np.random.default_rng(0))} == {budget.target}
