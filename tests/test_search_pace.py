"""Each network's own predicted time: from a table, from counts, from the runs so far."""

import nas_tools
import numpy as np
import pytest
from test_search_objectives import simulated_table

from nas.search.pace import FEW, Pace


@pytest.fixture(scope="module")
def feasible():
    return nas_tools.small_plan().feasible


@pytest.fixture(scope="module")
def archs(feasible):
    return feasible.draw(20, np.random.default_rng(3))


@pytest.fixture
def control():
    return nas_tools.small_plan().control


def test_the_control_is_the_unit(control):
    assert Pace(control).share(control) == pytest.approx(1)
    assert Pace(control, simulated_table()).share(control) == pytest.approx(1)


def test_without_a_table_half_of_the_time_follows_activations(control, archs):
    share = Pace(control).share(archs[0])
    flops, activations = archs[0].macs() / control.macs(), archs[0].activations() / control.activations()
    assert share == pytest.approx((flops + activations) / 2)


def test_with_a_table_shares_are_the_tables(control, archs):
    table = simulated_table()
    assert Pace(control, table).share(archs[0]) == pytest.approx(table.of(archs[0]) / table.of(control))


def test_one_run_tells_the_seconds_of_all(control, archs):
    pace = Pace(control)
    assert pace.seconds(archs[0]) is None
    pace.note(control, 30.0)
    assert pace.seconds(archs[0]) == pytest.approx(30.0 * pace.share(archs[0]))


def test_runs_of_different_networks_teach_what_an_activation_costs(control, archs):
    pace = Pace(control)

    def truth(arch):
        return 5 * arch.macs() / control.macs() + 45 * arch.activations() / control.activations()

    for arch in archs[:FEW]:
        pace.note(arch, truth(arch))
    for arch in archs[FEW:]:
        assert pace.seconds(arch) == pytest.approx(truth(arch), rel=1e-6)


def test_a_simulated_run_of_no_time_teaches_nothing(control, archs):
    pace = Pace(control)
    pace.note(archs[0], 0.0)
    assert pace.seconds(control) is None


def test_the_usual_share_lies_between_its_ends(control, feasible):
    mean, low, high = Pace(control).usual(feasible)
    assert low < mean < high
