"""A search on recorded runs: known architectures give what was recorded, others what a model says."""

import numpy as np
import pytest
from bench_rows import BUDGET, feasible, row, shifted, simulated_rows, write_rows

import nas.search.__main__ as search
from nas.record.store import Store
from nas.trials.replay import Replay
from proxy_tasks.bench.plan import TABLES
from proxy_tasks.bench.table import RunTable

PROXY = TABLES["cpu-1.2G"].proxy


@pytest.fixture(scope="module")
def rows():
    return simulated_rows(40, repeated=10, longer=14)


@pytest.fixture(scope="module")
def file(rows, tmp_path_factory):
    return str(write_rows(tmp_path_factory.mktemp("table") / "rows.jsonl", rows))


def run(replay, arch, seed, proxy=PROXY, stop_at=99):
    return replay.run(arch, seed, proxy, None, lambda epoch: epoch.number < stop_at)


def test_a_recorded_run_is_given_back_as_it_was(file, rows):
    table = RunTable.of(rows)
    arch = table.archs[5]
    outcome = run(Replay(file), arch, 0)
    assert [e.metrics["l_error_mm"] for e in outcome.epochs] == pytest.approx(table.curves[arch.id][0])
    assert sum(e.seconds for e in outcome.epochs) == pytest.approx(table.seconds[5])
    assert outcome.status == "complete" and outcome.epochs[-1].epochs == PROXY.epochs


def test_another_seed_of_a_known_architecture_scatters_about_its_mean(file, rows):
    table = RunTable.of(rows)
    finals = [
        run(Replay(file), table.archs[1], seed).epochs[-1].metrics["l_error_mm"] for seed in range(50, 250)
    ]
    noise, _ = table.seed_sd()
    assert np.mean(finals) == pytest.approx(table.means[1, -1], abs=4 * noise / np.sqrt(200))
    assert np.std(finals) == pytest.approx(noise, rel=0.25)


def test_a_simulated_replay_has_the_models_curve_for_the_truth_of_all(file, rows):
    table, replay = RunTable.of(rows), Replay(file, simulated=True)
    arch = max(table.archs, key=lambda a: abs(Replay(file).expected_mm(a, PROXY) - _mean(table, a)))
    assert abs(replay.expected_mm(arch, PROXY) - _mean(table, arch)) > 0.1, "where both differ most"
    finals = [run(replay, arch, seed).epochs[-1].metrics["l_error_mm"] for seed in range(200)]
    assert np.mean(finals) == pytest.approx(replay.expected_mm(arch, PROXY), abs=0.09)


def _mean(table, arch):
    return table.means[table.archs.index(arch), -1]


def test_what_a_seed_does_is_the_same_for_all_architectures(tmp_path):
    shifts = {0: 3.0, 1: -2.0, 2: 1.0, 3: -2.0}
    moved = shifted(simulated_rows(40, repeated=10, noise_mm=0.1), shifts)
    replay = Replay(str(write_rows(tmp_path / "rows.jsonl", moved)))
    one, other = feasible().draw(2, np.random.default_rng(98))
    end = [
        [run(replay, a, s).epochs[-1].metrics["l_error_mm"] for s in range(100, 160)] for a in (one, other)
    ]
    assert np.corrcoef(end)[0, 1] > 0.9
    gap = (
        run(replay, one, 0).epochs[-1].metrics["l_error_mm"]
        - run(replay, one, 1).epochs[-1].metrics["l_error_mm"]
    )
    assert gap == pytest.approx(5.0, abs=1.0), "of seeds that the table knows, their own"


def test_an_unknown_architecture_is_the_same_in_every_process_and_near_the_model(file):
    replay, arch = Replay([file]), feasible().draw(1, np.random.default_rng(99))[0]
    one, again = run(replay, arch, 3), run(Replay(file), arch, 3)
    assert one == again and one != run(replay, arch, 4)
    assert one.epochs[-1].metrics["l_error_mm"] == pytest.approx(replay.expected_mm(arch, PROXY), abs=1.5)


def test_a_stopped_run_pays_for_its_part_alone(file, rows):
    table = RunTable.of(rows)
    outcome = run(Replay(file), table.archs[0], 0, stop_at=2)
    assert outcome.status == "stopped" and len(outcome.epochs) == 2
    assert sum(e.seconds for e in outcome.epochs) == pytest.approx(table.seconds[0] / 3)


def test_longer_runs_are_those_of_the_table(file):
    arch = feasible().draw(1, np.random.default_rng(99))[0]
    replay = Replay(file)
    gain = replay.expected_mm(arch, PROXY) - replay.expected_mm(arch, PROXY.longer(4))
    assert gain == pytest.approx(10, abs=2)
    with pytest.raises(ValueError, match="runs of 3, 12 epochs and the proxy has 6"):
        replay.facts(PROXY.longer(2))


def test_a_wrong_file_is_one_sentence():
    with pytest.raises(ValueError, match="no table of runs at nowhere"):
        Replay("nowhere.jsonl")


def test_a_search_replays_through_the_same_driver_and_store(file, tmp_path, capsys):
    out = tmp_path / "run"
    argv = ["--budget", BUDGET, "--proxy", "cpu-1.2G", "--trials", "14", "--launcher", "inprocess", "--quiet"]
    argv += ["--objective", "nas.trials.replay:Replay", "--objective-args", f'{{"rows": ["{file}"]}}']
    assert search.main([*argv, "--finalists", "2", "--out", str(out)]) == 0
    records = Store.open(out).records()
    assert sum(r.role == "proposal" for r in records) == 14 and all(r.fidelity == PROXY.id for r in records)
    assert all(r.seconds > 1 and len(r.curve) == 6 for r in records)
    control = [r.l_error_mm for r in records if r.role == "control"][:3]
    assert control == pytest.approx([row(records[0].arch, seed)["l_error_mm"] for seed in range(3)])
    assert "mean face" not in capsys.readouterr().out, "a table says nothing of it"
