"""space/budget.py: text to an exact window of whole multiply-adds."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from space import Budget
from space.budget import exact_flops, rounded_flops


@pytest.mark.parametrize(
    "text",
    [
        "5.1GFLOPs",
        "5.1 gflops",
        "5100MFLOPs",
        "5.1G",
        "5.1e9",
        "5100000000",
        "0.0051TFLOPs",
        "5.1GMACs",
        " 5.1g ",
    ],
)
def test_every_way_to_write_it_means_the_same(text):
    assert Budget.parse(text) == Budget(5_100_000_000)


def test_the_window_is_inclusive_and_exact():
    budget = Budget.parse("5.1GFLOPs", tolerance=0.02)
    assert (budget.low, budget.high) == (4_998_000_000, 5_202_000_000)
    assert budget.low in budget and budget.high in budget
    assert budget.low - 1 not in budget and budget.high + 1 not in budget


def test_a_fraction_of_a_flop_at_the_edge_stays_outside():
    budget = Budget(1001, 0.0005)  # 1000.4995 to 1001.5005
    assert (budget.low, budget.high) == (1001, 1001)


def test_tolerance_zero_is_one_number():
    budget = Budget.parse("5100775424", 0)
    assert budget.low == budget.high == 5_100_775_424


@given(st.integers(1, 10**15), st.decimals(0, "0.999", places=4))
def test_the_window_is_what_the_decimals_say(target, tolerance):
    budget = Budget(target, float(tolerance))
    share = Fraction(tolerance)
    assert budget.low - 1 < target * (1 - share) <= budget.low
    assert budget.high <= target * (1 + share) < budget.high + 1


@pytest.mark.parametrize("text", ["5.1GB", "5.1 GiB", "5.1b", "100 MBytes", "7byte"])
def test_bytes_are_refused_as_such(text):
    with pytest.raises(ValueError, match=r"counts bytes; write for example 5\.1GFLOPs"):
        Budget.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "five",
        "G",
        "-5.1G",
        "5,1G",
        "5.1.1G",
        "nan",
        "inf",
        "5.1GFLOP/s",
        "5.1 G FLOPs",
        "0x5",
        "5.1P",
        "1e999",
    ],
)
def test_nonsense_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match=r"is no budget; write for example 5\.1GFLOPs"):
        Budget.parse(text)


@pytest.mark.parametrize("text", ["0", "0G", "0.5", "1e16", "2e3TFLOPs"])
def test_no_network_is_that_small_or_large(text):
    with pytest.raises(ValueError, match="between 1 and 1e15 FLOPs"):
        Budget.parse(text)


@pytest.mark.parametrize("tolerance", [-0.01, 1, 2, float("nan"), float("inf"), "0.02", None, True])
def test_a_tolerance_is_a_share(tolerance):
    with pytest.raises(ValueError, match="tolerance is a"):
        Budget.parse("5.1G", tolerance)


def test_a_tolerance_may_come_out_of_numpy():
    assert Budget(10**9, np.float64(0.02)) == Budget(10**9, 0.02)
    assert Budget(10**9, np.float64(0.02)).high == 1_020_000_000


@pytest.mark.parametrize("target", [5.1e9, 0, -3, "5", True])
def test_a_target_is_a_whole_number(target):
    with pytest.raises(ValueError, match="whole number of FLOPs"):
        Budget(target)


def test_a_budget_goes_to_json_and_back():
    budget = Budget.parse("5.1G", 0.005)
    assert Budget.from_dict(budget.to_dict()) == budget


def test_people_read_it_in_the_unit_that_fits():
    assert str(Budget.parse("5.1G")) == "5.1 GFLOPs ± 2 %"
    assert str(Budget.parse("480M", 0.005)) == "480 MFLOPs ± 0.5 %"
    assert str(Budget.parse("5.1G", 0)) == "5.1 GFLOPs ± 0 %"
    assert exact_flops(5_100_775_424) == "5.100775424 GFLOPs"
    assert rounded_flops(492_154_528) == "492.2 MFLOPs"
    assert rounded_flops(5_100_775_424) == "5.101 GFLOPs"
