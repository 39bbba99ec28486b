"""What a trial leaves in its process: no memory, and after Ctrl-C in torch's writer no verdict."""

from __future__ import annotations

import gc
import os
import signal
import threading
import weakref
from pathlib import Path

import pytest
import torch

from nas.trials import training
from nas.trials.training import ProxyTraining
from nas.trials.trial import Job, run
from proxy_tasks import checkpoint as checkpoints
from proxy_tasks import engine
from proxy_tasks.proxy import Proxy
from space import ArchSpec

PROXY = Proxy("tiny", resolution=32, epochs=1, batch=8)
SPEC = ArchSpec((1, 1, 1, 1), (8, 8, 8, 8))


def job(tmp_path: Path) -> Job:
    return Job("s", 0, "proposal", SPEC, 0, PROXY, str(tmp_path / "checkpoints" / "s_0.pt"), 1)


@pytest.fixture
def real(wcpa_of_ten):
    return ProxyTraining(str(wcpa_of_ten), "cpu")


def test_ctrl_c_while_a_checkpoint_is_written_leaves_the_trial_unfinished(tmp_path, real, monkeypatch):
    """It used to come out of torch's writer as a RuntimeError, which failed the trial for good."""
    started, go, write = threading.Event(), threading.Event(), checkpoints._Told.write

    def slow(file, data):
        started.set()
        go.wait()
        return write(file, data)

    def interrupt():
        started.wait()
        os.kill(os.getpid(), signal.SIGINT)
        go.set()

    monkeypatch.setattr(checkpoints._Told, "write", slow)
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        run(job(tmp_path), real, lambda epoch: True)
    state = checkpoints.load(Path(job(tmp_path).checkpoint))
    assert len(state["history"]) == 1
    ending = run(job(tmp_path), real, lambda epoch: True)  # which had been scored, and is not trained again
    assert ending.status == "complete" and ending.points[0][1] == state["history"][0]["metrics"]["l_error_mm"]


def test_a_network_that_ran_out_of_memory_is_gone_before_its_second_try(tmp_path, real, monkeypatch):
    seen = []

    def full(model, *_, **__):
        seen.append(weakref.ref(model))
        gradients = [torch.zeros_like(p) for p in model.parameters()]
        raise torch.OutOfMemoryError(f"CUDA out of memory beside {len(gradients)} gradients")

    monkeypatch.setattr(engine, "fit", full)
    gc.disable()
    try:
        assert run(job(tmp_path), real, lambda epoch: True).status == "memory"
        assert seen[0]() is None
    finally:
        gc.enable()


def test_memory_is_given_back_after_every_trial(tmp_path, real, monkeypatch):
    given = []
    monkeypatch.setattr(training, "give_back", lambda *_: given.append(True))
    assert run(job(tmp_path), real, lambda epoch: True).status == "complete"
    assert given == [True]


def test_the_driver_keeps_nothing_on_a_gpu(wcpa_of_ten, monkeypatch):
    """The mean face is scored on the CPU, and a worker's task on the device is opened by itself."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    objective = ProxyTraining(str(wcpa_of_ten))
    assert objective.facts(PROXY).baseline["l_error_mm"] > 0
    assert objective._tasks == {}
