"""Where full runs train: the cluster is asked, not its head; several side by side on one GPU each."""

import threading

import pytest
from ray_nodes import Nodes

from nas.retrain.__main__ import main, parser
from nas.retrain.request import where_to_train
from nas.retrain.run import _train_all

SHORT = ["--proxy", "mini", "--epochs", "1", "--evaluations", "1", "--batch", "8", "--resolution", "64"]
SHORT += ["--subjects", "0", "--frames", "0"]


def place(*argv, cluster=None, here=0, monkeypatch=None):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: here)
    return where_to_train(parser().parse_args(["run", *argv]), cluster)


def test_a_head_without_a_gpu_trains_on_those_of_its_cluster(monkeypatch):
    found = place("--ray-address", "h:1", cluster=(12, 4), monkeypatch=monkeypatch)
    assert (found.gpu, found.device, found.processes, found.at_once) == (True, "cuda", 4, 1)
    found = place("--ray-address", "h:1", "--parallel", cluster=(12, 4), monkeypatch=monkeypatch)
    assert (found.device, found.processes, found.at_once) == ("cuda", 1, 12)


def test_a_gpu_of_the_head_is_none_of_a_cluster_that_has_none(monkeypatch):
    found = place("--ray-address", "h:1", cluster=(0, 0), here=1, monkeypatch=monkeypatch)
    assert (found.gpu, found.device, found.processes) == (False, "cpu", 1)
    with pytest.raises(ValueError, match="no node of the cluster has a GPU: give --device cpu"):
        place("--ray-address", "h:1", "--device", "cuda", cluster=(0, 0), here=1, monkeypatch=monkeypatch)


def test_side_by_side_needs_ray(monkeypatch):
    with pytest.raises(ValueError, match="one process: leave out --parallel, or use ray"):
        place("--launcher", "inprocess", "--parallel", monkeypatch=monkeypatch)


def test_jobs_side_by_side_are_each_trained_once_and_failures_are_told(tmp_path, monkeypatch):
    from nas.retrain import run

    both, trained = threading.Barrier(2, timeout=60), []

    def train_one(job, folder, launch, stream):
        both.wait()  # passes only if two run at once
        trained.append(job)
        return [f"{job} failed"] if job == 3 else []

    monkeypatch.setattr(run, "_train_one", train_one)
    assert _train_all([1, 2, 3, 4], tmp_path, print, None, 2) == ["3 failed"]
    assert sorted(trained) == [1, 2, 3, 4]


@pytest.mark.slow
def test_winners_side_by_side_are_trained_as_alone(tmp_path, wcpa_of_ten, capsys):
    import finished_search

    from nas.retrain.trained import find_members

    scores = []
    for name, more in (("alone", ["--launcher", "inprocess"]), ("beside", ["--parallel", "--gpus", "2"])):
        run = finished_search.write(tmp_path / name, wcpa_of_ten)
        assert main([str(run), "--top", "2", "--device", "cpu", "--quiet", *SHORT, *more]) == 0
        scores.append({m.arch.id: m.l_error_mm for m in find_members(run)})
    assert len(scores[0]) == 3 and scores[0] == pytest.approx(scores[1], rel=1e-3)


@pytest.mark.slow
def test_a_retraining_asks_the_cluster_and_no_gpu_run_falls_back_to_a_cpu(tmp_path, wcpa_of_ten, capsys):
    import finished_search

    run = finished_search.write(tmp_path / "run", wcpa_of_ten)
    with Nodes(tmp_path / "elsewhere") as nodes:
        nodes.add("pretends", num_gpus=2)
        argv = [str(run), "--top", "1", "--no-control", "--quiet", *SHORT, "--ray-address", nodes.address]
        assert main([*argv, "--parallel"]) == 1
    assert "this run holds a GPU and torch" in capsys.readouterr().err


def test_an_error_that_a_thread_could_not_tell_is_raised(tmp_path, monkeypatch):
    from nas.retrain import run

    def train_one(job, folder, launch, stream):
        if job == 2:
            raise KeyboardInterrupt
        return []

    monkeypatch.setattr(run, "_train_one", train_one)
    with pytest.raises(KeyboardInterrupt):
        _train_all([1, 2, 3], tmp_path, print, None, 2)
