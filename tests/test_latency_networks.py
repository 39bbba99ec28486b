"""Networks to be timed, the stopwatch, and the tables that are kept."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from proxy_tasks.backbone import build_model
from proxy_tasks.latency import kept
from proxy_tasks.latency.__main__ import main
from proxy_tasks.latency.check import repeatability
from proxy_tasks.latency.device import conditions_here, require_here
from proxy_tasks.latency.networks import Networks
from proxy_tasks.latency.onnx_graph import graph_of, runner
from proxy_tasks.latency.stopwatch import Timed, timed, timed_in_groups
from space import REFERENCES, ArchSpec

TINY = ArchSpec((1, 2, 1, 1), (16, 24, 32, 40))
SMALL = ["--budget", "0.55GFLOPs", "--tolerance", "0.05", "--max-depth", "2", "--max-width", "40"]
HERE = ["--device", "cpu", "--threads", "1"]


def test_networks_are_timed_in_all_of_float32(monkeypatch):
    from proxy_tasks.latency import calibrate

    seen = []
    monkeypatch.setattr(calibrate, "timed", lambda *_, **__: seen.append(torch.backends.cudnn.allow_tf32))
    calibrate.measure(conditions_here("cpu", threads=1), [TINY])
    assert seen == [False] and torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_network_to_be_timed_gives_finite_outputs_of_its_plan(precision):
    networks = Networks(conditions_here("cpu", threads=1, precision=precision, batch=2))
    outputs = networks.forward(TINY)()
    assert outputs.shape == (2, 6100)
    assert torch.isfinite(outputs).all() and outputs.std() > 0


def test_layers_of_a_network_share_no_weights():
    model = Networks(conditions_here("cpu", threads=1))._model(TINY)
    spans = sorted((p.data_ptr(), p.data_ptr() + 4 * p.numel()) for p in model.parameters())
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


@pytest.mark.parametrize("spec", [TINY, ArchSpec((1, 1, 2, 1), (16, 24, 24, 32), "bottleneck")])
def test_the_onnx_graph_is_the_network(spec):
    pytest.importorskip("onnxruntime")
    model = build_model(spec, outputs=10, seed=1).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)
    state = model.state_dict()

    def weight(name, shape):
        if not name.endswith(".bias"):
            return state[f"{name}.weight"].numpy() / (1 if name == "fc" else np.sqrt(1 + 1e-5))
        return state["fc.bias"].numpy() if name == "fc.bias" else np.zeros(shape)

    images = torch.randn(2, 3, 70, 70, generator=torch.Generator().manual_seed(0))  # odd sides within
    with torch.inference_mode():
        expected = model(images).numpy()
    run = runner(graph_of(spec.plan(10), 2, 70, weight), images.numpy(), threads=1)
    np.testing.assert_allclose(run()[0].numpy(), expected, atol=1e-4 * np.abs(expected).max())


class _Machine:
    """A clock that networks advance; `slower` is by how much from some moment on."""

    def __init__(self) -> None:
        self.now, self.slower_from = 0.0, float("inf")

    def forward(self, spec):
        def run():
            self.now += spec.depths[0] * (2.0 if self.now > self.slower_from else 1.0)

        return run


def test_a_machine_that_slows_down_half_way_changes_no_ratio():
    machine = _Machine()
    specs = [ArchSpec((d, 1, 1, 1), (8, 8, 8, 8)) for d in range(1, 21)]
    machine.slower_from = 3_000.0
    found = timed(specs, machine.forward, passes=10, clock=lambda: machine.now)
    times = np.array([t.milliseconds for t in found])
    assert machine.now > 6_000
    np.testing.assert_allclose(times / times[0], range(1, 21))


def test_timing_stops_before_its_seconds_are_over():
    machine = _Machine()
    specs = [ArchSpec((1, 1, 1, 1), (8, 8, 8, 8 * w)) for w in range(1, 61)]
    found = timed(specs, machine.forward, passes=3, seconds=100, clock=lambda: machine.now)
    assert 0 < len(found) < 60
    assert machine.now <= 100


def test_groups_of_a_slower_hour_are_put_in_relation_by_the_reference():
    machine = _Machine()
    specs = [ArchSpec((d, 1, 1, 1), (8, 8, 8, 8)) for d in range(1, 21)]
    machine.slower_from = 900.0  # in the second pass of the third group
    found = timed_in_groups(
        specs,
        machine.forward,
        passes=5,
        group=4,
        clear=lambda: None,
        reference=lambda: machine.forward(specs[2]),
        clock=lambda: machine.now,
    )
    assert machine.now > 1_500
    np.testing.assert_allclose([t.milliseconds for t in found], 1e3 * np.arange(1, 21))


def test_a_reading_that_was_disturbed_does_not_count():
    now, draws = [0.0], np.random.default_rng(0)

    def forward(spec):
        def run():
            now[0] += spec.depths[0] * (1 + draws.exponential(1.0) * (draws.random() < 0.5))

        return run

    specs = [ArchSpec((d, 1, 1, 1), (8, 8, 8, 8)) for d in range(1, 21)]
    found = timed(specs, forward, passes=12, clock=lambda: now[0])
    np.testing.assert_allclose([t.milliseconds for t in found], 1e3 * np.arange(1, 21))
    assert repeatability(found).tau > 0.9


def test_the_machines_own_error_stands_beside_the_tables():
    fast = [Timed(ArchSpec((d, 1, 1, 1), (8, 8, 8, 8)), d, (d, 1.1 * d)) for d in range(1, 21)]
    again = repeatability(fast)
    assert again.error == pytest.approx(1 - 1 / 1.1) and again.tau == pytest.approx(1)
    assert repeatability([Timed(TINY, 1.0), *fast]) is None


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    path = tmp_path_factory.mktemp("latency") / "table.json"
    assert main(["calibrate", *HERE, *SMALL, "--table", str(path), "--seconds", "6", "--quiet"]) == 0
    return path


@pytest.fixture
def table(calibrated, tmp_path):
    """A copy that a test may spoil."""
    return Path(shutil.copy(calibrated, tmp_path))


def test_a_table_is_checked_on_networks_that_it_did_not_see(table, capsys):
    file = ["--table", str(table)]
    assert main(["validate", *HERE, *SMALL, *file, "--networks", "4", "--quiet"]) in (0, 1)
    printed = capsys.readouterr().out
    assert "4 networks that the table did not see" in printed
    assert "FLOPs, fitted line" in printed and "activations, fitted line" in printed
    found = kept.read_here(table)
    assert found.check["networks"] == 4
    known = {t.arch for t in found.measured}
    assert known.isdisjoint(ArchSpec.from_dict(m["arch"]) for m in found.check["measured"])
    assert kept.Kept.from_dict(json.loads(json.dumps(found.to_dict()))).table.id == found.table.id


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"device": "NVIDIA H100 80GB HBM3"}, "is of NVIDIA H100 80GB HBM3, and this machine is"),
        ({"software": "torch 1.0"}, "was measured with torch 1.0, not torch"),
    ],
)
def test_a_table_of_another_machine_is_refused_in_one_sentence(table, changed, words, capsys):
    data = json.loads(table.read_text())
    data["conditions"] |= changed
    table.write_text(json.dumps(data))
    before = table.read_text()
    assert main(["validate", *HERE, *SMALL, "--table", str(table), "--networks", "4"]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert table.read_text() == before


def test_a_table_asked_for_at_another_precision_is_refused(table, capsys):
    assert main(["validate", *HERE, *SMALL, "--table", str(table), "--precision", "bf16"]) == 2
    assert "measured at precision fp32, not bf16" in capsys.readouterr().err


def test_a_table_of_another_version_is_refused(table, capsys):
    data = json.loads(table.read_text()) | {"version": 99}
    table.write_text(json.dumps(data))
    assert main(["validate", *HERE, *SMALL, "--table", str(table)]) == 2
    assert "version 99" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--mode", "tensorrt"], "--mode is one of eager, compiled, onnxruntime, not 'tensorrt'"),
        (["--precision", "int8"], "--precision is one of fp32, bf16, not 'int8'"),
        (["--batch", "0"], "--batch is 1 to"),
        (["--threads", "0"], "--threads is at least 1"),
        (["--device", "tpu"], "a device is auto, cpu, cuda or cuda:N, not 'tpu'"),
        (["--mode", "onnxruntime", "--precision", "bf16"], "onnxruntime is measured at --precision fp32"),
        (["--seconds", "-1"], "--seconds is a positive number"),
        (["--budget", "lots"], "lots"),
    ],
)
def test_a_wrong_request_is_one_sentence_and_nothing_is_written(flags, words, tmp_path, capsys):
    path = tmp_path / "table.json"
    assert main(["calibrate", "--table", str(path), *SMALL, *flags]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_no_table_says_how_to_make_one(capsys):
    assert main(["show", *HERE, "--batch", "77", "resnet34"]) == 2
    assert "no latency table of" in capsys.readouterr().err


def test_conditions_of_this_machine_name_its_threads():
    here = conditions_here("cpu", threads=3)
    assert here.device.endswith("3 threads")
    require_here(here)
    with pytest.raises(ValueError, match="and this machine is"):
        require_here(replace(here, device=f"Another, {here.device}"))


def test_the_reference_networks_run():
    assert Networks(conditions_here("cpu", threads=1)).forward(REFERENCES["resnet18"])().shape == (1, 6100)
