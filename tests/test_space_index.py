"""space/halves.py and space/index.py: the exact count against brute force and dynamic programming."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
import space_brute

from space import Budget, Space, cost
from space.halves import split
from space.index import build_index, closest
from space.plan import EXPANSION

SMALL = space_brute.SMALL


@pytest.fixture(scope="module", params=SMALL)
def small(request) -> tuple[Space, np.ndarray]:
    """A small space and the sorted costs of all its architectures, counted network by network."""
    space = SMALL[request.param]
    return space, np.sort([spec.macs() for spec in space_brute.every_spec(space)])


def _count(space: Space, low: int, high: int) -> int:
    return build_index(split(space), low, high).count


def test_count_is_brute_force_s_at_every_kind_of_window(small):
    """Edges on a cost, one beside it, a single cost, everything, nothing."""
    space, costs = small
    rng = np.random.default_rng(0)
    for _ in range(20):
        low, high = np.sort(rng.choice(costs, 2)) + rng.integers(-1, 2, 2)
        expected = np.count_nonzero((costs >= low) & (costs <= high))
        assert _count(space, int(low), int(high)) == expected
    middle = int(costs[len(costs) // 2])
    assert _count(space, middle, middle) == np.count_nonzero(costs == middle)
    assert _count(space, int(costs[0]), int(costs[-1])) == len(costs) == space.size
    assert _count(space, 0, int(costs[0]) - 1) == 0
    assert _count(space, int(costs[-1]) + 1, 2 * int(costs[-1])) == 0


def test_closest_finds_the_neighbours_of_any_cost(small):
    space, costs = small
    halves = split(space)
    rng = np.random.default_rng(1)
    probes = {0, int(costs[0]), int(costs[-1]), int(costs[-1]) + 1}
    for macs in probes | set((rng.choice(costs, 10) + rng.integers(-1, 2, 10)).tolist()):
        above, below = closest(halves, macs, above=True), closest(halves, macs, above=False)
        assert (above and above.macs()) == min((c for c in costs.tolist() if c >= macs), default=None)
        assert (below and below.macs()) == max((c for c in costs.tolist() if c <= macs), default=None)
        assert all(spec is None or spec in space for spec in (above, below))


def _dynamic_programming(space: Space, low: int, high: int) -> int:
    """Histograms of cost over (width so far), stage by stage: no halves, no sorting, no searching.

    Costs are counted in units of the greatest common divisor of all parts but the head.
    """
    parts = cost.tables(space.block, space.width_choices)
    heads = np.array(space.width_choices[3]) * EXPANSION[space.block] * 6100
    first = [*parts.first[:3], parts.first[3] - heads]
    unit = np.gcd.reduce([int(np.gcd.reduce(each, axis=None)) for each in (*first, *parts.further)])
    bins = (high - parts.base) // unit + 1
    ways = {0: np.zeros(bins, np.int64)}
    ways[0][0] = 1
    widths_before = [0]
    for stage in range(4):
        after = {}
        for w, width in enumerate(space.width_choices[stage]):
            entered = np.zeros(bins, np.int64)
            for before, histogram in ways.items():
                if space.free_widths or widths_before[before] <= width:
                    _add(entered, histogram, int(first[stage][before, w] // unit))
            more = int(parts.further[stage][w] // unit)
            after[w] = np.zeros(bins, np.int64)
            for depth in space.depth_choices[stage]:
                _add(after[w], entered, (depth - 1) * more)
        ways, widths_before = after, list(space.width_choices[stage])
    total = 0
    for w, histogram in ways.items():
        rest_low, rest_high = low - parts.base - heads[w], high - parts.base - heads[w]
        total += int(histogram[max(-(-rest_low // unit), 0) : max(rest_high // unit + 1, 0)].sum())
    return total


def _add(total: np.ndarray, histogram: np.ndarray, by: int) -> None:
    if by < len(total):
        total[by:] += histogram[: len(total) - by]


@pytest.mark.parametrize(
    "space",
    [
        Space(width_step=64),
        Space(width_step=128, free_widths=True),
        Space("bottleneck", width_step=64, min_width=64, max_depth=(8, 12, 24, 8)),
    ],
    ids=["basic", "free", "bottleneck"],
)
@pytest.mark.parametrize("budget", ["5.1G", "20G"])
def test_count_of_a_large_space_is_dynamic_programming_s(space, budget):
    window = Budget.parse(budget, 0.02)
    count = _count(space, window.low, window.high)
    assert count == _dynamic_programming(space, window.low, window.high)
    assert count > 1000


def test_the_default_space_at_the_paper_s_budget():
    """Golden; test_count_of_the_default_space_is_dynamic_programming_s derives it anew."""
    budget = Budget.parse("5.1GFLOPs")
    assert _count(Space(), budget.low, budget.high) == 1_117_743_257


@pytest.mark.slow
def test_count_of_the_default_space_is_dynamic_programming_s():
    budget = Budget.parse("5.1GFLOPs")
    assert _dynamic_programming(Space(), budget.low, budget.high) == 1_117_743_257


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_a_window_that_holds_everything_counts_the_closed_form(block):
    assert _count(Space(block), 0, 10**13) == 24**4 * comb(67, 4)


def test_prefixes_are_strictly_ordered_and_none_is_empty():
    budget = Budget.parse("2G")
    index = build_index(split(Space(max_depth=6, width_step=32)), budget.low, budget.high)
    assert (np.diff(index.keys) > 0).all() and (np.diff(index.starts) > 0).all()
    assert (np.diff(index.right) >= 0).all()


def test_a_space_that_would_take_hours_is_refused_at_once():
    with pytest.raises(ValueError, match=r"too large to be counted in minutes: raise width_step \(now 1\)"):
        split(Space(width_step=1))


def test_more_architectures_than_a_coordinate_can_tell_apart_are_refused(monkeypatch):
    monkeypatch.setattr("space.index.MOST", 2**20)
    with pytest.raises(ValueError, match=r"11,612,160 architectures fit, more than"):
        _count(Space(width_step=128), 0, 10**15)
