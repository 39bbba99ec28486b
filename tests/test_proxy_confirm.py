"""Candidates against the control: gains with intervals that hold for all of them at once."""

from dataclasses import replace

import numpy as np
import pytest

from proxy_tasks.bench.confirm import (
    FIRST_SEED,
    SCORE,
    ConfirmPlan,
    gains,
    paired_gains,
    pairing,
    runs_needed,
)
from proxy_tasks.bench.plan import SMALL, TABLES
from space import ArchSpec

CONTROL = ArchSpec((3, 4, 6, 3), (24, 48, 104, 200))
BETTER, WORSE = ArchSpec((8, 5, 1, 4), (24, 24, 112, 256)), ArchSpec((2, 2, 3, 4), (8, 64, 72, 344))
PLAN = ConfirmPlan(SMALL, CONTROL, (BETTER, WORSE), runs=10)


def rows_of(shifts, seed=0):
    rng = np.random.default_rng(seed)
    return [
        {"key": entry.key, SCORE: 54.0 + shifts[entry.arch.id] + rng.normal(0, 0.3)}
        for entry in PLAN.entries()
    ]


def test_the_runs_are_fresh_and_the_control_has_as_many_as_each():
    entries = list(PLAN.entries())
    assert {e.seed for e in entries} == set(range(FIRST_SEED, FIRST_SEED + 10))
    table = {e.key for e in TABLES["cpu-1.2G"].entries()}
    assert not table & {e.key for e in entries}
    assert [e.arch for e in entries[:3]] == [CONTROL, BETTER, WORSE]


def test_a_gain_is_positive_where_the_candidate_errs_less():
    better, worse = PLAN.text(rows_of({CONTROL.id: 0.0, BETTER.id: -1.0, WORSE.id: 1.0})).splitlines()[2:]
    assert BETTER.id in better and "gain +" in better and "(+" in better
    assert WORSE.id in worse and "gain -" in worse and "to -" in worse


def test_the_intervals_hold_together_as_often_as_they_say():
    held, rng = 0, np.random.default_rng(1)
    for _ in range(300):
        control = list(rng.normal(0, 1, 8))
        scores = {BETTER.id: list(rng.normal(-0.5, 1, 8)), WORSE.id: list(rng.normal(0.7, 1, 8))}
        found = gains(control, scores, (BETTER, WORSE))
        held += all(g.low_mm <= true <= g.high_mm for g, true in zip(found, (0.5, -0.7), strict=True))
    assert 0.90 < held / 300 < 0.99  # 0.95, five standard errors of 300 either way


def test_pairs_of_one_seed_take_out_what_both_runs_share():
    shared = np.random.default_rng(3).normal(0, 5, 10)
    rows = rows_of({CONTROL.id: 0.0, BETTER.id: -1.0, WORSE.id: 1.0})
    for row, entry in zip(rows, PLAN.entries(), strict=True):
        row[SCORE] += shared[entry.seed - FIRST_SEED]
    alone, paired = PLAN.gains(rows), replace(PLAN, paired=True).gains(rows)
    assert [g.gain_mm for g in paired] == pytest.approx([g.gain_mm for g in alone])
    assert alone[0].low_mm < 0 < paired[0].low_mm and paired[1].high_mm < 0 < alone[1].high_mm
    last = next(row for row in rows if row["key"] == list(PLAN.entries())[-3].key)  # the control's last seed
    last[SCORE] = None
    assert [g.runs for g in replace(PLAN, paired=True).gains(rows)] == [9, 9], "a pair has both"


def test_paired_intervals_hold_together_as_often_as_they_say():
    held, rng = 0, np.random.default_rng(1)
    for _ in range(400):
        shared = rng.normal(0, 2, 6)
        control = list(shared + rng.normal(0, 1, 6))
        scores = {
            BETTER.id: list(shared + rng.normal(-0.5, 1, 6)),
            WORSE.id: list(shared + rng.normal(0.7, 1, 6)),
        }
        found = paired_gains(control, scores, (BETTER, WORSE))
        held += all(g.low_mm <= true <= g.high_mm for g, true in zip(found, (0.5, -0.7), strict=True))
    assert 0.91 < held / 400 < 0.995  # Bonferroni's: 0.95 or somewhat more


def test_too_few_runs_are_said_so():
    assert "too few" in PLAN.text([])
    assert "too few" in PLAN.text(rows_of({CONTROL.id: 0.0, BETTER.id: 0.0, WORSE.id: 0.0})[:4])


@pytest.mark.parametrize(("sd", "runs"), [(0.64, 26), (0.2, 8), (1.0, 63)])
def test_runs_for_half_a_millimetre(sd, runs):
    assert runs_needed(sd) == runs


def test_runs_on_different_people_are_not_compared():
    rows = rows_of({CONTROL.id: 0.0, BETTER.id: 0.0, WORSE.id: 0.0})
    for n, row in enumerate(rows):
        row["test_data"] = "these" if n < 15 else "those"
    with pytest.raises(ValueError, match="different test_data"):
        PLAN.gains(rows)


def test_runs_that_diverged_are_counted_aloud():
    rows = rows_of({CONTROL.id: 0.0, BETTER.id: 0.0, WORSE.id: 0.0})
    rows[0][SCORE] = float("nan")
    rows[1] |= {SCORE: None, "status": "diverged"}
    text = PLAN.text(rows)
    assert text.startswith("1 of its runs diverged") and "nan" not in text
    assert replace(PLAN, candidates=()).gains(rows) == []


def test_fewer_runs_than_were_written_down_are_told_as_unfinished():
    rows = rows_of({CONTROL.id: 0.0, BETTER.id: -1.0, WORSE.id: 1.0})
    assert "unfinished" not in PLAN.text(rows) and not PLAN.is_unfinished(rows)
    assert PLAN.text(rows[:-1]).startswith(
        "unfinished: 9 of 10 runs of each have ended, and they decide nothing"
    )
    assert "4 of 10 pairs" in replace(PLAN, paired=True).text(rows[:14])
    assert "unfinished" not in replace(PLAN, fixed=False).text(rows[:-1]), "as many as there was time for"


def test_the_control_beside_pairs_is_that_of_the_pairs():
    rows = rows_of({CONTROL.id: 0.0, BETTER.id: -1.0, WORSE.id: 1.0})
    rows[-3][SCORE] += 100  # the control's last run, whose candidates have not ended
    control = next(
        line for line in replace(PLAN, paired=True).text(rows[:-2]).splitlines() if "control  " in line
    )
    assert " 9 runs 5" in control


def test_what_a_pair_is_worth_follows_from_what_seeds_share():
    rng = np.random.default_rng(5)
    shared = rng.normal(0, 0.6, 4000)
    control, other = (list(54 + shared + rng.normal(0, 0.8, 4000)) for _ in range(2))
    said = pairing(control, other)
    assert "a correlation of 0.3" in said and "has 0.6" in said, said  # 0.36 and 0.64 of a variance of 1
    assert "(0.5 mm: 6" in said and "runs of each, 4" in said, said  # 63 by the means, two thirds by pairs


def test_one_candidate_alone_has_the_two_sample_interval():
    control, other = [54.0, 55.0, 53.5, 54.5], [53.0, 53.8, 53.1]
    (found,) = gains(control, {BETTER.id: other}, (BETTER,))
    pooled = (np.var(control) * 4 + np.var(other) * 3) / 5
    half = 2.570582 * np.sqrt(pooled * (1 / 4 + 1 / 3))  # Student's, 5 degrees of freedom
    assert (found.low_mm, found.high_mm) == pytest.approx(
        (found.gain_mm - half, found.gain_mm + half), rel=1e-5
    )
