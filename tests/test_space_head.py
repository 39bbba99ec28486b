"""A task's own head is counted: budgets, caps and ids follow the space's number of outputs."""

from __future__ import annotations

import json

import numpy as np
import pytest
import space_brute

from space import Budget, Caps, FeasibleSet, Space
from space.__main__ import main
from space.scale import find_control

SHAPE = {"max_depth": 3, "min_width": 32, "max_width": 128, "width_step": 32}
TWO, USUAL = Space(**SHAPE, outputs=2), Space(**SHAPE)
EVERY = space_brute.every_spec(TWO)


def middle(values: list[int]) -> int:
    return sorted(values)[len(values) // 2]


@pytest.fixture(scope="module")
def feasible() -> FeasibleSet:
    budget = Budget(middle([spec.macs(outputs=2) for spec in EVERY]), 0.1)
    return FeasibleSet(TWO, budget, cache=False)


def test_a_budget_is_met_with_the_tasks_own_outputs(feasible):
    inside = {spec for spec in EVERY if spec.macs(outputs=2) in feasible.budget}
    assert feasible.count == len(inside) and inside != {s for s in EVERY if s.macs() in feasible.budget}
    assert set(feasible.draw(500, np.random.default_rng(0))) <= inside
    assert [spec in feasible for spec in EVERY] == [spec in inside for spec in EVERY]
    assert feasible.holds(space_brute.table(EVERY)).sum() == len(inside)
    assert find_control(feasible)[0] in inside
    assert feasible.from_unit(feasible.to_unit(min(inside, key=lambda s: s.id))) in inside


def test_caps_on_parameters_count_them_too(feasible):
    control = find_control(feasible)[0]
    capped = feasible.within(Caps.parse({"params": "1x"}, control, outputs=2))
    inside = [s for s in EVERY if s.macs(outputs=2) in feasible.budget and s.params(2) <= control.params(2)]
    assert capped.caps.params == control.params(2) and capped.left == len(inside)


def test_the_usual_outputs_leave_every_id_as_it_was_and_others_have_their_own():
    assert "outputs" not in USUAL.to_dict() and TWO.to_dict()["outputs"] == 2
    assert Space.from_dict(TWO.to_dict()) == TWO != USUAL and TWO.id != USUAL.id
    assert Space().id == "14926d2046"  # runs that exist hold it
    assert TWO.narrowed(max_depth=2).outputs == 2
    with pytest.raises(ValueError, match="outputs is a whole number from 1 to 1000000, not 0"):
        Space(outputs=0)


def test_the_kept_indexes_of_two_heads_are_two_files(feasible):
    from space.halves import split
    from space.indexfile import index_path

    low, high = feasible.budget.low, feasible.budget.high
    assert index_path(split(TWO), low, high) != index_path(split(USUAL), low, high)


def test_the_command_counts_with_the_outputs_that_it_is_given(capsys):
    asked = ["--budget", "0.5GFLOPs", "--max-depth", "3", "--max-width", "64", "--json", "--samples", "1"]
    found = []
    for more in ([], ["--outputs", "2"]):
        assert main([*asked, *more]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0]["count"] != found[1]["count"] and found[1]["space"]["outputs"] == 2
    assert found[1]["shares"]["fc"]["mean"] < found[0]["shares"]["fc"]["mean"]
    assert main(["--budget", "0.5GFLOPs", "--outputs", "two"]) == 2
    assert "--outputs is a whole number, not 'two'" in capsys.readouterr().err
