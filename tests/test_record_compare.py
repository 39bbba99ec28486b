"""Who may be the best by common seeds: sharper than by means, and as right where seeds share nothing."""

import math

import numpy as np
import pytest
from test_record_select import ARCHS, RESNET, record, runs

from nas.record import compare as comparing
from nas.record.select import select


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
    assert found.gain[1] > 0.8 and found.winner.arch == ARCHS[0]
    assert found.paired_sd_mm == pytest.approx(np.std(list(gap.values()), ddof=1) / math.sqrt(2))
    assert found.noise_sd_mm > 2


def test_the_best_is_one_that_may_be_the_best():
    """The lowest mean is that of an easy seed, on which the other was run as well and did better."""
    easy = [(ARCHS[0], 1, 50.0), (ARCHS[0], 2, 50.1), (ARCHS[0], 3, 50.0)]
    other = [(ARCHS[1], s, v) for s, v in [(1, 49.0), (2, 49.1), (3, 49.05), (4, 55.0), (5, 55.1)]]
    control = [(RESNET, s, v) for s, v in [(1, 51.0), (2, 51.1), (3, 51.0), (4, 57.0), (5, 57.05)]]
    records = [record(a, 49.0) for a in ARCHS[:2]]
    records += [record(a, v, role="control" if a == RESNET else "repeat", seed=s)
                for a, s, v in [*easy, *other, *control]]  # fmt: skip
    found = select(records)
    assert found.best.arch == ARCHS[1] and found.winner is not None and found.rows[0].arch == ARCHS[0]
    assert found.gain[0] == pytest.approx(2.0, abs=0.1)


def test_single_runs_are_compared_by_means_beside_them():
    records = searched(np.random.default_rng(3), 1.0)
    found = select([*records, record(ARCHS[10], 50.5), record(ARCHS[11], 70.0)])
    assert found.paired_sd_mm is not None
    assert ARCHS[10] in found.tied and ARCHS[11] not in found.tied


def test_known_runs_on_the_same_seeds_sharpen_what_a_seed_does():
    records = searched(np.random.default_rng(4), 1.0, shared=0.9)
    alone = comparing.compare(records, "mini", select(records).rows).blocks
    known = [record(a, 60.0 + s, role="known", seed=s) for a in ARCHS[12:14] for s in range(1, 5)]
    more = comparing.compare([*records, *known], "mini", select(records).rows).blocks
    assert more.freedom == alone.freedom + 6
    own = runs(RESNET, "known", [51.0, 51.0])
    assert comparing.compare([*records, *own], "mini", select([*records, *own]).rows).blocks is not None
