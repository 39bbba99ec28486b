"""Caps beside the budget in a search: from the flags to its proposals, its second round and its record."""

from __future__ import annotations

import json
from argparse import Namespace

import nas_tools
import numpy as np
import pytest
from test_space_latency import table

from nas.record.narrow import narrowed
from nas.record.run_dir import RunDir
from nas.search.config import SearchConfig
from nas.search.plan import find_arch, resolve
from nas.search.provenance import describe
from nas.search.resume import to_resumed
from space.arch import REFERENCES
from space.caps import Caps
from space.pull import Pulled
from space.scale import nearest

LIMITS = {"max_params": "0.9x", "max_activations": "1x"}


@pytest.fixture(scope="module")
def plan():
    return nas_tools.small_plan(trials=24, rounds=2, finalists=1, **LIMITS)


def _keeps(plan, arch) -> bool:
    control = plan.control
    return arch.params() <= 0.9 * control.params() and arch.activations() <= control.activations()


def test_the_control_is_the_window_s_and_relative_caps_are_relative_to_it(plan):
    free = nas_tools.small_plan()
    assert (plan.control, plan.control_name) == (free.control, free.control_name)
    assert plan.feasible.caps.params == plan.control.params() * 9 // 10
    assert plan.feasible.count == free.feasible.count > plan.feasible.left > 0


def test_no_proposal_of_either_round_breaks_a_cap(plan, tmp_path):
    records = nas_tools.search(tmp_path / "run", plan)
    proposed = [r for r in records if r.role == "proposal"]
    assert {r.round for r in proposed} == {1, 2} and len(proposed) == 24
    assert all(_keeps(plan, r.arch) for r in proposed)
    part = narrowed(plan.space, plan.budget, [r for r in proposed if r.round == 1], plan.feasible.caps)
    assert part is not None and part.caps == plan.feasible.caps


@pytest.mark.parametrize("strategy", ["tpe", "gp", "evolution", "qmc"])
def test_every_strategy_stays_inside_and_its_points_are_read_again(strategy, tmp_path):
    plan = nas_tools.small_plan(trials=14, finalists=1, strategy=strategy, **LIMITS)
    proposed = [r for r in nas_tools.search(tmp_path / "run", plan) if r.role == "proposal"]
    assert len(proposed) == 14 and all(_keeps(plan, r.arch) for r in proposed)
    cube = plan.feasible if strategy == "qmc" else Pulled(plan.feasible)
    assert {r.feasible_id for r in proposed} == {cube.id}
    assert all(cube.from_unit(r.unit) == r.arch for r in proposed)


def test_run_json_says_the_caps_and_what_they_leave(plan, tmp_path):
    about = describe(SearchConfig("0.5GFLOPs", **LIMITS), plan, RunDir(tmp_path), [])
    assert Caps.from_dict(about["caps"]) == plan.feasible.caps
    assert about["feasible"]["left"] == plan.feasible.left < about["feasible"]["count"]


def test_a_seed_that_breaks_a_cap_is_refused_with_what_it_has_too_much_of(plan, tmp_path):
    heavy = next(
        spec for spec in plan.feasible.window.draw(500, np.random.default_rng(0)) if spec not in plan.feasible
    )
    (tmp_path / "heavy.json").write_text(json.dumps(heavy.to_dict()))
    with pytest.raises(ValueError, match=r"--seed-arch .* has .* M (parameters|activations), above --max-"):
        find_arch(str(tmp_path / "heavy.json"), plan.feasible)


def test_a_reference_is_brought_into_the_budget_and_what_a_file_holds_is_not(plan, tmp_path):
    window = plan.feasible.window
    assert find_arch("resnet34", window) == plan.control
    assert REFERENCES["resnet18"] not in window
    assert find_arch("resnet18", window) == nearest(window, REFERENCES["resnet18"])
    (tmp_path / "r18.json").write_text(json.dumps(REFERENCES["resnet18"].to_dict()))
    with pytest.raises(ValueError, match="is not in the space"):
        find_arch(str(tmp_path / "r18.json"), window)


def test_caps_cannot_change_on_resume():
    saved = SearchConfig("0.5GFLOPs", **LIMITS)
    assert to_resumed(Namespace(max_params="0.9x"), saved) == saved
    for other in ({"max_params": "1x"}, {"max_latency": "12ms"}):
        with pytest.raises(ValueError, match="cannot change on --resume"):
            to_resumed(Namespace(**other), saved)


def test_a_cap_on_latency_reads_the_table_of_the_search():
    config = SearchConfig(
        "0.5GFLOPs",
        tolerance=0.1,
        space=nas_tools.SMALL,
        max_latency="1x",
        objective="nas.trials.standin:Standin",
    )
    plan = resolve(config, gpus=0, proxy=nas_tools.PROXY, table=table())
    drawn = plan.feasible.draw_array(200, np.random.default_rng(0))
    assert (table()("basic", drawn) <= table().of(plan.control) * 1.001).all()
    assert 0 < plan.feasible.left < plan.feasible.count
