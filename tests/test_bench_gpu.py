"""The script that measures a GPU: what it runs, and that it keeps what it measured whatever goes wrong."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parent / "bench"
_spec = importlib.util.spec_from_file_location("gpu_bench", BENCH / "gpu.py")
gpu = importlib.util.module_from_spec(_spec)
sys.modules["gpu_bench"] = gpu
_spec.loader.exec_module(gpu)


def test_every_part_names_scripts_and_flags_that_there_are(tmp_path):
    for part in gpu.PARTS:
        for command in gpu.commands(part, tmp_path, rehearse=False):
            if command.arguments[0] != "-m":
                text = (BENCH.parents[1] / command.arguments[0]).read_text()
                flags = [word for word in command.arguments if word.startswith("--")]
                assert all(f'"{flag}"' in text for flag in flags)


def test_all_that_is_asked_of_a_gpu_is_there(tmp_path):
    named = {part: list(gpu.commands(part, tmp_path, rehearse=False)) for part in gpu.PARTS}
    engine = " ".join(" ".join(c.arguments) for c in named["engine"])
    assert "--resolution 128" in engine and "--resolution 256" in engine
    assert "eager,graphs,compiled,compiled-graphs" in engine and "--network deep" in engine
    searches = [c.arguments for c in named["searches"] if "--gpus-per-trial" in c.arguments]
    shares = [arguments[arguments.index("--gpus-per-trial") + 1] for arguments in searches]
    assert shares == ["1", "1/2", "1/4", "1/8"]
    assert {"test_proxy_graphs", "test_jmlr_task"} <= {c.name for c in named["tests"]}


def test_the_settings_of_its_searches_are_a_proxy(tmp_path):
    from nas.search.plan import find_proxy

    list(gpu.commands("searches", tmp_path, rehearse=False))
    proxy = find_proxy(str(tmp_path / "bench.json"))
    assert proxy.resolution == 128 and proxy.validations == 2


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """A function that measures the given commands as the part pnp, and reads the file."""

    def measure(*commands, minutes=5.0):
        monkeypatch.setattr(gpu, "commands", lambda part, folder, rehearse, quick: iter(commands))
        status = gpu.measure(["pnp"], tmp_path / "gpu.json", minutes, rehearse=True)
        return status, json.loads((tmp_path / "gpu.json").read_text())

    return measure


def test_what_a_command_measured_stands_beside_how_it_went(measured):
    good = gpu.Command("good", ("-c", "print('words'); print('{\"rate\": 3}')"), 60)
    bad = gpu.Command("bad", ("-c", "raise SystemExit('CUDA error: an illegal memory access')"), 60)
    whole = gpu.Command("whole", ("-c", "import json; print(json.dumps({'best': [1]}, indent=1))"), 60)
    slow = gpu.Command("slow", ("-c", "import time; print('begun', flush=True); time.sleep(60)"), 5)
    status, report = measured(bad, good, whole, slow)
    found = report["parts"]["pnp"]
    assert status == 1 and found["good"]["measured"] == {"rate": 3} and found["good"]["output"] == "words"
    assert found["whole"]["measured"] == {"best": [1]} and found["whole"]["output"] == ""
    assert found["bad"]["status"] == 1 and "illegal memory access" in found["bad"]["output"]
    assert found["slow"]["status"] == 124 and found["slow"]["output"] == "begun"
    assert {"torch", "python", "cpu", "cores", "commit", "when"} <= set(report["machine"])


def test_tests_that_need_what_is_not_installed_are_left_out_with_a_note(measured):
    status, report = measured(gpu.Command("test_search_memory", ("-c", "import optuna_that_is_absent"), 60))
    assert status == 0
    assert report["parts"]["pnp"]["test_search_memory"]["note"] == (
        "left out: optuna_that_is_absent not installed"
    )


def test_nothing_is_begun_once_the_time_is_over(measured):
    status, report = measured(gpu.Command("late", ("-c", ""), 60), minutes=0)
    assert status == 0 and "minutes were over" in report["parts"]["pnp"]["late"]["note"]


def test_searches_are_left_out_with_a_note_where_ray_is_not_installed(tmp_path, monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(
        gpu.importlib.util, "find_spec", lambda n: None if n in ("ray", "optuna") else there(n)
    )
    assert gpu.measure(["searches"], tmp_path / "gpu.json", 5.0, rehearse=True) == 0
    report = json.loads((tmp_path / "gpu.json").read_text())
    assert report["parts"]["searches"] == {"note": "left out: ray and optuna not installed"}


@pytest.mark.parametrize("arguments", [["--parts", "tests,everything", "--rehearse"], ["--parts", "pnp"]])
def test_what_cannot_be_measured_is_refused(arguments, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit) as caught:
        gpu.main(arguments)
    said = capsys.readouterr().err
    assert caught.value.code == 2 and ("no part everything" in said or "sees no CUDA device" in said)


@pytest.mark.slow
def test_a_rehearsal_runs_every_command(tmp_path):
    command = [
        BENCH / "gpu.sh",
        "--rehearse",
        "--out",
        tmp_path / "gpu.json",
        "--parts",
        "engine,pnp,augment",
    ]
    done = subprocess.run(
        command, env=os.environ | {"PYTHON": sys.executable}, capture_output=True, text=True
    )
    report = json.loads((tmp_path / "gpu.json").read_text())
    assert done.returncode == 0, report
    assert report["parts"]["engine"]["resnet34 at 32 px"]["measured"]["engine"]["images_per_second"] > 0
