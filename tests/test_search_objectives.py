"""Searches for a front: what samplers see, who races, what is refused, what a run holds."""

import json

import nas_tools
import numpy as np
import pytest

from nas import status
from nas.record.front import hypervolume
from nas.record.objectives import Cost, second_of
from nas.record.run_dir import RunDir
from nas.record.store import Store
from nas.search import __main__ as search
from nas.search.front_race import FrontRace
from nas.search.suggest import COORDINATES, Suggester
from nas.search.two_objectives import TwoObjectives
from nas.trials.standin import expected_mm
from proxy_tasks.latency.device import conditions_here
from space.design import Space
from space.latency import LatencyTable
from space.machine import cores

COST = Cost("activations")
ASKED = "--objective nas.trials.standin:Standin --launcher inprocess --budget 0.5GFLOPs --tolerance 0.1"
SPACE = "--max-depth 6 --max-width 128 --width-step 16"


def simulated_table(**changes):
    """A table of this machine whose blocks all take a millisecond, and a little for their width."""
    space = Space.from_dict({**nas_tools.SMALL})
    widths = [np.array(choices) for choices in space.width_choices]
    before = [np.array([64]), *widths[:-1]]
    conditions = conditions_here(threads=cores())
    return LatencyTable(
        type(conditions)(**{**{f: getattr(conditions, f) for f in conditions.__slots__}, **changes}),
        stem=1.0,
        widths=tuple(widths),
        before=tuple(before),
        first=tuple(np.ones((len(b), len(w))) + w / 100 for b, w in zip(before, widths, strict=True)),
        further=tuple(1 + w / 100 for w in widths),
        head=np.ones(len(widths[3])),
    )


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.json"
    data = simulated_table().to_dict() | {"about": {}, "measured": [], "check": {}}
    path.write_text(json.dumps(data))
    return path


def proposed(path, strategy, trials=40):
    """(cost, expected error) of each proposal of a suggester that is told the expected errors."""
    plan = nas_tools.small_plan()
    path.mkdir()
    RunDir(path).write({"store": {"url": None, "prefix": ""}})
    store = Store.open(path, write=True)
    asks = Suggester(store, "round1", plan.feasible, strategy, seed=0, trials=trials, cost=COST)
    points = []
    for _ in range(trials):
        found = asks.propose(asks.claim())
        error = expected_mm(found.arch)
        store.begin(found.trial_id, {"arch": found.arch.to_dict()})
        store.finish(found.trial_id, "complete", l_error_mm=error)
        points.append((COST.of(found.arch), error))
    return points, store, plan


def test_a_sampler_sees_both_values_and_the_store_keeps_one(tmp_path):
    points, store, plan = proposed(tmp_path / "run", "random", 5)
    study = store.studies()["round1"]
    shown = TwoObjectives(store.storage, plan.feasible, COST, COORDINATES)
    assert [t.values for t in store.storage.get_all_trials(study)] == [[e] for _, e in points]
    assert [t.values for t in shown.get_all_trials(study)] == [[e, c] for c, e in points]
    assert len(shown.get_study_directions(study)) == 2 and len(store.storage.get_study_directions(study)) == 1


@pytest.mark.parametrize("strategy", ["tpe", "evolution"])
def test_a_strategy_covers_more_of_the_front_than_uniform_draws(tmp_path, strategy):
    found, *_ = proposed(tmp_path / strategy, strategy, 60)
    uniform, *_ = proposed(tmp_path / "random", "random", 60)
    reference = tuple(np.max(uniform, axis=0))
    assert hypervolume(found, reference) > hypervolume(uniform, reference)


def test_finalists_are_the_front_of_the_first_runs_then_the_front_behind_it(tmp_path):
    records = nas_tools.search(tmp_path / "run", nas_tools.small_plan(trials=30))
    plan, fidelity = nas_tools.small_plan(), nas_tools.small_plan().proxy.id
    race = FrontRace(COST)
    few, many = (race.finalists(records, fidelity, plan.control, n) for n in (2, 12))
    firsts = {r.arch: r.l_error_mm for r in nas_tools.proposals(records)}
    for arch in few:
        assert not any(
            COST.of(a) <= COST.of(arch) and e < firsts[arch] for a, e in firsts.items() if a != plan.control
        )
    assert len(few) == 2 and len(many) == len(set(many)) == 12


def test_a_race_drops_who_is_behind_and_spares_who_is_cheap(tmp_path):
    made = nas_tools.small_plan(trials=30, finalists=6, objectives="l_error,activations", repeats=4)
    records = nas_tools.search(tmp_path / "run", made)
    again = [r for r in records if r.role == "repeat"]
    costs = {r.arch: COST.of(r.arch) for r in again}
    assert len(costs) == 6
    assert len(again) <= 24
    cheapest = min(costs, key=costs.get)
    assert sum(r.arch == cheapest for r in again) == 4, "nothing as cheap can beat it"


def test_a_search_for_a_front_writes_and_shows_it(tmp_path, table, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    asked = [*ASKED.split(), *SPACE.split(), "--objectives", "l_error,latency", "--latency-table", str(table)]
    assert search.main([*asked, "--trials", "12", "--repeats", "3", "--quiet", "--out", "run"]) == 0
    printed = capsys.readouterr().out
    assert "the front, cheapest first" in printed and "tied with" in printed
    found = status.status(tmp_path / "run")["front"]
    assert found["unit"] == "ms" and found["members"]
    costs = [m["cost"] for m in found["members"]]
    assert costs == sorted(costs)
    assert all(m["interval_mm"] for m in found["members"])
    specs = {p.stem for p in (tmp_path / "run" / "best").glob("d*.json")}
    assert {m["arch"] for m in found["members"]} <= specs
    measured = json.loads((tmp_path / "run" / "run.json").read_text())["latency"]
    assert set(measured["measured"]) == set(measured["predicted"])
    assert status.main(["run"]) == 0
    assert "the front, cheapest first" in capsys.readouterr().out
    table.unlink()
    assert search.main([*["--resume", "--out", "run", "--trials", "14", "--quiet"]]) == 0, (
        "a run keeps its table"
    )


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (
            ["--objectives", "l_error,beauty"],
            "--objectives knows l_error and one of latency, params, activations",
        ),
        (["--objectives", "latency"], "--objectives is l_error, or l_error and one of"),
        (["--objectives", "l_error,params,activations"], "--objectives is l_error, or l_error and one of"),
        (["--objectives", "l_error,params", "--scheduler", "asha"], "does not go with --scheduler asha"),
        (["--objectives", "l_error,params", "--rounds", "2"], "does not go with --rounds 2"),
        (["--objectives", "l_error,latency"], "no latency table of"),
        (
            ["--objectives", "l_error,latency", "--latency-table", "none.json"],
            "none.json is no file of a latency",
        ),
    ],
)
def test_a_wrong_request_is_one_sentence_and_writes_nothing(flags, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JMLR_NAS_CACHE", str(tmp_path / "empty"))
    assert search.main([*ASKED.split(), *SPACE.split(), *flags, "--out", "run"]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_table_of_another_device_is_refused(table, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = json.loads(table.read_text())
    data["conditions"]["device"] = "NVIDIA H100 80GB HBM3"
    table.write_text(json.dumps(data))
    flags = ["--objectives", "l_error,latency", "--latency-table", str(table), "--out", "run"]
    assert search.main([*ASKED.split(), *SPACE.split(), *flags]) == 2
    assert "is of NVIDIA H100 80GB HBM3, and this machine is" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_l_error_alone_is_no_front():
    assert second_of("l_error") is None
    assert second_of("params, l_error") == "params"
