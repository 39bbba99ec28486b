"""The table behind the times of whole networks, on devices whose block times are known."""

from __future__ import annotations

import numpy as np
import pytest

from proxy_tasks.latency.check import line, scores
from proxy_tasks.latency.fit import fit
from proxy_tasks.latency.parts import KINDS, Parts, numbers_of
from proxy_tasks.latency.stopwatch import Timed
from space import Budget, FeasibleSet, Space
from space.cost import ACTIVATIONS, MACS, PARAMS, costs
from space.latency import Conditions
from space.rows import specs

COEFFICIENTS = np.array([0.03, 1.5e-6, 8e-9, 3e-8])  # ms a layer, an activation, a multiply-add, a parameter


@pytest.fixture(scope="module")
def feasible():
    return FeasibleSet(Space(max_depth=(8,) * 4, max_width=(256,) * 4), Budget.parse("2GFLOPs", 0.05))


def simulated(rows, block="basic", *, quirks=0.0, noise=0.0):
    """Milliseconds where each kind of part has an efficiency of its own, and odd widths cost more."""
    rng, parts = np.random.default_rng(7), Parts(Conditions("simulated", block=block)).of(rows)
    total = np.zeros(len(rows))
    for kind in KINDS:
        efficiency = np.exp(quirks * rng.normal()) * (1 + quirks * (parts[kind].aligned == 8))
        total += numbers_of(block, rows)[kind] * (parts[kind].counts @ COEFFICIENTS) * efficiency
    return total * np.exp(noise * rng.normal(size=len(rows)))


def drawn(feasible, n, seed):
    return feasible.draw_array(n, np.random.default_rng(seed))


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_the_parts_of_a_network_add_up_to_its_counts(block):
    space = Space(block=block, max_width=(64,) * 4)
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.integers(1, 5, (50, 4)), 8 * np.sort(rng.integers(1, 9, (50, 4)))], axis=1)
    rows[:2, 4] = 64 if block == "basic" else 16  # C2 keeps the stem's channels
    rows[:2, 5:] = 64
    assert all(spec in space for spec in specs(space, rows))
    parts, numbers = Parts(Conditions("x", block=block)).of(rows), numbers_of(block, rows)
    for column, measure in enumerate((ACTIVATIONS, MACS, PARAMS), start=1):
        total = sum(numbers[kind] * parts[kind].counts[:, column] for kind in KINDS)
        assert total.tolist() == costs(block, rows, measure).tolist()


def test_a_device_that_follows_the_counts_is_read_exactly(feasible):
    rows, others = drawn(feasible, 30, 0), drawn(feasible, 40, 1)
    made = fit(feasible.space, Conditions("simulated"), rows, simulated(rows))
    np.testing.assert_allclose(made.table("basic", others), simulated(others), rtol=2e-3)


def test_a_device_with_quirks_is_learnt_from_noisy_times(feasible):
    rows, others = drawn(feasible, 100, 0), drawn(feasible, 60, 1)
    made = fit(feasible.space, Conditions("simulated"), rows, simulated(rows, quirks=0.3, noise=0.02))
    truth = simulated(others, quirks=0.3)
    networks = [Timed(a, t) for a, t in zip(specs(feasible.space, others), truth, strict=True)]
    table, flops, activations = scores(made.table, networks)
    assert table.error < 0.03
    assert table.tau > 0.85 > max(flops.tau, activations.tau)
    assert table.error < min(flops.error, activations.error) / 2
    assert table.error == pytest.approx(made.left_out_error, abs=0.02)  # which sees the noise as well


def test_a_few_disturbed_times_change_little(feasible):
    rows, others = drawn(feasible, 60, 0), drawn(feasible, 40, 1)
    times = simulated(rows, noise=0.005)
    times[:3] *= (2.0, 1.5, 3.0)
    made = fit(feasible.space, Conditions("simulated"), rows, times)
    assert made.dropped >= 3
    np.testing.assert_allclose(made.table("basic", others), simulated(others), rtol=0.02)


def test_a_block_has_a_time_where_no_network_went(feasible):
    rows = drawn(feasible, 30, 0)
    table = fit(feasible.space, Conditions("simulated"), rows, simulated(rows)).table
    assert all((times > 0).all() for times in (*table.first, *table.further, table.head))


def test_too_few_networks_are_refused(feasible):
    rows = drawn(feasible, 5, 0)
    with pytest.raises(ValueError, match=r"5 networks are too few .* --seconds"):
        fit(feasible.space, Conditions("simulated"), rows, simulated(rows))


def test_a_fitted_line_is_exact_where_times_lie_on_one():
    counts = np.array([1.0, 2.0, 5.0])
    np.testing.assert_allclose(line(counts, 3 + 2 * counts), 3 + 2 * counts)
