"""Who may be the best by common seeds: sharper than by means, and as right where seeds share nothing."""

import math

import numpy as np
import pytest
from test_record_select import ARCHS, RESNET, record, runs

from nas.record import compare as comparing
from nas.record.answer import explain
from nas.record.select import select
from nas.search.race import next_repeats


def searched(rng, gain, *, finalists=4, seeds=4, noise=0.8, shared=0.5, missing=()):
    """Records of a control and finalists, the first of them better by `gain`, on the seeds 1 to `seeds`."""
    blocks = rng.normal(0, noise * math.sqrt(shared), seeds + 1)
    means = {RESNET: 50.0 + gain, ARCHS[0]: 50.0} | dict.fromkeys(ARCHS[1:finalists], 50.0 + gain)
    found = [record(a, 49.0) for a in ARCHS[:finalists]]
    for a, mean in means.items():
        for s in range(1, seeds + 1):
            value = mean + blocks[s] + rng.normal(0, noise * math.sqrt(1 - shared))
            if (a, s) not in missing:
                found.append(record(a, value, role="control" if a == RESNET else "repeat", seed=s))
    return found


def shown(gain, *, shared, times=100, **layout):
    """How often the control is ruled out, and how often the first finalist is kept."""
    rng = np.random.default_rng(1)
    found = [select(searched(rng, gain, shared=shared, **layout)) for _ in range(times)]
    assert not any(f.control_is_tied and f.gain[1] > 0 for f in found), "interval and verdict are one test"
    return np.mean([not f.control_is_tied for f in found]), np.mean([ARCHS[0] in f.tied for f in found])


def test_common_seeds_show_what_means_do_not(monkeypatch):
    pairs, kept = shown(1.2, shared=0.5)
    monkeypatch.setattr(comparing, "_by_common_seeds", lambda *_: None)
    means, _ = shown(1.2, shared=0.5)
    assert pairs > means + 0.2 and kept > 0.95


@pytest.mark.parametrize("shared", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("missing", [(), {(RESNET, 4), (ARCHS[1], 1), (ARCHS[2], 2), (ARCHS[2], 3)}])
def test_the_truly_best_is_kept_at_the_stated_rate(shared, missing):
    """All equal but one, better by next to nothing; full layouts and ones with holes."""
    n = 200
    wrong, kept = shown(1e-9, shared=shared, missing=missing, times=n)
    assert kept > 0.95 - 3 * math.sqrt(0.05 * 0.95 / n)
    assert wrong < 0.05 + 3 * math.sqrt(0.05 * 0.95 / n)


def test_the_gain_is_that_of_the_common_seeds():
    gap = {1: 0.9, 2: 1.1, 3: 1.0, 4: 1.05, 5: 0.95, 6: 1.02, 7: 0.98}
    seeds = {1: 0.0, 2: 4.0, 3: -3.0, 4: 1.0, 5: 2.0, 6: -1.0, 7: -2.0}
    records = [record(ARCHS[0], 49.0)]
    records += [record(ARCHS[0], 50.0 + seeds[s], role="repeat", seed=s) for s in gap]
    records += [record(RESNET, 50.0 + seeds[s] + g, role="control", seed=s) for s, g in gap.items()]
    found = select([*records, record(RESNET, 40.0, role="control", seed=0)])
    assert found.gain[0] == pytest.approx(1.0), "nobody shares the control's seed 0"
    assert found.control.mean - found.best.mean == pytest.approx(1.0)
    assert found.gain[1] > 0.8 and found.winner.arch == ARCHS[0]
    assert found.paired_sd_mm == pytest.approx(np.std(list(gap.values()), ddof=1) / math.sqrt(2))
    assert found.noise_sd_mm > 2


def lucky():
    """The lowest mean is that of easy seeds, on which the other was run as well and did better."""
    easy = [(ARCHS[0], 1, 50.0), (ARCHS[0], 2, 50.1), (ARCHS[0], 3, 50.0)]
    other = [(ARCHS[1], s, v) for s, v in [(1, 49.0), (2, 49.1), (3, 49.05), (4, 55.0), (5, 55.1)]]
    control = [(RESNET, s, v) for s, v in [(1, 51.0), (2, 51.1), (3, 51.0), (4, 57.0), (5, 57.05)]]
    records = [record(a, 49.0) for a in ARCHS[:2]]
    return records + [
        record(a, v, role="control" if a == RESNET else "repeat", seed=s)
        for a, s, v in [*easy, *other, *control]
    ]


def test_ranks_errors_and_chances_are_those_at_the_average_seed():
    found = select(lucky())
    assert found.winner is not None and found.winner.arch == ARCHS[1]
    assert [e.arch for e in found.rows] == [ARCHS[1], ARCHS[0], RESNET]
    best, second, control = found.rows
    assert second.mean - best.mean == pytest.approx(1.0, abs=0.1)
    assert control.mean - best.mean == pytest.approx(found.gain[0]) == pytest.approx(2.0, abs=0.1)
    assert np.mean(second.values) < np.mean(best.values), "as the runs themselves would have it"
    assert found.chances[best.arch.id] > 0.9
    said = explain(found)
    assert said.startswith(f"Winner: {best.arch.id}") and f"{found.gain[0]:.2f} mm better" in said
    assert "compared on common seeds, where it is 0.0" in said


def test_single_runs_are_compared_by_means_beside_them():
    records = searched(np.random.default_rng(3), 1.0)
    found = select([*records, record(ARCHS[10], 50.5), record(ARCHS[11], 70.0)])
    assert found.paired_sd_mm is not None
    assert ARCHS[10] in found.tied and ARCHS[11] not in found.tied


def test_known_runs_tell_of_the_noise_by_seeds_of_their_own():
    records = searched(np.random.default_rng(4), 1.0, shared=0.9)
    alone = comparing.compare(records, "mini", select(records).rows)
    known = [record(a, 60.0 + 5 * s, role="known", seed=s) for a in ARCHS[12:14] for s in range(1, 5)]
    more = comparing.compare([*records, *known], "mini", select(records).rows)
    assert more.blocks.freedom == alone.blocks.freedom + 3
    assert [e.mean for e in more.rows] == pytest.approx([e.mean for e in alone.rows])
    own = runs(RESNET, "known", [51.0, 51.0])
    assert select([*records, *own]).paired_sd_mm is not None, "the control's are in its mean"


def test_the_race_itself_keeps_the_truly_best_and_the_control():
    """All are equal, and the race decides who is run again: looking at each step costs little of the 95 %."""
    rng, races = np.random.default_rng(5), 150
    lost = np.zeros(2)
    for _ in range(races):
        seeds = rng.normal(0, 0.5, 60)
        draw = lambda s: 50.0 + seeds[s] + rng.normal(0, 0.5)  # noqa: B023, E731  of this race
        archs = ARCHS[:4]
        records = [record(a, draw(0)) for a in archs]
        records += [record(RESNET, draw(s), role="control", seed=s) for s in range(3)]
        while wanted := next_repeats(records, "mini", archs, seeds=3, seed=0, control=RESNET):
            records += [record(w.arch, draw(w.seed), role=w.role, seed=w.seed) for w in wanted]
        tied = select(records).tied
        lost += [archs[0] not in tied, RESNET not in tied]
    assert (lost / races < 0.05 + 3 * math.sqrt(0.05 * 0.95 / races)).all()
