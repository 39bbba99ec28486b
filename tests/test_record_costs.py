"""What the best costs beside its error: in the table, the verdict, the files and the status."""

import json

import nas_tools
import pytest

from nas import status
from nas.record.answer import explain, specification, table
from nas.record.costs import Latencies, bargain, finalists, speed, verdict
from nas.record.run_dir import RunDir
from nas.record.select import select
from nas.search import __main__ as search
from nas.search.latencies import note_latencies
from nas.trials.standin import Standin
from nas.trials.training import ProxyTraining
from space import ArchSpec


@pytest.fixture(scope="module")
def selection(tmp_path_factory):
    path = tmp_path_factory.mktemp("costs") / "run"
    return select(nas_tools.search(path, nas_tools.small_plan(trials=12, finalists=3)))


def slow(selection, ratio):
    """Times with which the best is `ratio` times as slow as the control."""
    best, control = selection.best.arch.id, selection.control.arch.id
    return Latencies("a device", {best: 20.0 * ratio, control: 20.0})


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (2.1, "2.1 times as slow"),
        (1.3, "30% slower"),
        (1.01, "as fast"),
        (0.98, "as fast"),
        (0.5, "50% faster"),
    ],
)
def test_a_ratio_of_times_in_words(ratio, words):
    assert speed(ratio) == words


def test_the_verdict_names_a_best_that_is_slower_than_the_control(selection):
    gain = selection.control.mean - selection.best.mean
    error = f"{abs(gain):.2f} mm {'better' if gain >= 0 else 'worse'}"
    named = verdict(selection, slow(selection, 2.1))
    assert named.startswith(selection.verdict)
    assert named.endswith(f"{selection.best.arch.id} is {error}, 2.1 times as slow (42 ms against 20 ms)")
    assert named[1:] in explain(selection, latencies=slow(selection, 2.1))


@pytest.mark.parametrize("ratio", [1.02, 0.5])
def test_the_verdict_is_silent_about_a_best_that_is_no_slower(selection, ratio):
    assert verdict(selection, slow(selection, ratio)) == selection.verdict
    assert bargain(selection, slow(selection, ratio)) in explain(selection, latencies=slow(selection, ratio))


def test_nothing_is_said_of_times_that_were_not_measured(selection):
    assert verdict(selection, Latencies()) == selection.verdict
    assert bargain(selection, Latencies()) == ""
    assert " ms" not in table(selection, 154.0).splitlines()[0]


def test_the_table_shows_parameters_activations_and_milliseconds(selection):
    lines = table(selection, 154.0, slow(selection, 2.0)).splitlines()
    heads = "rank architecture GFLOPs params activ. ms L_error, mm runs may be best"
    assert " ".join(lines[0].split()) == heads
    control = next(line for line in lines if "control" in line)
    arch = selection.control.arch
    assert f"{arch.params() / 1e6:.2f} M" in control and f"{arch.activations() / 1e6:.2f} M" in control
    assert " 20.0 " in control
    assert any("  -  " in line for line in lines), "a row that was not measured"


def test_a_spec_holds_what_it_costs(selection):
    found = specification(selection.best, selection, [], slow(selection, 2.0))
    assert found["latency_ms"] == 40.0 and found["latency_of"] == "a device"
    assert found["params"] == selection.best.arch.params() and found["gflops"] == found["macs"] / 1e9


def test_finalists_are_the_control_the_best_and_the_rerun(selection):
    found = finalists(selection)
    assert found[:2] == [selection.control.arch, selection.best.arch]
    assert {e.arch for e in selection.rows if e.rerun} <= set(found)


def test_a_resumed_search_measures_only_what_is_missing(selection, tmp_path):
    run, about, asked = RunDir(tmp_path), {}, []

    class Counting(Standin):
        def latencies(self, table=None):
            where, take = super().latencies(table)
            return where, lambda archs: asked.extend(archs) or take(archs)

    first = note_latencies(run, about, selection, Counting())
    assert len(asked) == len(first.measured) == len(finalists(selection))
    again = note_latencies(run, run.read(), selection, Counting())
    assert again == first == Latencies.of(run.read()) and len(asked) == len(first.measured)


def test_an_objective_that_cannot_measure_leaves_the_record_alone(selection, tmp_path):
    assert note_latencies(RunDir(tmp_path), {}, selection, object()) == Latencies()
    assert not (tmp_path / "run.json").exists()


def test_a_search_records_and_shows_measured_latencies(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    asked = "--objective nas.trials.standin:Standin --launcher inprocess --budget 0.5GFLOPs --tolerance 0.1"
    space = "--max-depth 6 --max-width 128 --width-step 16 --trials 4 --quiet --out run"
    assert search.main([*asked.split(), *space.split()]) == 0
    printed = capsys.readouterr().out
    assert "measured on a simulated device" in printed
    found = status.status(tmp_path / "run")
    for key in ("best", "control"):
        spec = found[key]
        assert spec["latency_ms"] > 0 and spec["params"] > 0 and spec["activations"] > 0
    best = json.loads((tmp_path / "run" / "best" / "best.json").read_text())
    assert best["latency_ms"] == found["best"]["latency_ms"]
    assert status.main([str(tmp_path / "run")]) == 0
    assert "params" in capsys.readouterr().out


def test_training_measures_latency_on_its_own_device():
    small = ArchSpec((1, 1, 1, 1), (16, 16, 16, 16))
    where, measure = ProxyTraining("no data", device="cpu").latencies()
    found = measure([small])
    assert list(found) == [small.id] and found[small.id] > 0
    assert "fp32, batch 1, eager, torch " in where and "thread" in where


def test_a_device_that_is_full_costs_no_answer(selection, tmp_path):
    class Full(Standin):
        def latencies(self, table=None):
            def take(archs):
                raise RuntimeError("CUDA out of memory\nand much more")

            return "a GPU", take

    said = []
    assert note_latencies(RunDir(tmp_path), {}, selection, Full(), say=said.append) == Latencies()
    assert said[-1] == "latency was not measured: CUDA out of memory"
