"""The front of two objectives: who is on it, who is tied, what it covers."""

import math

import numpy as np
import pytest

from nas.record.estimates import Estimate, Noise
from nas.record.front import alive, front_of, hypervolume, nondominated, table
from space import ArchSpec


def row(width, values, role="proposal", rerun=True):
    arch = ArchSpec((1, 1, 1, 1), (8, 8, 8, width))
    return Estimate(arch, "", 0, "mini", role, tuple(values), rerun)


def cost(arch):
    return float(arch.widths[3])


def test_the_nondominated_are_those_of_a_quadratic_search():
    points = [tuple(p) for p in np.random.default_rng(0).integers(0, 20, (200, 2)).tolist()]
    found = {points[i] for i in nondominated(points)}
    beaten = {p for p in points for q in points if q != p and q[0] <= p[0] and q[1] <= p[1]}
    assert found == set(points) - beaten


def test_the_hypervolume_of_three_steps_is_its_area():
    points = [(1, 4), (2, 2), (4, 1), (3, 3), (9, 0)]  # the fourth lies behind, the last outside
    assert hypervolume(points, (5, 5)) == 1 * 1 + 2 * 3 + 1 * 4


def test_the_hypervolume_is_optunas():
    wfg = pytest.importorskip("optuna._hypervolume.wfg")
    points = np.random.default_rng(1).random((50, 2))
    reference = np.array([0.9, 0.95])
    theirs = wfg.compute_hypervolume(points[(points < reference).all(1)], reference)
    assert hypervolume(points.tolist(), tuple(reference)) == pytest.approx(theirs)


def test_a_step_beyond_the_noise_is_certain_and_one_within_it_is_a_tie():
    rows = [row(8, (20.0, 20.2, 19.8)), row(16, (19.9, 20.1, 19.8)), row(24, (10.0, 10.2, 9.8))]
    front = front_of(rows, cost, "ms")
    assert [m.estimate for m in front.members] == rows
    assert [m.tied for m in front.members] == [(), (rows[0].arch.id,), ()]
    assert f"{rows[1].arch.id} with {rows[0].arch.id}" in front.verdict
    assert rows[2].arch.id not in front.verdict.split("tied")[1]


def test_what_a_cheaper_one_beats_is_no_member_and_may_still_be_told_from_none():
    rows = [row(8, (20.0, 20.2)), row(16, (20.3, 20.1)), row(24, (30.0, 30.2), "control")]
    front = front_of(rows, cost, "ms")
    assert [m.estimate for m in front.members] == rows[:1]
    assert front.also == (rows[1],)
    assert "1 more behind it cannot be told from it" in front.verdict


def test_a_control_on_the_front_is_named():
    rows = [row(8, (20.0, 20.2), "control"), row(16, (10.3, 10.1))]
    assert front_of(rows, cost, "ms").verdict.endswith("the control is on it")


def test_only_what_was_run_again_is_on_the_front():
    rows = [row(8, (20.0, 20.2)), row(16, (1.0,), rerun=False)]
    assert [m.estimate for m in front_of(rows, cost, "ms").members] == rows[:1]
    assert "not known yet" in front_of(rows[1:], cost, "ms").verdict


def test_the_truly_best_at_each_cost_is_kept_in_nineteen_of_twenty_races():
    rng, lost = np.random.default_rng(2), 0
    for _ in range(400):
        noise = Noise(1.0, 12)
        rows = [row(8 * (i + 1), (rng.normal() + 10.0,) * 1) for i in range(5)]  # all alike: all are best
        scale = math.sqrt(rng.chisquare(12) / 12)
        kept = alive(rows, cost, Noise(noise.sd_mm * scale, 12))
        lost += len(kept) < len(rows)
    assert lost / 400 < 0.07


def test_the_table_has_a_line_a_member_cheapest_first():
    rows = [row(16, (10.3, 10.1)), row(8, (20.0, 20.2), "control")]
    lines = table(front_of(rows, cost, "ms")).splitlines()
    assert len(lines) == 3 and "ms" in lines[0]
    assert "(control)" in lines[1] and "20.10 [" in lines[1] and "10.20 [" in lines[2]


def test_no_rows_make_no_front():
    assert front_of([], cost, "ms").verdict == "no proposal has completed yet, so there is no front"
