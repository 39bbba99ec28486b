"""A search that starts from what is known: a table's runs, an earlier search's, and its own control's."""

import json

import numpy as np
import optuna
import pytest
from bench_rows import BUDGET, feasible, simulated_rows, write_rows

import nas.search.__main__ as search
from nas.record.run_dir import RunError
from nas.record.select import select
from nas.record.store import KNOWN, Store
from nas.search.known import enter, read
from nas.search.plan import proxy_named
from nas.status import status
from proxy_tasks.bench.plan import TABLES
from space import ArchSpec, Budget, FeasibleSet, Space

PROXY = TABLES["cpu-1.2G"].proxy


@pytest.fixture(scope="module")
def rows():
    return [row | {"proxy": PROXY.id} for row in simulated_rows(30, repeated=6)]


@pytest.fixture(scope="module")
def file(rows, tmp_path_factory):
    return str(write_rows(tmp_path_factory.mktemp("table") / "rows.jsonl", rows))


def command(file, out, *more):
    argv = [
        "--budget",
        BUDGET,
        "--proxy",
        "cpu-1.2G",
        "--launcher",
        "inprocess",
        "--quiet",
        "--out",
        str(out),
    ]
    argv += ["--objective", "nas.trials.replay:Replay", "--objective-args", json.dumps({"rows": [file]})]
    return [*argv, "--finalists", "2", *more]


@pytest.fixture(scope="module")
def warm(file, tmp_path_factory):
    out = tmp_path_factory.mktemp("warm") / "run"
    assert search.main(command(file, out, "--trials", "6", "--warm-start", file)) == 0
    return out


def test_a_tables_runs_are_read_where_they_compare(file, rows):
    source = read(file, PROXY, feasible())
    assert len(source.runs) == len(rows) and source.data == "simulated"
    assert source.runs[0].curve == tuple(point["l_error_mm"] for point in rows[0]["curve"])
    with pytest.raises(ValueError, match=r"no complete run of mini.*there: table-"):
        read(file, PROXY.replace(name="mini"), feasible())
    with pytest.raises(ValueError, match="neither a run directory nor a table"):
        read("nowhere", PROXY, feasible())


def test_a_tables_longer_runs_are_of_the_longer_proxy(rows, tmp_path):
    both = [*rows, *(row | {"key": row["key"] + "x4", "length": 4.0} for row in rows[:5])]
    file = str(write_rows(tmp_path / "rows.jsonl", both))
    longer = proxy_named("cpu-1.2G-longer")
    assert longer == PROXY.longer(4)
    assert len(read(file, longer, feasible()).runs) == 5
    assert len(read(file, PROXY, feasible()).runs) == len(rows)
    with pytest.raises(ValueError, match=rf"no complete run.*there: {PROXY.id}, {PROXY.id} x4\)"):
        read(file, PROXY.longer(2), feasible())


def test_runs_of_another_set_or_other_data_are_refused(file, tmp_path):
    with pytest.raises(ValueError, match="no architecture of this search's set"):
        read(file, PROXY, FeasibleSet(Space(), Budget.parse("5.1GFLOPs")))
    store = Store(optuna.storages.InMemoryStorage())
    with pytest.raises(RunError, match=r"trained on other data \(simulated\) than this search \(wcpa\)"):
        enter(store, [read(file, PROXY, feasible())], PROXY, "wcpa")
    assert search.main(command(file, tmp_path / "run", "--warm-start", "nowhere")) == 2
    assert not (tmp_path / "run").exists()


def test_ensembles_are_no_runs_of_their_first_member(rows, tmp_path):
    alone = {**rows[0], "key": "both", "role": "ensemble", "seed": 7, "curve": []}
    source = read(str(write_rows(tmp_path / "rows.jsonl", [alone, *rows])), PROXY, feasible())
    assert len(source.runs) == len(rows) and all(run.curve for run in source.runs)


def test_a_file_of_two_data_sets_is_refused(rows, tmp_path):
    mixed = [*rows, {**rows[0], "key": "elsewhere", "data": "other faces", "seed": 7}]
    with pytest.raises(ValueError, match="mixes runs on different data: other faces, simulated"):
        read(str(write_rows(tmp_path / "rows.jsonl", mixed)), PROXY, feasible())


def test_the_run_that_chose_an_architecture_is_left_out_whatever_file_it_is_in(rows, tmp_path):
    drawn = next(r for r in rows if r["role"] == "uniform" and r["seed"] == 0)
    again = [{**drawn, "role": "candidate", "seed": s, "key": f"again{s}"} for s in (1000, 1001)]
    first = read(str(write_rows(tmp_path / "first.jsonl", [drawn])), PROXY, feasible())
    fresh = read(str(write_rows(tmp_path / "fresh.jsonl", again)), PROXY, feasible())
    store = Store(optuna.storages.InMemoryStorage())
    enter(store, [first, fresh], PROXY, "simulated")
    assert sorted(r.seed for r in store.records(KNOWN)) == [1000, 1001]
    alone = Store(optuna.storages.InMemoryStorage())
    enter(alone, [first], PROXY, "simulated")
    assert [r.seed for r in alone.records(KNOWN)] == [0]


def test_the_display_counts_no_run_that_was_known_before(warm, rows, capsys):
    assert search.main(["--resume", "--out", str(warm), "--trials", "6"]) == 0
    said = capsys.readouterr().err
    assert f"{len(rows)} runs of 31 architectures were known before" in said
    own = sum(r.role != "known" for r in Store.open(warm).records())
    assert f"{own} of at most" in said


def test_known_runs_are_recorded_once_with_their_source_and_cost_nothing(warm, rows, file):
    records = Store.open(warm).records(KNOWN)
    assert len(records) == len(rows) and {r.by for r in records} == {file}
    assert all(r.role == "known" and r.state == "complete" and r.seconds == 0 for r in records)
    found = status(warm)
    gain = found["gain_mm"]
    assert gain["low"] <= gain["estimate"] <= gain["high"] and gain["low"] < gain["high"]
    assert found["roles"]["known"] == len(rows) and found["complete"] < 30, (
        "they are not this search's trials"
    )


def test_a_strategy_starts_from_what_is_known_and_says_who_proposed_what(warm, file, tmp_path):
    by = [r.by for r in Store.open(warm).records() if r.role == "proposal"]
    assert by == ["tpe"] * 6, "thirty known runs leave no need of uniform starts"
    cold = tmp_path / "cold"
    more = ("--trials", "9", "--seed-arch", seed_arch(tmp_path))
    assert search.main(command(file, cold, *more)) == 0
    by = [r.by for r in Store.open(cold).records() if r.role == "proposal"]
    assert by[0] == "--seed-arch" and by[1] == "uniform start" and by[-1] == "tpe"
    assert by.count("uniform start") < 9 - 1, "the control's three runs count as observations"


def seed_arch(folder):
    path = folder / "arch.json"
    path.write_text(json.dumps(feasible().draw(1, np.random.default_rng(3))[0].to_dict()))
    return str(path)


def test_the_sampler_is_told_each_run_once_also_after_a_resume(warm, file, rows):
    store = Store.open(warm)
    study = next(name for name in store.studies() if name.startswith("round1"))
    trials = store.storage.get_all_trials(store.studies()[study])
    told = [(t.user_attrs["carried"], t.user_attrs["seed"]) for t in trials if "carried" in t.user_attrs]
    assert len(told) == len(set(told)) >= len(rows)
    assert search.main(["--resume", "--out", str(warm), "--trials", "7", "--quiet"]) == 0
    store = Store.open(warm)
    trials = store.storage.get_all_trials(store.studies()[study])
    again = [(t.user_attrs["carried"], t.user_attrs["seed"]) for t in trials if "carried" in t.user_attrs]
    assert len(again) == len(set(again)), "nothing is told twice"
    assert len(store.records(KNOWN)) == len(rows)


def test_what_was_known_may_win_and_tells_the_noise(warm, rows):
    records = Store.open(warm).records()
    found = select(records)
    repeats = {r.arch for r in records if r.role == "repeat"}
    known = {ArchSpec.from_dict(row["arch"]) for row in rows}
    assert repeats and found.noise_sd_mm > 0
    assert {e.arch for e in found.rows} >= known
    own = [r for r in records if r.role == "control"]
    assert len(own) >= 1 and found.control.rerun and len(found.control.values) == len(own) + 4


def test_an_earlier_search_is_a_source_without_the_lucky_first_runs(warm):
    records = Store.open(warm).records()
    source = read(str(warm), PROXY, feasible())
    again = {r.arch for r in records if r.role == "repeat"}
    first = {(r.arch, r.seed) for r in records if r.role == "proposal" and r.arch in again}
    assert not first & {(run.arch, run.seed) for run in source.runs}
    assert {r.arch for r in records if r.role == "proposal"} <= {run.arch for run in source.runs}
