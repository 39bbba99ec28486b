"""The answer of a search: who is best, who is tied, and that it says so at the stated rate."""

from dataclasses import replace

import numpy as np
import pytest

from nas.record.answer import explain
from nas.record.estimates import pooled_noise, t_quantile
from nas.record.select import final_fidelity, select
from nas.record.store import TrialRecord
from space import REFERENCES, ArchSpec

RESNET = REFERENCES["resnet34"]
ARCHS = [ArchSpec((d, 4, 6, 3), (64, 128, 256, 512)) for d in range(4, 24)]


def record(arch, value, *, role="proposal", seed=0, fidelity="mini", state="complete", number=0):
    return TrialRecord(
        "round1", number, role, 1, arch, "resnet34" if arch == RESNET else "", None, None, seed, fidelity,
        10, 5, 3, state, "", value if state == "complete" else None, (), {}, 1.0, "", "", "",
    )  # fmt: skip


def runs(arch, role, values, fidelity="mini"):
    return [record(arch, v, role=role, seed=i, fidelity=fidelity) for i, v in enumerate(values, 1)]


def test_a_clear_winner_is_named_with_an_interval_that_leaves_the_control_out():
    records = [record(ARCHS[0], 90.0), record(ARCHS[1], 99.0)]
    records += runs(RESNET, "control", [95.0, 95.1, 94.9]) + runs(ARCHS[0], "repeat", [90.2, 90.1, 90.3])
    found = select(records)
    assert found.winner is not None and found.winner.arch == ARCHS[0]
    assert found.tied == (ARCHS[0],) and not found.control_is_tied
    assert found.gain[0] == pytest.approx(4.8) and found.gain[1] > 0
    assert found.interval[0] < 90.2 < found.interval[1]
    assert found.verdict == f"winner: {ARCHS[0].id}, better than resnet34, the control, beyond the seed noise"


def test_the_lucky_first_run_does_not_count_towards_the_mean():
    records = [
        record(ARCHS[0], 80.0),
        *runs(ARCHS[0], "repeat", [95.0, 95.2]),
        *runs(RESNET, "control", [95.1, 95.0]),
    ]
    best = select(records).best
    assert best.mean == pytest.approx(95.1) and best.values == (95.0, 95.2)


def test_no_winner_within_the_noise_and_the_control_is_named_among_the_tied():
    records = [record(ARCHS[0], 94.0), *runs(ARCHS[0], "repeat", [94.5, 95.5, 95.0])]
    records += runs(RESNET, "control", [95.4, 94.6, 95.3])
    found = select(records)
    assert found.winner is None and found.control_is_tied and found.tied == (ARCHS[0], RESNET)
    assert "no winner" in found.verdict and "cannot be told from resnet34, the control" in found.verdict
    assert found.gain[1] < 0 < found.gain[2]


def test_several_tied_proposals_are_a_set_and_no_single_winner():
    records = [record(a, 90.0) for a in ARCHS[:2]]
    records += runs(ARCHS[0], "repeat", [90.1, 90.3, 90.2]) + runs(ARCHS[1], "repeat", [90.2, 90.2, 90.4])
    found = select(records + runs(RESNET, "control", [95.0, 95.1, 94.9]))
    assert found.winner is None and set(found.tied) == set(ARCHS[:2]) and not found.control_is_tied
    assert found.verdict.startswith("no single winner: 2 architectures are tied")
    assert "resnet34, the control, is not among them" in found.verdict


def test_a_control_that_beats_everything_is_said_to():
    records = [record(ARCHS[0], 99.0), *runs(ARCHS[0], "repeat", [99.1, 99.2, 99.0])]
    found = select(records + runs(RESNET, "control", [95.0, 95.1, 94.9]))
    assert found.winner is None and found.tied == (RESNET,) and found.best.arch == ARCHS[0]
    assert "has the lowest mean, and every proposal is worse" in found.verdict


def test_a_control_that_beats_what_was_not_run_again_yet_is_said_to():
    records = [record(ARCHS[0], 98.0), record(ARCHS[1], 99.0)]
    found = select(records + runs(RESNET, "control", [95.0, 95.1, 94.9]))
    assert found.tied == (RESNET,) and found.gain[2] < 0, "the interval and the verdict are one test"
    assert "has the lowest mean, and every proposal is worse" in found.verdict
    close = select([record(ARCHS[0], 95.2), *runs(RESNET, "control", [95.0, 95.1, 94.9])])
    assert set(close.tied) == {RESNET, ARCHS[0]} and close.gain[1] < 0 < close.gain[2]


def test_without_a_repeat_there_is_no_winner_and_everybody_is_tied():
    found = select([record(a, 90.0 + i) for i, a in enumerate(ARCHS[:3])])
    assert found.winner is None and found.noise_sd_mm is None and set(found.tied) == set(ARCHS[:3])
    assert "seed noise is not known yet" in found.verdict


def test_nothing_finished_is_a_sentence():
    assert select([record(ARCHS[0], None, state="running")]).verdict == "no proposal has completed yet"
    assert select([]).best is None


def test_pruned_runs_are_not_ranked():
    found = select([record(ARCHS[0], 50.0, state="pruned"), record(ARCHS[1], 90.0)])
    assert [e.arch for e in found.rows] == [ARCHS[1]]


def test_the_longer_race_decides_where_both_sides_ran_it():
    records = [
        record(ARCHS[0], 90.0),
        *runs(ARCHS[0], "repeat", [90, 90]),
        *runs(RESNET, "control", [91, 91]),
    ]
    assert final_fidelity(records) == "mini"
    records += runs(RESNET, "control", [80.0, 80.2], "minix2")
    assert final_fidelity(records) == "mini"
    records += runs(ARCHS[0], "repeat", [81.0, 81.2], "minix2")
    assert final_fidelity(records) == "minix2"
    assert select(records).best.mean == pytest.approx(81.1)


def test_a_longer_race_decides_only_when_all_that_were_tied_have_run_there():
    tied = [r for a in ARCHS[:3] for r in runs(a, "repeat", [90.0, 90.4])]
    worse = runs(ARCHS[3], "repeat", [99.0, 99.4])
    base = [*(record(a, 90.0) for a in ARCHS[:4]), *tied, *worse, *runs(RESNET, "control", [95.0, 95.2])]
    long = runs(RESNET, "control", [85.0, 85.2], "minix2")
    some = [*base, *long, *runs(ARCHS[0], "repeat", [80.0, 80.1], "minix2")]
    assert final_fidelity(some) == "mini" and set(ARCHS[:3]) <= set(select(some).tied)
    some += runs(ARCHS[1], "repeat", [80.0], "minix2")
    failed = [record(ARCHS[2], 0, role="repeat", fidelity="minix2", state="failed")]
    assert final_fidelity(some) == "mini"
    assert final_fidelity([*some, *failed]) == "minix2", "a failed one is not waited for"
    some += runs(ARCHS[2], "repeat", [80.0], "minix2")
    assert final_fidelity(some) == "minix2"
    epochs = {"mini": 2.0, "minix2": 4.0}
    again = [*some, *runs(ARCHS[3], "repeat", [99.0], "mini")]
    again = [replace(r, curve=((epochs[r.fidelity], r.l_error_mm),)) for r in again]
    assert final_fidelity(again) == "minix2", "the longest, not the last"


def test_pooled_noise_is_the_closed_form():
    noise = pooled_noise([[1.0, 3.0], [10.0, 10.0, 13.0], [5.0]])
    assert noise.freedom == 3 and noise.sd_mm == pytest.approx(np.sqrt((2.0 + 6.0) / 3))
    assert pooled_noise([[1.0], [2.0]]) is None


def test_quantiles_of_student_are_those_of_a_table():
    assert t_quantile(0.975, 4) == pytest.approx(2.776, abs=1e-3)


@pytest.mark.parametrize(("baseline_mm", "said"), [(None, False), (120.0, False), (100.0, True)])
def test_a_proxy_that_beats_the_mean_face_by_too_little_says_so(baseline_mm, said):
    records = [record(ARCHS[0], 94.0), *runs(RESNET, "control", [95.0, 96.0, 95.5])]
    text = explain(select(records), baseline_mm=baseline_mm)
    assert ("hardly learned" in text) == said


@pytest.mark.parametrize(("single", "said"), [(94.0, True), (97.0, False)])
def test_a_single_run_below_a_worse_mean_is_explained(single, said):
    records = [record(ARCHS[0], single), *runs(RESNET, "control", [95.0, 96.0, 95.5])]
    assert ("a lucky seed may have flattered" in explain(select(records))) == said


@pytest.mark.parametrize("finalists", [2, 5])
def test_the_tied_set_holds_the_truly_best_at_the_stated_rate(finalists):
    """Worst case: all equal but one, which is better by less than the noise."""
    rng, kept, n = np.random.default_rng(finalists), 0, 400
    for _ in range(n):
        truth = np.array([94.9] + [95.0] * finalists)
        records = runs(RESNET, "control", rng.normal(truth[-1], 0.3, 3))
        for arch, mean in zip(ARCHS, truth[:-1], strict=False):
            records += [record(arch, 90.0), *runs(arch, "repeat", rng.normal(mean, 0.3, 3))]
        kept += ARCHS[0] in select(records).tied
    assert kept / n > 0.95 - 3 * np.sqrt(0.05 * 0.95 / n)


def test_a_winner_is_hardly_ever_named_where_all_are_equal():
    rng, named, n = np.random.default_rng(0), 0, 400
    for _ in range(n):
        records = runs(RESNET, "control", rng.normal(95, 0.3, 3))
        for arch in ARCHS[:4]:
            records += [record(arch, 94.0), *runs(arch, "repeat", rng.normal(95, 0.3, 3))]
        named += select(records).winner is not None
    assert named / n < 0.05


def test_what_was_known_before_tells_the_noise_and_judges_nobody():
    records = [record(ARCHS[0], 90.0), *runs(ARCHS[0], "repeat", [90.2, 90.1, 90.3])]
    records += runs(RESNET, "control", [95.0, 95.1, 94.9])
    known = [r for a in ARCHS[5:8] for r in runs(a, "known", [80.0, 84.0])]
    found = select(records + known)
    assert found.noise_sd_mm == pytest.approx(np.sqrt((0.02 + 0.02 + 3 * 8.0) / 7))
    assert found.best.arch == ARCHS[0] and set(ARCHS[5:8]) < set(found.tied), (
        "they may be better, for all we know"
    )
    fewer = select([*records, *runs(RESNET, "known", [95.2])])
    assert fewer.control.values == (95.0, 95.1, 94.9, 95.2), "nobody chose the control by its luck"


def test_chances_add_up_and_favour_the_best():
    records = [record(a, 90.0 + i) for i, a in enumerate(ARCHS[:6])]
    records += runs(ARCHS[0], "repeat", [90.2, 90.5, 90.1]) + runs(RESNET, "control", [93.0, 93.4, 92.8])
    found = select(records)
    assert (
        sum(found.chances.values()) == pytest.approx(1)
        and max(found.chances, key=found.chances.get) == ARCHS[0].id
    )
    assert select(records[:6]).chances == {}, "without the noise there is nothing to say"
