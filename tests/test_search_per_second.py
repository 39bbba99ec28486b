"""TPE that weighs gain by time, and the flag that asks for it."""

import nas_tools
import numpy as np
import pytest

from nas.record.run_dir import RunDir
from nas.record.store import Store
from nas.search.pace import Pace
from nas.search.per_second import log_improvement
from nas.search.suggest import Suggester


def test_improvement_grows_with_the_ratio_and_levels_off():
    ratio = np.linspace(-20, 20, 41)
    found = np.exp(log_improvement(ratio))
    assert (np.diff(found) > 0).all()
    assert found[-1] == pytest.approx(10, rel=1e-3), "1 / gamma"
    assert found[0] == pytest.approx(np.exp(-20) / 0.9, rel=1e-3), "proportional to l / g"


def proposals(path, shares, trials=60):
    """Architectures of a TPE for which all errors are alike, so that only time can matter."""
    plan = nas_tools.small_plan()
    path.mkdir()
    RunDir(path).write({"store": {"url": None, "prefix": ""}})
    store = Store.open(path, write=True)
    asks = Suggester(store, "s", plan.feasible, "tpe", seed=0, trials=trials, shares=shares)
    rng, found = np.random.default_rng(0), []
    for _ in range(trials):
        one = asks.propose(asks.claim())
        store.begin(one.trial_id, {"arch": one.arch.to_dict()})
        store.finish(one.trial_id, "complete", l_error_mm=float(rng.normal()))
        found.append(one.arch)
    return found


def test_of_equally_good_networks_the_faster_are_proposed(tmp_path):
    pace = Pace(nas_tools.small_plan().control)

    def steep(rows):
        return pace.shares(rows) ** 8

    plain, weighed = proposals(tmp_path / "a", None), proposals(tmp_path / "b", steep)
    assert weighed[:10] == plain[:10], "the first are uniform"
    mean = [np.mean([pace.share(arch) for arch in archs[10:]]) for archs in (plain, weighed)]
    assert mean[1] < mean[0]


def test_only_tpe_weighs_by_time():
    with pytest.raises(ValueError, match="--per-second goes with --strategy tpe alone, not with gp"):
        nas_tools.small_plan(strategy="gp", per_second=True)


def test_a_search_may_weigh_by_time(tmp_path):
    made = nas_tools.small_plan(strategy="tpe", per_second=True, trials=14)
    assert len(nas_tools.proposals(nas_tools.search(tmp_path / "run", made))) == 14
