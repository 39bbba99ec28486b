"""The order of a search: control, proposals, perhaps a second round, the race, perhaps a longer one."""

from dataclasses import replace

import numpy as np
import pytest
from nas_tools import driver, plan, proposals, search, small_plan

from nas.record.run_dir import RunDir
from nas.record.select import select
from nas.record.store import REPEATS, Store
from nas.search.driver import Driver
from nas.trials.inprocess import run_all
from nas.trials.on_ray import Asha
from nas.trials.standin import Standin
from nas.trials.trial import DONE, Ending, Job, run


def test_a_search_trains_the_control_with_its_seeds_then_proposals_then_races(tmp_path):
    made = small_plan(trials=8, finalists=2)
    records = search(tmp_path, made)
    control = [r for r in records if r.role == "control"]
    assert [r.seed for r in control] == [0, 1, 2] and {r.arch for r in control} == {made.control}
    assert len(proposals(records)) == 8 and all(r.arch in made.feasible for r in proposals(records))
    repeats = [r for r in records if r.role == "repeat"]
    first = sorted(proposals(records), key=lambda r: r.l_error_mm)
    assert {r.arch for r in repeats} <= {r.arch for r in first[:3]}
    assert len([r for r in repeats if r.arch == first[0].arch]) <= 3
    assert {r.study for r in control + repeats} == {REPEATS}


def test_the_best_is_named_with_as_many_re_runs_as_the_control_has_seeds(tmp_path):
    found = select(search(tmp_path, small_plan(trials=8, repeats=4), Standin(noise_mm=0.01)))
    leader = min((e for e in found.rows if e.rerun and e.role != "control"), key=lambda e: e.mean)
    assert len(leader.values) == len(found.control.values) == 4


def test_a_longer_race_is_run_among_the_tied_and_the_control(tmp_path):
    made = small_plan(trials=6, race_epochs=2.0, finalists=2)
    records = search(tmp_path, made)
    longer = [r for r in records if r.fidelity == made.race_proxy.id]
    assert {r.role for r in longer} == {"control", "repeat"}
    assert len([r for r in longer if r.role == "control"]) == 3
    assert all(r.curve[-1][0] == 2 * made.proxy.epochs for r in longer)
    assert select(records).control.fidelity == made.race_proxy.id


def test_a_search_ends_and_resumes_after_the_race_gave_the_control_more_runs_than_its_seeds(tmp_path):
    made = small_plan(trials=6, finalists=3, race_epochs=2.0)
    records = search(tmp_path, made, Standin(noise_mm=0.3))
    control = [r for r in records if r.role == "control" and r.fidelity == made.proxy.id]
    assert len(control) > made.repeats, "the case that is meant"
    assert search(tmp_path, made, Standin(noise_mm=0.3)) == records, "over"


def test_the_second_round_draws_from_what_the_first_rounds_best_leave(tmp_path):
    made = small_plan(trials=60, rounds=2)
    records = search(tmp_path, made)
    first = [r for r in records if r.round == 1 and r.role == "proposal"]
    second = [r for r in records if r.round == 2 and r.role == "proposal"]
    assert len(first) == len(second) == 30
    narrowed = made.narrow(first)
    assert narrowed.count < made.feasible.count
    assert all(r.arch in narrowed and r.feasible_id == narrowed.id for r in second)
    assert np.mean([r.l_error_mm for r in second]) < np.mean([r.l_error_mm for r in first])


def test_a_second_round_resumed_continues_with_the_same_set(tmp_path):
    made = small_plan(trials=20, rounds=2, strategy="tpe")
    whole = search(tmp_path / "whole", made)
    one = driver(tmp_path / "run", made)
    objective, told = Standin(), 0
    while told < 18:
        job = one.next()
        one.ended(job, run(job, objective, lambda epoch: True))
        told += 1
    again = search(tmp_path / "run", made)
    assert [r.arch for r in proposals(again)] == [r.arch for r in proposals(whole)]


def test_a_second_round_makes_up_the_trials_that_were_asked_for_on_resume(tmp_path):
    assert len(proposals(search(tmp_path / "one", small_plan(trials=1, rounds=2)))) == 1
    grown = proposals(search(tmp_path / "one", small_plan(trials=6, rounds=2)))
    assert [r.round for r in grown] == [1, 1, 1, 2, 2, 2]
    longer = proposals(search(tmp_path / "one", small_plan(trials=11, rounds=2)))
    assert [r.round for r in longer] == [1, 1, 1] + 8 * [2]


def test_a_first_round_that_max_hours_cut_short_goes_on_before_the_second(tmp_path):
    made = small_plan(trials=20, rounds=2, max_hours=0.005)  # 18 seconds
    clock = [0.0]
    folder = RunDir(tmp_path)
    folder.write({"store": {}, "baseline_l_error_mm": 154.0})
    one = Driver(made, Store.open(tmp_path, write=True), folder.checkpoint, clock=lambda: clock[0])
    while (job := one.next()) != DONE:
        clock[0] += 2.0
        one.ended(job, Ending("complete", "", ((job.intervals, 100.0),), {}, 2.0))
    cut = proposals(one.store.records())
    assert one.stopped_early and 0 < len(cut) < 10 and {r.round for r in cut} == {1}
    rounds = [r.round for r in proposals(search(tmp_path, small_plan(trials=20, rounds=2)))]
    assert rounds == 10 * [1] + 10 * [2]


def test_max_hours_bounds_runs_that_take_no_time_at_all(tmp_path):
    made = small_plan(trials=4, max_hours=1.0)
    one = driver(tmp_path, made)
    while (job := one.next()) != DONE:
        one.ended(job, Ending("complete", "", ((job.intervals, 100.0),), {}, 0.0))
    assert len(proposals(one.store.records())) == 4 and not one.stopped_early


def test_known_architectures_come_first(tmp_path):
    made = plan(trials=3, seed_arch=("jmlr-searched", "resnet34"), finalists=1)
    found = proposals(search(tmp_path, made))
    assert [r.name for r in found[:2]] == ["jmlr-searched", "resnet34"]
    assert found[1].seed == 3, "the control has seeds 0 to 2 of this architecture"


def test_no_architecture_is_trained_twice_with_a_seed_at_a_fidelity(tmp_path):
    tiny = {"max_depth": 2, "min_width": 64, "max_width": 96, "width_step": 32}
    made = plan("1.3GFLOPs", space=tiny, tolerance=0.1, trials=60)
    records = search(tmp_path, made)
    assert made.feasible.count == 34 < len(proposals(records))
    assert len({r.key for r in records}) == len(records)


def test_max_hours_stops_proposing_in_time_to_repeat_control_and_best(tmp_path):
    made = small_plan(trials=100, max_hours=0.01)  # 36 seconds
    clock = [0.0]
    folder = RunDir(tmp_path)
    folder.write({"store": {}})
    one = Driver(made, Store.open(tmp_path, write=True), folder.checkpoint, clock=lambda: clock[0])
    while (job := one.next()) != DONE:
        assert isinstance(job, Job)
        clock[0] += 2.0
        value = 100.0 - job.number
        one.ended(job, Ending("complete", "", ((job.intervals, value),), {}, 2.0))
    assert one.stopped_early and clock[0] <= 36.0
    records = one.store.records()
    assert 8 <= len(proposals(records)) < 18
    found = select(records)
    assert len(found.control.values) == 3
    assert max(len(e.values) for e in found.rows if e.rerun and e.role != "control") == 3


@pytest.mark.parametrize("seconds", [36.0, 43.2, 50.4, 57.6, 80.0])
def test_with_max_hours_no_longer_race_begins_that_cannot_decide(tmp_path, seconds):
    made = small_plan(trials=100, max_hours=seconds / 3600, race_epochs=2.0)
    clock, folder = [0.0], RunDir(tmp_path)
    folder.write({"store": {}})
    one = Driver(made, Store.open(tmp_path, write=True), folder.checkpoint, clock=lambda: clock[0])
    while (job := one.next()) != DONE:
        took = 2.0 * job.proxy.epochs / made.proxy.epochs
        clock[0] += took
        one.ended(job, Ending("complete", "", ((job.intervals, 50.0 + job.seed % 3),), {}, took))
    records = one.store.records()
    long = [r for r in records if r.fidelity == made.race_proxy.id]
    assert not long or {r.role for r in long} == {"control", "repeat"}
    assert clock[0] <= seconds + 4.0


def test_with_max_hours_nothing_is_proposed_before_a_run_has_been_timed_beyond_the_slots(tmp_path):
    one = driver(tmp_path, small_plan(trials=3, max_hours=1e-9))
    while (job := one.next()) != DONE:
        one.ended(job, Ending("complete", "", ((6, 100.0),), {}, 1.0))
    assert proposals(one.store.records()) == [] and one.stopped_early


def test_rungs_halve_proposals_and_let_controls_and_repeats_pass(tmp_path):
    made = small_plan(trials=30, scheduler="asha")
    records = search(tmp_path, made, rungs=Asha(6, made.proxy.id))
    pruned = [r for r in records if r.state == "pruned"]
    assert len(pruned) > 8 and {r.role for r in pruned} == {"proposal"}
    assert all(r.l_error_mm is None and len(r.curve) in (2, 4) for r in pruned)
    assert all(len(r.curve) == 6 for r in records if r.state == "complete")


def test_rungs_refilled_from_curves_decide_as_those_that_saw_the_runs(tmp_path):
    made = small_plan(trials=20, scheduler="asha")
    rungs = Asha(6, made.proxy.id)
    records = search(tmp_path, made, rungs=rungs)
    again = Asha(6, made.proxy.id, records)
    seen = [[sorted(recorded.values()) for _, recorded in b._rungs] for b in rungs._asha._brackets]
    assert [[sorted(r.values()) for _, r in b._rungs] for b in again._asha._brackets] == seen


def test_a_validation_that_is_missing_shifts_no_other_to_an_earlier_rung(tmp_path):
    made = small_plan(trials=20, scheduler="asha")
    records = search(tmp_path, made, rungs=Asha(6, made.proxy.id))
    whole = next(r for r in records if r.role == "proposal" and len(r.curve) == 6)
    broken = [replace(r, curve=r.curve[1:]) if r is whole else r for r in records]
    rungs = [
        [dict(recorded) for _, recorded in bracket._rungs]
        for some in (records, broken)
        for bracket in Asha(6, made.proxy.id, some)._asha._brackets
    ]
    assert rungs[0] == rungs[1]


def test_a_pruned_curve_teaches_a_sampler_no_value(tmp_path):
    made = small_plan(trials=30, scheduler="asha", strategy="tpe")
    one = driver(tmp_path, made)
    run_all(one, Standin(), Asha(6, made.proxy.id))
    study = one.store.studies()[made.study(1)]
    trials = one.store.storage.get_all_trials(study)
    assert [t for t in trials if t.state.name == "PRUNED"]
    assert all(t.values is None for t in trials if t.state.name == "PRUNED")


@pytest.mark.parametrize("epochs", [3, 6, 10, 40, 100])
def test_two_rungs_fit_a_run_of_any_length(epochs):
    from nas.trials.rungs import REDUCTION, first_rung

    assert 1 <= first_rung(epochs) * REDUCTION < epochs
