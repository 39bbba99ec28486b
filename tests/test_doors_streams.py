"""Printing never ends a command's work, whatever its output leads to and whatever letters that knows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from space.streams import PLAIN

ROOT = Path(__file__).parents[1]
SPACE = ["-m", "space", "--budget", "5.1GFLOPs", "--max-depth", "4", "--width-step", "32"]
WORK = """
import sys
from pathlib import Path
from space.commandline import door, parser_of
def work(args):
    for i in range(20000):
        print("line", i, "\\u00b1 \\u2013 \\u00e9 \\u4e2d \\udcff")
        if i % 100 == 0:
            print("progress", i, "\\u00b1", file=sys.stderr)
    Path(sys.argv[1]).write_text("done")
    return 0
sys.exit(door(lambda: parser_of("a.command", "x"), work, []))
"""


def shell(command: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `command`, in which PYTHON is the interpreter, WORK a command's code and DONE its result."""
    (tmp_path / "work.py").write_text(WORK)
    words = {"PYTHON": sys.executable, "WORK": str(tmp_path / "work.py"), "DONE": str(tmp_path / "done")}
    for name, value in words.items():
        command = command.replace(name, value)
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=ROOT, capture_output=True, text=True, errors="replace", env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    "plumbing",
    ["| head -1", "2>&1 | head -1", "2> >(head -1) >/dev/null", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-",
     "2>/dev/full", "| true", "2>&1 | true"],
)  # fmt: skip
def test_the_work_is_done_to_its_end_whoever_stops_reading(tmp_path, plumbing):
    done = shell(f"PYTHON WORK DONE {plumbing}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "done").read_text() == "done", "and no file of ours became standard output"
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


@pytest.mark.parametrize("arguments", ["WORK DONE", "-m space --help", " ".join(SPACE)])
def test_a_result_that_a_full_disk_takes_not_is_a_failure_in_a_sentence(tmp_path, arguments):
    done = shell(f"PYTHON {arguments} >/dev/full", tmp_path)
    assert done.returncode == 1
    assert ": what it printed is lost: No space left on device (free space" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "cp1252"])
def test_letters_that_a_terminal_does_not_know_are_written_plainly(tmp_path, encoding):
    done = shell("PYTHON WORK DONE", tmp_path, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    if encoding == "ascii":
        assert done.stdout.startswith("line 0 +- - e ? ?\n") and done.stderr.startswith("progress 0 +-\n")


def test_a_locale_without_utf8_reads_and_writes_as_well(tmp_path):
    done = shell(f"PYTHON {' '.join(SPACE)}", tmp_path, LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")
    assert done.returncode == 0 and done.stdout.isascii() and done.stderr == ""


def test_plain_letters_stand_for_the_rest():
    assert "5.2 ± 0.1 – é×中".encode("ascii", PLAIN) == b"5.2 +- 0.1 - ex?"
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", PLAIN)


SEARCH = (
    "PYTHON -m nas.search --budget 0.5GFLOPs --max-depth 6 --max-width 128 --width-step 16 --tolerance 0.1 "
    "--objective nas.trials.standin:Standin --launcher inprocess --trials 3 --out DONE"
)


@pytest.mark.parametrize("plumbing", ["2>&1 | head -1", "2> >(head -c 5)", ">&- 2>&-", "2>/dev/full"])
def test_a_search_goes_on_to_its_end_when_nobody_reads_of_its_progress(tmp_path, plumbing):
    done = shell(f"{SEARCH} {plumbing}", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "done/best/best.json").exists() and "Traceback" not in done.stderr
    assert (tmp_path / "done/log.txt").read_bytes().isascii(), "nothing was printed into a file of ours"


def test_a_search_tells_an_ascii_terminal_its_spread_and_its_answer(tmp_path):
    done = shell(SEARCH, tmp_path, PYTHONIOENCODING="ascii", LC_ALL="C")
    assert done.returncode == 0 and "+-" in done.stdout and done.stdout.isascii(), done.stderr


def test_an_answer_that_a_full_disk_takes_not_is_a_failure_and_the_search_is_whole(tmp_path):
    done = shell(f"{SEARCH} >/dev/full", tmp_path)
    assert done.returncode == 1 and "what it printed is lost" in done.stderr.splitlines()[-1]
    assert (tmp_path / "done/best/best.json").exists()
