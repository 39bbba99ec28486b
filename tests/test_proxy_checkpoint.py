"""When checkpoints are written, what spoils none of them, and which are refused."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
import warnings
from pathlib import Path

import pytest
import torch
from test_proxy_engine import PROXY, Net, Toy, numbers
from torch import nn

from proxy_tasks import checkpoint as checkpoints
from proxy_tasks.checkpoint import Saver
from proxy_tasks.engine import fit
from proxy_tasks.machine_errors import is_disk_full


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def saving(tmp_path, monkeypatch):
    """(saver, clock, path) with a minute between checkpoints."""
    clock, path = Clock(), tmp_path / "c.pt"
    return Saver(path, 60.0, clock=clock), clock, path


def number(path):
    return checkpoints.load(path)["number"]


def test_at_most_one_a_minute_is_written_and_the_last(saving):
    saver, clock, path = saving
    written = []
    with saver:
        for minute in range(10):  # an interval of 20 seconds
            clock.now += 20
            written.append(saver.offer(lambda m=minute: {"number": m}, last=minute == 9))
            while saver._writer.busy:
                time.sleep(0.001)
    assert written == [False, False, True, False, False, True, False, False, True, True]
    assert number(path) == 9 and number(checkpoints.previous(path)) == 8


def test_a_run_shorter_than_a_minute_has_none(saving):
    saver, clock, path = saving
    with saver:
        for step in range(5):
            clock.now += 11
            saver.offer(lambda: pytest.fail("not asked for"), last=step == 4)
    assert not path.exists()


def test_a_short_run_of_the_engine_leaves_no_file(tmp_path):
    fit(Net(), Toy(), PROXY, seed=0, checkpoint=tmp_path / "c.pt", checkpoint_seconds=60)
    assert list(tmp_path.iterdir()) == []


def test_the_setting_in_the_environment_is_read_and_checked(monkeypatch):
    monkeypatch.delenv(checkpoints.SETTING)
    assert checkpoints.every_seconds() == 60
    monkeypatch.setenv(checkpoints.SETTING, "7.5")
    assert checkpoints.every_seconds() == 7.5
    monkeypatch.setenv(checkpoints.SETTING, "often")
    with pytest.raises(ValueError, match="is a number of seconds, not 'often'"):
        checkpoints.every_seconds()


def test_training_goes_on_while_a_file_is_written_and_a_slow_disk_is_not_asked_for_more(saving, monkeypatch):
    saver, clock, path = saving
    written, go = checkpoints._write, threading.Event()
    monkeypatch.setattr(checkpoints, "_write", lambda *args: (go.wait(), written(*args)))
    weights = torch.ones(3)
    with saver:
        clock.now = 60
        assert saver.offer(lambda: {"weights": weights})
        weights.zero_()  # the next step
        clock.now = 600
        assert not saver.offer(lambda: pytest.fail("not asked for"))
        go.set()
    assert checkpoints.load(path)["weights"].tolist() == [1, 1, 1]


def test_ctrl_c_while_a_file_is_written_is_ctrl_c_and_the_file_is_whole(tmp_path, monkeypatch):
    """Inside torch's writer it used to come out as a RuntimeError about the position in the file."""
    started, go, write = threading.Event(), threading.Event(), checkpoints._Told.write

    def slow(self, data):
        started.set()
        go.wait()
        return write(self, data)

    def interrupt():
        started.wait()
        os.kill(os.getpid(), signal.SIGINT)
        go.set()

    monkeypatch.setattr(checkpoints._Told, "write", slow)
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save(tmp_path / "c.pt", {"number": 5, "weights": torch.randn(100, 100)})
    assert number(tmp_path / "c.pt") == 5 and [p.name for p in tmp_path.iterdir()] == ["c.pt"]


def test_ctrl_c_in_training_leaves_a_whole_checkpoint_to_go_on_from(tmp_path, monkeypatch):
    whole, path = fit(Net(), Toy(), PROXY, seed=0), tmp_path / "c.pt"
    write = checkpoints._write

    def interrupted(file, state):
        os.kill(os.getpid(), signal.SIGINT)
        write(file, state)

    monkeypatch.setattr(checkpoints, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(Net(), Toy(), PROXY, seed=0, checkpoint=path)
    monkeypatch.setattr(checkpoints, "_write", write)
    assert len(checkpoints.load(path)["history"]) >= 1
    assert numbers(fit(Net(seed=9), Toy(), PROXY, seed=0, checkpoint=path)) == numbers(whole)


class Full:
    """A file on a disk that is full after `room` writes."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        self.room -= 1
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.file.write(data)


@pytest.mark.parametrize("room", [0, 1, 3, 7])
def test_a_full_disk_is_an_error_of_the_disk_wherever_in_the_file_it_happens(tmp_path, monkeypatch, room):
    path, told = tmp_path / "c.pt", checkpoints._Told
    checkpoints.save(path, {"number": 1})
    monkeypatch.setattr(checkpoints, "_Told", lambda file: told(Full(file, room)))
    with pytest.raises(OSError, match="No space left") as caught:
        checkpoints.save(path, {"number": 2, "weights": torch.randn(1000)})
    assert is_disk_full(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"] and number(path) == 1


def test_ctrl_c_in_the_thread_that_writes_a_file_is_ctrl_c(tmp_path, monkeypatch):
    """As an export does, which has no thread for it."""

    class Interrupted:
        def __init__(self, file):
            self.error = None

        def write(self, data):
            self.error = KeyboardInterrupt()
            raise self.error

    monkeypatch.setattr(checkpoints, "_Told", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.write_file(tmp_path / "w.pth", {"a": torch.ones(3)})


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_full_disk_ends_a_run_with_that_error(tmp_path, monkeypatch, epochs):
    told = checkpoints._Told
    monkeypatch.setattr(checkpoints, "_Told", lambda file: told(Full(file, 2)))
    with pytest.raises(OSError, match="No space left"):
        fit(Net(), Toy(), PROXY.replace(epochs=epochs), seed=0, checkpoint=tmp_path / "c.pt")


class Wider(Net):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Linear(6, 2)


class Elsewhere(Toy):
    fingerprint = "other faces"


@pytest.mark.parametrize(
    ("model", "task", "changes", "words"),
    [
        (Wider, Toy, {}, "architecture [0-9a-f]{12}, not [0-9a-f]{12}"),
        (Net, Elsewhere, {}, "data toy, not other faces"),
        (Net, Toy, {"lr": 3.2}, "proxy toy-[0-9a-f]+, not toy-"),
    ],
)
def test_a_checkpoint_of_another_network_or_other_data_is_refused(tmp_path, model, task, changes, words):
    path = tmp_path / "c.pt"
    fit(Net(), Toy(), PROXY, seed=0, checkpoint=path)
    with pytest.raises(ValueError, match=rf"c\.pt is of another run \({words}"):
        fit(model(), task(), PROXY.replace(**changes), seed=0, checkpoint=path)


def test_a_checkpoint_of_an_older_format_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "c.pt"
    fit(Net(), Toy(), PROXY, seed=0, checkpoint=path)
    state = checkpoints.load(path)
    del state["identity"]["format"]
    checkpoints.save(path, state)
    with pytest.raises(ValueError, match="is of format 1, and this version writes 2: remove it"):
        fit(Net(), Toy(), PROXY, seed=0, checkpoint=path)


def test_a_checkpoint_holds_numbers_of_the_cpu_whatever_the_device(tmp_path):
    state = {"a": [torch.ones(2, requires_grad=True), {"b": (1, "x")}]}
    copy = checkpoints.on_cpu(state)
    assert copy["a"][0].data_ptr() != state["a"][0].data_ptr() and not copy["a"][0].requires_grad
    assert copy["a"][1] == {"b": [1, "x"]}


def test_saving_warns_of_nothing(tmp_path: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checkpoints.save(tmp_path / "a" / "c.pt", {"number": 1})
    assert number(tmp_path / "a" / "c.pt") == 1


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        OSError(errno.EIO, "Input/output error"),
    ],
)
def test_what_is_the_machines_fault_puts_no_good_checkpoint_aside(tmp_path, monkeypatch, error):
    path = tmp_path / "c.pt"
    for n in (1, 2):
        checkpoints.save(path, {"number": n})

    def fail(*args, **kwargs):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(torch, "load", fail)
        with pytest.raises(type(error)):
            checkpoints.load(path)
    assert number(path) == 2 and number(checkpoints.previous(path)) == 1
