"""space/plan.py and space/cost.py against closed forms and networks one by one; fvcore: test_space_flops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from space import ArchSpec, cost
from space.plan import build_block

MEASURES = {"macs": cost.MACS, "params": cost.PARAMS, "activations": cost.ACTIVATIONS}


def test_resnet34_is_the_sum_that_one_writes_by_hand():
    costs = cost.layer_costs(ArchSpec((3, 4, 6, 3), (64, 128, 256, 512)).plan())
    stem = 128 * 128 * 9 * (3 * 32 + 32 * 32 + 32 * 64)
    layer1 = 64 * 64 * 9 * 64 * 64 * 6
    layer2 = 32 * 32 * (9 * 64 * 128 + 9 * 128 * 128 * 7 + 64 * 128)
    layer3 = 16 * 16 * (9 * 128 * 256 + 9 * 256 * 256 * 11 + 128 * 256)
    layer4 = 8 * 8 * (9 * 256 * 512 + 9 * 512 * 512 * 5 + 256 * 512)
    assert sum(costs.values()) == stem + layer1 + layer2 + layer3 + layer4 + 512 * 6100
    assert costs["layer2.0.conv1"] == 32 * 32 * 9 * 64 * 128
    assert costs["layer2.0.downsample.1"] == 32 * 32 * 64 * 128
    assert "layer1.0.downsample.1" not in costs


def test_bottleneck_counts_its_first_convolution_before_the_stride():
    costs = cost.layer_costs(ArchSpec((3, 4, 6, 3), (64, 128, 256, 512), "bottleneck").plan())
    assert costs["layer2.0.conv1"] == 64 * 64 * 256 * 128
    assert costs["layer2.0.conv2"] == 32 * 32 * 9 * 128 * 128
    assert costs["layer2.0.conv3"] == 32 * 32 * 128 * 512
    assert costs["layer1.0.downsample.1"] == 64 * 64 * 64 * 256


@pytest.mark.parametrize(("block", "width"), [("basic", 64), ("bottleneck", 16)])
def test_first_stage_has_a_shortcut_only_where_channels_change(block, width):
    assert build_block(block, 0, 0, 64, width).shortcut is None
    assert build_block(block, 0, 0, 64, width + 8).shortcut is not None


@given(
    st.sampled_from(["basic", "bottleneck"]),
    st.sampled_from(sorted(MEASURES)),
    st.sampled_from([256, 128, 112, 225, 33]),
    st.sampled_from([6100, 10]),
    st.integers(0, 2**32),
)
@settings(deadline=None, max_examples=40)
def test_tables_equal_the_networks_one_by_one(block, name, input_size, outputs, seed):
    """Families with and without a shortcut in the first stage, at odd sizes too."""
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.integers(1, 9, (6, 4)), rng.integers(1, 40, (6, 4)) * 4], axis=1)
    rows[:2, 4] = 64 if block == "basic" else 16
    measure = MEASURES[name]
    one_by_one = [
        cost.total(ArchSpec(row[:4], row[4:], block).plan(outputs), measure, input_size) for row in rows
    ]
    assert cost.costs(block, rows, measure, input_size, outputs).tolist() == one_by_one


def test_parts_of_a_table_are_the_stages_of_its_networks():
    spec = ArchSpec((5, 3, 4, 2), (64, 160, 272, 512))
    parts = cost.part_costs("basic", np.array([[*spec.depths, *spec.widths]]))
    assert {name: macs.tolist() for name, macs in parts.items()} == {
        name: [macs] for name, macs in spec.stage_macs().items()
    }


def test_an_empty_table_costs_nothing():
    assert cost.costs("basic", np.empty((0, 8), int)).shape == (0,)


def test_a_family_with_and_without_shortcuts_is_not_one_block():
    with pytest.raises(ValueError, match="in all its members or in none"):
        build_block("basic", 0, 0, np.array([64, 64]), np.array([64, 72]))


def test_the_tables_of_a_space_add_up_to_its_networks():
    widths = [range(56, 80, 8), range(64, 96, 16), range(8, 24, 8), range(40, 56, 8)]
    parts = cost.tables("basic", widths)
    at, depths = (1, 0, 1, 0), (3, 1, 2, 5)
    total = parts.base
    for stage in range(4):
        before = at[stage - 1] if stage else 0
        total += parts.first[stage][before, at[stage]] + (depths[stage] - 1) * parts.further[stage][at[stage]]
    assert total == ArchSpec(depths, [w[i] for w, i in zip(widths, at, strict=True)]).macs()
