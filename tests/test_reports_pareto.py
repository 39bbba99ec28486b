"""The front of a trade-off, against its definition."""

import numpy as np
import pytest

from reports.pareto import pareto_front


def by_definition(costs, errors):
    def beaten(i):
        return any(
            costs[j] <= costs[i] and errors[j] <= errors[i] and (costs[j] < costs[i] or errors[j] < errors[i])
            for j in range(len(costs))
        )

    return [i for i in range(len(costs)) if not beaten(i)]


@pytest.mark.parametrize("seed", range(20))
def test_front_is_what_its_definition_says_with_ties(seed):
    rng = np.random.default_rng(seed)
    costs, errors = rng.integers(0, 8, 40), rng.integers(0, 8, 40)
    front = pareto_front(costs, errors)
    assert sorted(front) == by_definition(costs, errors)
    assert (np.diff(costs[front]) >= 0).all() and (np.diff(errors[front]) <= 0).all()


def test_one_point_is_its_own_front_and_none_has_none():
    assert pareto_front([3.0], [1.0]).tolist() == [0]
    assert pareto_front([], []).tolist() == []
