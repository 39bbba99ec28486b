"""Folders for work in progress go at the end, or after a kill at the next start, never while in use."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nas.files import scratch_folder

HOLD = """
import sys, time
from pathlib import Path
from nas.files import scratch_folder
with scratch_folder(Path(sys.argv[1]), "work") as folder:
    (folder / "large").write_bytes(b"0" * 1000)
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process inside its folder, and that folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    yield process, Path(process.stdout.readline().strip())
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_folder_is_gone_at_the_end_and_after_an_exception(tmp_path):
    with scratch_folder(tmp_path / "new", "work") as folder:
        assert folder.parent == tmp_path / "new" and folder.name.startswith(".work-")
    with pytest.raises(RuntimeError, match="no"), scratch_folder(tmp_path / "new", "work"):
        raise RuntimeError("no")
    assert list((tmp_path / "new").iterdir()) == []


def test_what_a_killed_process_left_goes_at_the_next_start(tmp_path, holder):
    process, left = holder
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (left / "large").exists()
    with scratch_folder(tmp_path, "other"):
        assert left.exists()  # of another name
    with scratch_folder(tmp_path, "work") as folder:
        assert list(tmp_path.iterdir()) == [folder]


def test_the_folder_of_a_living_process_is_left_alone(tmp_path, holder):
    _, theirs = holder
    with scratch_folder(tmp_path, "work"):
        assert (theirs / "large").exists()


@pytest.mark.parametrize("name", [".work-notes", ".work-12345678x", "work-abcdefgh", ".work-abcdefgh"])
def test_only_folders_of_the_same_making_are_removed(tmp_path, name):
    """The last one has the very name, but is a file."""
    (tmp_path / name).mkdir() if name != ".work-abcdefgh" else (tmp_path / name).touch()
    with scratch_folder(tmp_path, "work"):
        pass
    assert (tmp_path / name).exists()
