"""What a report may put side by side: errors of one proxy, a second round's ranges, times."""

from dataclasses import replace

import pytest
from reports_simulated import INFO, SPACE, records, run

from nas.record.narrow import ENOUGH_TO_NARROW, narrowed
from nas.record.select import select
from reports.durations import duration
from reports.figures.learning import curve_limits
from reports.figures.population import limits
from reports.run import Run
from reports.sections import answer, population, where
from reports.standing import at_own_proxy
from reports.tables import show
from space import Budget


def raced(n=24):
    """A search whose race ran twice as long, at errors 20 mm lower."""
    made = records(n)
    race = [
        replace(r, fidelity="long-1a2b", l_error_mm=r.l_error_mm - 20, number=r.number + 100)
        for r in made
        if r.role != "proposal"
    ]
    return Run(run(2).path, INFO, (*made, *race))


def test_marks_beside_the_proposals_are_of_their_own_proxy():
    simulated = raced()
    final = select(simulated.records)
    own = at_own_proxy(simulated, final)
    assert final.best.fidelity == "long-1a2b" and own.best.fidelity == own.control.fidelity == "mini-1a2b"
    assert own.best.arch == final.best.arch
    assert own.control.mean - final.control.mean == pytest.approx(20)
    (row,) = population.section(simulated, own).table("population").rows
    errors = [r.l_error_mm for r in simulated.complete]
    assert row["below_control"] == 100 * sum(e < own.control.mean for e in errors) / len(errors)


def test_after_a_race_the_ranking_before_it_is_shown_too():
    simulated = raced()
    section = answer.section(simulated, select(simulated.records))
    assert len(section.table("ranking").rows) == 4  # the control and three that raced
    assert len(section.table("ranking_before_the_race").rows) > 4
    plain = run(24)
    names = [table.name for table in answer.section(plain, select(plain.records)).tables]
    assert "ranking_before_the_race" not in names


def test_the_ranges_shown_are_what_a_second_round_draws_from():
    simulated = run(30)
    section = where.section(simulated, select(simulated.records))
    budget = Budget(**INFO["budget"])
    drawn = narrowed(SPACE, budget, simulated.complete)
    assert section.facts["architectures"].value == drawn.count
    flags = section.facts["flags"].value.split()
    for flag, values in zip(flags[::2], flags[1::2], strict=True):
        bound = getattr(drawn.space, flag[2:].replace("-", "_"))
        told = tuple(int(v) for v in values.split(","))
        assert (told if len(told) > 1 else told[0]) == bound


def test_too_few_trials_to_narrow_show_no_ranges_of_a_second_round():
    simulated = run(ENOUGH_TO_NARROW - 1)
    assert narrowed(SPACE, Budget(**INFO["budget"]), simulated.complete) is None
    assert "flags" not in where.section(simulated, select(simulated.records)).facts


def test_no_mark_lies_outside_an_axis_and_a_far_tail_does():
    errors = [60.0, 61.0, 62.0, 63.0, 300.0]
    low, high = limits(errors)
    assert low < 60 and 63 < high < 100
    low, high = limits(errors, [40.0, 120.0])
    assert low < 40 and 120 < high < 300


def test_curves_of_few_points_are_shown_whole_and_the_steep_start_of_many_is_not():
    few = [replace(r, curve=((5.0, 100.0 + i), (10.0, 60.0))) for i, r in enumerate(records(4))]
    assert curve_limits(few)[1] > 103
    falls = tuple((float(e), 150 * 0.8**e) for e in range(1, 41))
    assert curve_limits([replace(few[0], curve=falls)])[1] < 150 * 0.8


@pytest.mark.parametrize(
    ("hours", "words"),
    [(0.0, "0.0 s"), (0.01, "36.0 s"), (0.5, "30.0 min"), (2.0, "2.0 h"), (30, "30.0 h")],
)
def test_times_are_told_in_the_unit_that_fits(hours, words):
    fact = duration(hours)
    assert f"{show(fact.value, fact.digits)} {fact.unit}" == words


def test_an_interrupted_search_is_told_to_go_on_and_a_running_one_is_not():
    stopped = run(8, running=2)
    facts = answer.section(stopped, select(stopped.records)).facts
    assert facts["interrupted"].value == "yes" and "--resume" in facts["next_1"].value
    going = replace(stopped, active=True)
    facts = answer.section(going, select(going.records)).facts
    assert facts["interrupted"].value == "no" and "nas.status" in facts["next_1"].value
