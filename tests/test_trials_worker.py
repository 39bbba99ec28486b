"""What a Ray worker refuses before it trains: the wrong folder, no GPU where it holds one, other rows."""

import json

import pytest
from nas_tools import PROXY

from nas.trials import worker
from nas.trials.places import Place
from nas.trials.training import ProxyTraining, require_device
from nas.trials.trial import Ending, Job
from proxy_tasks.proxy import Proxy
from space import REFERENCES

HERE = Place("n", "here", "0")
SMALL = Proxy("p", resolution=64, epochs=1, batch=8, least_steps=0)


def config(folder, objective="nas.trials.standin:Standin", mark="ours", **arguments):
    job = Job("s", 0, "proposal", REFERENCES["resnet34"], 0, PROXY, str(folder / "s_0.pt"), 6)
    return {
        "job": json.dumps(job.to_dict()),
        "objective": json.dumps({"path": objective, "arguments": arguments}),
        "mark": mark,
        "gpus": 0.0,
    }


def test_a_worker_trains_only_beside_the_mark_of_its_search(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "PAUSE", 0.0)
    ending = worker.train(config(tmp_path), print, HERE)
    assert ending.status == "misplaced" and ending.place == HERE
    assert "--out must be on storage that all nodes share" in ending.reason
    worker.put_mark(tmp_path, "another search's")
    assert worker.train(config(tmp_path), print, HERE).status == "misplaced"
    worker.put_mark(tmp_path, "ours")
    assert worker.train(config(tmp_path), print, HERE).status == "complete"


def test_a_relative_folder_is_refused_by_a_worker(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    worker.put_mark(tmp_path / "runs", "ours")
    with pytest.raises(RuntimeError, match="another folder on every node"):
        worker.require_mark(tmp_path.relative_to(tmp_path) / "runs", "ours")


def test_an_objective_that_this_node_cannot_make_is_the_nodes_fault(tmp_path):
    worker.put_mark(tmp_path, "ours")
    ending = worker.train(config(tmp_path, "not_installed:Here"), print, HERE)
    assert ending.status == "misplaced" and "there is no objective" in ending.reason


@pytest.mark.parametrize("status", ["complete", "stopped", "failed", "memory", "misplaced"])
def test_only_a_misplaced_trial_takes_its_process_with_it(monkeypatch, status):
    left = []
    monkeypatch.setattr(worker.os, "_exit", left.append)
    worker.leave(Ending(status))
    assert left == ([1] if status == "misplaced" else [])


def test_a_run_that_holds_a_gpu_never_trains_on_the_cpu(tmp_path, wcpa_of_ten, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    worker.put_mark(tmp_path, "ours")
    asked = config(tmp_path, "nas.trials.training:ProxyTraining", data=str(wcpa_of_ten), device="cuda")
    ending = worker.train(asked, print, HERE)
    assert ending.status == "misplaced" and "this run holds a GPU and torch" in ending.reason
    require_device("cpu")
    require_device("auto")


def test_a_worker_that_reads_other_rows_than_the_driver_does_not_train(tmp_path, wcpa_of_ten):
    data = str(wcpa_of_ten)
    driver = ProxyTraining(data, "cpu")
    rows = driver.facts(SMALL).rows
    assert len(rows) == 16

    def train(said):
        one = ProxyTraining(data, "cpu", threads=1, rows=said)
        return one.run(REFERENCES["resnet18"], 0, SMALL, tmp_path / "c.pt", lambda epoch: True)

    with pytest.raises(RuntimeError, match=f"rows {rows}, not 0000.* remove its crop cache"):
        train("0000")
