"""Proposals: inside the budget whatever the strategy, and a function of what is recorded."""

import numpy as np
import pytest
from nas_tools import SMALL, small_plan

from nas.record.run_dir import RunDir
from nas.record.store import Store
from nas.search.suggest import STRATEGIES, Suggester, sobol_point, uniform_point
from space import REFERENCES, Budget, FeasibleSet, Space

WINDOW = FeasibleSet(Space(**SMALL), Budget.parse("0.5GFLOPs", 0.1))


def open_store(path):
    path.mkdir(parents=True, exist_ok=True)
    RunDir(path).write({"store": {}})
    return Store.open(path, write=True)


def propose(store, suggester, n, *, finish="complete"):
    """n proposals, each told a value that favours the middle of the cube."""
    found = []
    with store.batch():
        for _ in range(n):
            p = suggester.propose(suggester.claim())
            store.begin(p.trial_id, {"arch": p.arch.to_dict()})
            value = float(np.sum((np.array(p.unit) - 0.5) ** 2))
            store.finish(p.trial_id, finish, l_error_mm=value)
            found.append(p)
    return found


def suggest(path, strategy, feasible=WINDOW, **changes):
    store = open_store(path)
    return store, Suggester(store, "round1", feasible, strategy, **{"seed": 0, "trials": 1000, **changes})


@pytest.mark.parametrize("strategy", ["random", "qmc"])
def test_a_strategy_without_a_model_stays_in_the_window_over_1000_proposals(tmp_path, strategy):
    found = propose(*suggest(tmp_path, strategy), 1000)
    assert all(p.arch in WINDOW for p in found)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", [s for s in STRATEGIES if s != "predictor"])
def test_every_strategy_stays_in_the_window_over_1000_proposals(tmp_path, strategy):
    """All 990 after the uniform ones are asked of the model. `gp` learns from the first 60 only: its fit
    grows with the cube of the history, about a second a proposal at 400, and 0.1 s at 60. `predictor`, which
    chooses among members of the set alone, has its tests in tests/test_search_predictor.py."""
    store, suggester = suggest(tmp_path, strategy)
    first = propose(store, suggester, 60)
    rest = propose(store, suggester, 940, finish="failed" if strategy == "gp" else "complete")
    assert all(p.arch in WINDOW for p in first + rest)


@pytest.mark.parametrize("strategy", ["tpe", "gp", "evolution"])
def test_a_model_based_strategy_stays_in_the_window_and_repeats_nothing(tmp_path, strategy):
    found = propose(*suggest(tmp_path, strategy, trials=30), 24 if strategy == "gp" else 80)
    assert all(p.arch in WINDOW for p in found)
    assert len({p.arch.id for p in found}) == len(found)  # TPE alone repeats a quarter in a small space


@pytest.mark.parametrize("strategy", ["tpe", "gp", "evolution"])
def test_a_model_based_strategy_learns(tmp_path, strategy):
    n = 24 if strategy == "gp" else 80
    found = propose(*suggest(tmp_path, strategy, trials=n), n)
    values = [float(np.sum((np.array(p.unit) - 0.5) ** 2)) for p in found]
    assert np.mean(values[-8:]) < 0.8 * np.mean(values[:8])


@pytest.mark.parametrize("point", [uniform_point, sobol_point])
def test_proposal_n_is_a_function_of_seed_round_and_n(point):
    assert np.array_equal(point(1, 1, 7), point(1, 1, 7))
    others = [point(2, 1, 7), point(1, 2, 7), point(1, 1, 8)]
    assert not any(np.array_equal(point(1, 1, 7), other) for other in others)


def test_sobol_points_fill_the_cube_more_evenly_than_random_ones():
    from scipy.stats import qmc

    def discrepancy(point):
        return qmc.discrepancy(np.array([point(0, 1, n) for n in range(64)]))

    assert discrepancy(sobol_point) < 0.5 * discrepancy(uniform_point)


@pytest.mark.parametrize("strategy", ["random", "qmc", "tpe"])
def test_proposals_after_a_restart_are_those_of_an_uninterrupted_search(tmp_path, strategy):
    whole = propose(*suggest(tmp_path / "a", strategy), 16)
    first = propose(*suggest(tmp_path / "b", strategy), 9)
    rest = propose(*suggest(tmp_path / "b", strategy), 7)
    assert [p.arch for p in whole] == [p.arch for p in first + rest]


def test_a_proposal_that_a_kill_cut_short_is_completed_to_the_same_architecture(tmp_path):
    _, suggester = suggest(tmp_path / "a", "tpe")
    expected = suggester.propose(suggester.claim())
    _, killed = suggest(tmp_path / "b", "tpe")
    killed.claim()  # and no more
    store, again = suggest(tmp_path / "b", "tpe")
    (claimed,) = store.claimed("round1")
    assert again.propose(claimed).arch == expected.arch


def test_known_architectures_are_proposed_first_and_only_once(tmp_path):
    feasible = FeasibleSet(Space(), Budget.parse("5.1GFLOPs"))
    store, suggester = suggest(tmp_path, "tpe", feasible)
    for name in ("resnet34", "jmlr-searched", "resnet34"):
        suggester.enqueue(REFERENCES[name])
    found = propose(store, suggester, 4)
    assert [p.arch for p in found[:2]] == [REFERENCES["resnet34"], REFERENCES["jmlr-searched"]]
    assert REFERENCES["resnet34"] not in [p.arch for p in found[2:]]


def test_a_carried_result_is_known_to_the_sampler_and_no_trial_of_the_record(tmp_path):
    store, suggester = suggest(tmp_path, "tpe")
    spec = WINDOW.draw(1, np.random.default_rng(0))[0]
    suggester.carry(spec, 0, 1.0)
    suggester.carry(spec, 0, 1.0)
    (trial,) = store.storage.get_all_trials(store.studies()["round1"])
    assert trial.value == 1.0 and store.records() == []


def test_in_a_space_smaller_than_the_search_every_architecture_is_found_then_repeated(tmp_path):
    tiny = FeasibleSet(
        Space(max_depth=2, min_width=64, max_width=96, width_step=32), Budget.parse("1.3GFLOPs", 0.1)
    )
    assert tiny.count == 34
    found = propose(*suggest(tmp_path, "tpe", tiny), tiny.count + 3)
    assert len({p.arch.id for p in found[: tiny.count]}) > 0.8 * tiny.count


def test_a_strategy_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ValueError, match="random, qmc, tpe, gp, evolution, predictor, not 'magic'"):
        suggest(tmp_path, "magic")


def test_the_plan_and_the_suggester_know_the_same_strategies():
    for strategy in STRATEGIES:
        assert small_plan(strategy=strategy).strategy == strategy
