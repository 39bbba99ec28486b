"""The strategy that screens many draws with a model of what was trained."""

import numpy as np
import optuna
import pytest
from bench_rows import feasible

from nas.record.store import Store
from nas.search.config import SearchConfig
from nas.search.plan import resolve
from nas.search.predictor import expected_ends, improvement, most_promising
from nas.search.suggest import STARTUP, Suggester
from nas.trials.standin import expected_mm
from space import ArchSpec


def errors(rows):
    return np.array([expected_mm(ArchSpec(tuple(r[:4]), tuple(r[4:]))) for r in rows.tolist()])


def test_what_it_chooses_is_better_than_all_but_a_few_uniform_draws():
    rng, window = np.random.default_rng(0), feasible()
    rows = window.draw_array(40, rng)
    chosen = most_promising(window, rows, errors(rows), rows[:0], rng, screened=5_000)
    assert ArchSpec(tuple(chosen[:4].tolist()), tuple(chosen[4:].tolist())) in window
    assert errors(chosen[None])[0] < np.quantile(errors(window.draw_array(500, rng)), 0.1)


def test_runs_that_are_still_going_move_the_choice_elsewhere():
    window, rows = feasible(), feasible().draw_array(30, np.random.default_rng(1))
    args = (window, rows, errors(rows))
    first = most_promising(*args, rows[:0], np.random.default_rng(2), screened=3_000)
    second = most_promising(*args, first[None], np.random.default_rng(2), screened=3_000)
    assert (
        first.tolist() == most_promising(*args, rows[:0], np.random.default_rng(2), screened=3_000).tolist()
    )
    assert first.tolist() != second.tolist()


def test_expected_improvement_is_its_closed_form():
    draws = np.random.default_rng(3).normal(0.4, 1.3, 400_000)
    assert improvement(np.array([0.4]), np.array([1.3]))[0] == pytest.approx(
        np.maximum(draws, 0).mean(), abs=0.01
    )
    assert improvement(np.array([2.0, -2.0]), np.array([0.0, 0.0])) == pytest.approx([2.0, 0.0])


def test_a_stopped_run_counts_as_what_complete_ones_won_from_there():
    complete = [(50.0, {1: 80.0, 2: 60.0}), (54.0, {1: 82.0, 2: 62.0}), (52.0, {})]
    found = expected_ends(complete, [{1: 90.0}, {1: 90.0, 2: 70.0}, {}, {3: 40.0}])
    assert found[:5] == pytest.approx([50, 54, 52, 90 - 29, 70 - 9])
    assert np.isnan(found[5:]).all()


def test_stopped_runs_are_learnt_from(monkeypatch):
    told = []
    monkeypatch.setattr(
        "nas.search.suggest.most_promising",
        lambda feasible, rows, errors, pending, rng: told.append((rows, errors)) or rows[0],
    )
    store = Store(optuna.storages.InMemoryStorage())
    suggester = Suggester(store, "round1", feasible(), "predictor", seed=4)
    for i in range(STARTUP + 1):
        trial = suggester.propose(suggester.claim()).trial_id
        store.storage.set_trial_intermediate_value(trial, 1, 80.0 + i)
        if i == 3:
            store.finish(trial, "pruned")
        else:
            store.storage.set_trial_intermediate_value(trial, 2, 50.0 + i)
            store.finish(trial, "complete", l_error_mm=50.0 + i)
    suggester.propose(suggester.claim())
    rows, errors = told[-1]
    assert len(rows) == STARTUP + 1 and sorted(errors) == pytest.approx(np.arange(50, 51 + STARTUP))


def test_it_begins_uniformly_and_then_proposes_new_architectures_inside_the_window(monkeypatch):
    monkeypatch.setattr(most_promising, "__defaults__", (2_000,))
    window, store = feasible(), Store(optuna.storages.InMemoryStorage())
    suggester = Suggester(store, "round1", window, "predictor", seed=4)
    found = []
    for _ in range(STARTUP + 4):
        proposal = suggester.propose(suggester.claim())
        store.finish(proposal.trial_id, "complete", l_error_mm=expected_mm(proposal.arch))
        found.append(proposal)
    assert [p.by for p in found] == ["uniform start"] * STARTUP + ["predictor"] * 4
    assert len({p.arch.id for p in found}) == len(found) and all(p.arch in window for p in found)
    late, early = found[STARTUP:], found[:STARTUP]
    assert np.mean([expected_mm(p.arch) for p in late]) < np.mean([expected_mm(p.arch) for p in early])


def test_a_front_is_not_its_kind():
    config = SearchConfig("1.2GFLOPs", strategy="predictor", objectives="l_error,params")
    with pytest.raises(ValueError, match="seeks one architecture and --objectives"):
        resolve(config, gpus=0)
