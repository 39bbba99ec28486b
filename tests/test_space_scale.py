"""space/scale.py: the control of a search, a reference brought into the window."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from space import REFERENCES, ArchSpec, Budget, FeasibleSet, Space
from space.scale import find_control, nearest

RESNET34 = REFERENCES["resnet34"]


def test_a_reference_inside_stays_itself():
    feasible = FeasibleSet(Space(), Budget.parse("5.1G"))
    assert nearest(feasible, RESNET34) == RESNET34


@pytest.mark.parametrize("widths", [(32, 64, 128, 256), (40, 80, 160, 320), (48, 96, 192, 384)])
def test_widths_are_scaled_together(widths):
    """At the cost of an exact multiple, that multiple is the nearest."""
    budget = Budget(ArchSpec(RESNET34.depths, widths).macs())
    near = nearest(FeasibleSet(Space(max_depth=8), budget, cache=False), RESNET34)
    assert near == ArchSpec(RESNET34.depths, widths)


def test_no_other_widths_of_the_space_are_nearer():
    """Every four widths, by the definition in the module's first lines."""
    space, budget = Space(max_width=160, width_step=16, max_depth=6), Budget.parse("1.2G")
    near = nearest(FeasibleSet(space, budget, cache=False), RESNET34)

    def distance(widths: tuple[int, ...]) -> tuple[float, int]:
        logs = np.log(np.array(widths) / RESNET34.widths)
        return round(float(logs.var()), 12), abs(ArchSpec(RESNET34.depths, widths).macs() - budget.target)

    others = (w for w in product(*space.width_choices) if list(w) == sorted(w))
    inside = [w for w in others if ArchSpec(RESNET34.depths, w).macs() in budget]
    assert len(inside) > 10
    assert distance(near.widths) == min(map(distance, inside))


def test_depths_are_pulled_into_the_space():
    near = nearest(
        FeasibleSet(Space(max_depth=(4, 2, 5, 8), min_depth=(1, 1, 1, 4)), Budget.parse("5.1G")), RESNET34
    )
    assert near.depths == (3, 2, 5, 4)


def test_a_space_of_other_blocks_gives_its_own():
    feasible = FeasibleSet(Space("bottleneck", max_depth=8), Budget.parse("5.66G"), cache=False)
    assert nearest(feasible, RESNET34) == REFERENCES["resnet50"]


def test_where_no_widths_fit_something_alike_stands_in():
    """100 GFLOPs are out of reach for ResNet-34's depths at a width of 512, and so is a single FLOP."""
    for budget in (Budget.parse("100G"), Budget(4_999_999_584, 0)):
        feasible = FeasibleSet(Space(), budget)
        near = nearest(feasible, RESNET34)
        assert near in feasible
        assert near == nearest(feasible, RESNET34)


@pytest.mark.parametrize(("budget", "name"), [("5.1G", "resnet34"), ("2G", "resnet34-scaled")])
def test_the_control_is_resnet34_or_is_named_as_scaled(budget, name):
    feasible = FeasibleSet(Space(), Budget.parse(budget))
    control, called = find_control(feasible)
    assert control in feasible and called == name
    assert (control == RESNET34) == (name == "resnet34")
