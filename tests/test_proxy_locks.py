"""Locks: one holder, who is named; a kill frees them; nothing is emptied or removed."""

import os
import signal
import subprocess
import sys

import pytest

from proxy_tasks.locks import HeldError, holder_of, is_held, locked

HOLD = """
import sys, time
from pathlib import Path
from proxy_tasks.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_second_is_refused_and_told_who_holds_it(tmp_path, holder):
    path = tmp_path / "lock"
    with pytest.raises(HeldError) as raised, locked(path):
        pass
    assert raised.value.holder.startswith(f"process {holder.pid} on ")
    assert is_held(path) and holder_of(path) == raised.value.holder, "asking has not emptied it"


def test_a_kill_frees_it(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert not is_held(tmp_path / "lock")
    with locked(tmp_path / "lock"):
        assert is_held(tmp_path / "lock")
        assert holder_of(tmp_path / "lock").startswith(f"process {os.getpid()} on ")


def test_who_waits_is_told_once_and_comes_in_afterwards(tmp_path, holder):
    told = []

    def waiting():
        told.append(True)
        holder.kill()

    with locked(tmp_path / "lock", waiting=waiting):
        assert told == [True]


def test_asking_makes_no_file_and_holding_leaves_it(tmp_path):
    assert not is_held(tmp_path / "lock") and not (tmp_path / "lock").exists()
    with locked(tmp_path / "lock"):
        pass
    assert (tmp_path / "lock").exists() and not is_held(tmp_path / "lock")


def test_a_place_that_cannot_be_locked_is_an_os_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError), locked(tmp_path / "file" / "lock"):
        pass
