"""Repeats: the control first, then only where they can still change the answer."""

import numpy as np
from test_record_select import ARCHS, RESNET, record, runs

from nas.search.race import control_repeats, finalists, next_repeats, still_tied


def ask(records, contenders, seeds=3):
    return next_repeats(records, "mini", contenders, seeds=seeds, seed=0)


def test_the_control_gets_every_seed_that_it_lacks():
    wanted = control_repeats([], "mini", RESNET, "resnet34", seeds=3, seed=5)
    assert [(w.role, w.arch, w.seed) for w in wanted] == [("control", RESNET, s) for s in (5, 6, 7)]
    some = [
        record(RESNET, 95.0, role="control", seed=5),
        record(RESNET, 0, role="control", seed=6, state="running"),
    ]
    assert [w.seed for w in control_repeats(some, "mini", RESNET, "resnet34", seeds=3, seed=5)] == [7]


def test_a_control_that_the_race_ran_more_often_lacks_nothing():
    records = runs(RESNET, "control", [95.0, 95.1, 94.9, 95.2, 95.0])
    assert control_repeats(records, "mini", RESNET, "resnet34", seeds=3, seed=0) == []
    known = runs(RESNET, "known", [95.0, 95.1, 94.9, 95.2])
    assert len(control_repeats(known, "mini", RESNET, "resnet34", seeds=3, seed=0)) == 1, "one of its own"


def test_a_failed_control_is_replaced_by_another_seed_and_given_up_after_two():
    failed = [record(RESNET, 0, role="control", seed=0, state="failed")]
    assert [w.seed for w in control_repeats(failed, "mini", RESNET, "", seeds=3, seed=0)] == [1, 2, 3]
    failed.append(record(RESNET, 0, role="control", seed=1, state="failed"))
    assert control_repeats(failed, "mini", RESNET, "", seeds=3, seed=0) == []


def test_a_race_goes_on_without_a_control_that_keeps_failing():
    records = [*runs(RESNET, "control", [90.2]), record(ARCHS[0], 90.0), record(ARCHS[1], 90.0)]
    records += [*runs(ARCHS[0], "repeat", [90.1, 90.2]), *runs(ARCHS[1], "repeat", [90.0, 90.2])]
    asked = {"seeds": 4, "seed": 0, "slots": 4, "control": RESNET}
    assert RESNET in {w.arch for w in next_repeats(records, "mini", ARCHS[:2], **asked)}
    records += [record(RESNET, 0, role="control", seed=s, state="failed") for s in (7, 8)]
    wanted = next_repeats(records, "mini", ARCHS[:2], **asked)
    assert wanted and RESNET not in {w.arch for w in wanted}


def test_finalists_are_the_best_first_runs_without_the_control_and_without_pruned_ones():
    records = [record(a, 100.0 - i) for i, a in enumerate(ARCHS[:5])]
    records += [record(RESNET, 1.0), record(ARCHS[6], 2.0, state="pruned")]
    assert finalists(records, "mini", RESNET, 3) == [ARCHS[4], ARCHS[3], ARCHS[2]]


def test_each_round_gives_one_seed_to_those_with_the_fewest():
    records = [record(a, 90.0) for a in ARCHS[:2]] + runs(ARCHS[0], "repeat", [90.0])
    assert [(w.arch, w.seed) for w in ask(records, ARCHS[:2])] == [(ARCHS[1], 1)]


def test_no_more_is_asked_while_a_round_runs_or_when_all_have_their_seeds():
    running = [record(ARCHS[0], 0, role="repeat", state="running")]
    assert ask(running, ARCHS[:2]) == []
    done = [r for a in ARCHS[:2] for r in runs(a, "repeat", [90.0, 90.1, 90.2])]
    assert ask(done, ARCHS[:2]) == []


def test_repeats_are_spent_only_on_those_still_tied():
    records = runs(RESNET, "control", [95.0, 95.1, 94.9])
    records += runs(ARCHS[0], "repeat", [90.0, 90.1]) + runs(ARCHS[1], "repeat", [96.0, 96.1])
    records += runs(ARCHS[2], "repeat", [90.1, 90.0])
    wanted = next_repeats(records, "mini", ARCHS[:3], seeds=3, seed=0, slots=2)
    assert [w.arch for w in wanted] == [ARCHS[0], ARCHS[2]]
    assert [w.arch for w in ask(records, ARCHS[:3])] == [ARCHS[0]], "one at a time where there is one slot"
    assert still_tied(records, "mini", ARCHS[:3]) == [ARCHS[0], ARCHS[2]]


def test_no_seed_is_used_twice_for_an_architecture_at_a_fidelity():
    records = [record(ARCHS[0], 90.0, seed=0), record(ARCHS[0], 91.0, seed=1)]
    assert ask(records, ARCHS[:1])[0].seed == 2


def test_an_architecture_whose_repeats_fail_is_left_alone():
    failed = [record(ARCHS[0], 0, role="repeat", seed=s, state="failed") for s in (1, 2)]
    assert ask(failed, ARCHS[:1]) == []


def test_idle_slots_are_filled_with_further_seeds():
    records = [record(a, 90.0) for a in ARCHS[:2]]
    wanted = next_repeats(records, "mini", ARCHS[:2], seeds=3, seed=0, slots=5)
    assert [(w.arch, w.seed) for w in wanted] == [(a, s) for s in (1, 2) for a in ARCHS[:2]]


def race_to_the_end(truth, seeds, sd=0.0, rng=None):
    """Every run that the race asks for, one at a time: how many each of `truth` (control last) ends with."""
    *archs, control = truth
    draw = (lambda mean: mean + rng.normal(0, sd)) if rng else (lambda mean: mean)
    records = [record(a, truth[a], number=i) for i, a in enumerate(archs)]
    records += runs(control, "control", [draw(truth[control]) for _ in range(seeds)])
    while wanted := next_repeats(
        records, "mini", archs, seeds=seeds, seed=0, control=control, control_name="resnet34"
    ):
        assert len(wanted) == 1 or all(w.role == "repeat" for w in wanted), "after the first, one by one"
        records += [record(w.arch, draw(truth[w.arch]), role=w.role, seed=w.seed) for w in wanted]
    keys = [r.key for r in records if r.role != "proposal"]
    assert len(keys) == len(set(keys))
    return {a: sum(r.arch == a and r.role != "proposal" for r in records) for a in truth}


def test_the_leader_and_the_control_get_the_runs_that_tell_them_apart():
    truth = {ARCHS[0]: 50.0, **dict.fromkeys(ARCHS[1:8], 50.6), RESNET: 50.5}
    counts = race_to_the_end(truth, 3, sd=0.6, rng=np.random.default_rng(0))
    assert sum(counts.values()) == 3 * 8 + 3, "no more runs than three for each"
    assert counts[RESNET] + max(counts[a] for a in ARCHS[:8]) >= 10 and min(counts.values()) >= 1


def test_a_race_with_nobody_left_to_tell_the_leader_from_ends_early():
    counts = race_to_the_end({ARCHS[0]: 40.0, ARCHS[1]: 60.0, ARCHS[2]: 61.0, RESNET: 55.0}, 3, 0.1,
                             np.random.default_rng(1))  # fmt: skip
    assert counts[ARCHS[0]] == 3 and counts[ARCHS[1]] == counts[ARCHS[2]] == 1 and counts[RESNET] == 3


def test_no_round_begins_while_a_run_of_the_control_is_under_way():
    records = runs(RESNET, "control", [95.0, 95.1, 94.9]) + runs(ARCHS[0], "repeat", [94.9])
    records.append(record(RESNET, 0, role="control", seed=9, state="running"))
    assert next_repeats(records, "mini", ARCHS[:1], seeds=5, seed=0, control=RESNET) == []


def test_the_control_is_run_with_the_seeds_that_others_were_run_again_with():
    """Its run with the first runs' seed pairs with nobody's, and is not counted as one that does."""
    records = [record(a, 50.0) for a in ARCHS[:2]]
    records += [record(RESNET, 50.4 + s / 10, role="control", seed=s) for s in range(3)]
    records += [record(a, 50.2 + s / 10, role="repeat", seed=s) for a in ARCHS[:2] for s in (1, 2)]
    wanted = next_repeats(records, "mini", ARCHS[:2], seeds=3, seed=0, control=RESNET, slots=3)
    assert [(w.arch, w.seed) for w in wanted] == [(a, 3) for a in ARCHS[:2]], "it has two pairs, as they have"
    records += [record(ARCHS[0], 50.1, role="repeat", seed=3)]
    wanted = next_repeats(records, "mini", ARCHS[:2], seeds=4, seed=0, control=RESNET, slots=2)
    assert [(w.role, w.seed) for w in wanted if w.role == "control"] == [("control", 3)]
    known = [record(a, 50.0, role="known", seed=s) for a in ARCHS[:2] for s in range(3)]
    known += [record(RESNET, 50.4 + s / 10, role="control", seed=s) for s in range(3)]
    known += [record(a, 50.2 + s / 10, role="repeat", seed=s) for a in ARCHS[:2] for s in (3, 4)]
    wanted = next_repeats(known, "mini", ARCHS[:2], seeds=3, seed=0, control=RESNET, slots=2)
    assert [(w.role, w.seed) for w in wanted if w.role == "control"] == [("control", s) for s in (3, 4)]
