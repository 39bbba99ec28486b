"""No command is silent for more than five seconds: what it says then, and where."""

from __future__ import annotations

import io
import itertools
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from space import Budget, Caps, FeasibleSet, Space, telling
from space.scale import find_control
from space.telling import FIRST, SELDOM, Watch, doing

WORK = """
import sys, time
from pathlib import Path
from nas.cli import chatter_to
from space.commandline import door, parser_of
from space.telling import doing
def parser():
    p = parser_of("a.command", "x")
    p.add_argument("--quiet", action="store_true")
    p.add_argument("--log")
    return p
def work(args):
    print("begun", file=sys.stderr, end=" ", flush=True)
    if args.log:
        with chatter_to(Path(args.log)) as stream, doing("counting sheep"):
            print("\\nbaa", flush=True)
            time.sleep(1.3)
    else:
        with doing("counting sheep"):
            time.sleep(1.3)
    print("over", file=sys.stderr)
    return 0
sys.exit(door(parser, work))
"""


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Pipe:
    """A pipe's two ends: what is written to `stream` can be read."""

    def __init__(self) -> None:
        self.end, write = os.pipe()
        os.set_blocking(self.end, False)
        self.stream = os.fdopen(write, "w")
        self.raw = self.stream.buffer.raw  # type: ignore[attr-defined]

    def read(self) -> str:
        try:
            return os.read(self.end, 100_000).decode()
        except BlockingIOError:
            return ""

    def close(self) -> None:
        self.stream.close()
        os.close(self.end)


@pytest.fixture
def pipe():
    made = Pipe()
    yield made
    made.close()


@pytest.fixture
def screen():
    """A terminal of 40 columns; what is drawn there can be read at `end`."""
    import fcntl
    import struct
    import termios

    made = Pipe.__new__(Pipe)
    made.end, write = pty.openpty()
    fcntl.ioctl(write, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    os.set_blocking(made.end, False)
    made.stream = os.fdopen(write, "w")
    made.raw = made.stream.buffer.raw  # type: ignore[attr-defined]
    yield made
    made.close()


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    monkeypatch.delenv("JMLR_NAS_TELL_SECONDS")


def watched(place: Pipe, seconds: int, says: dict[int, bytes] = {}) -> list[tuple[int, str]]:  # noqa: B006
    """(second, what was said) of a watch that looks once a second; `says` is what else is printed."""
    clock = Clock()
    watch = Watch("nas.some", place.stream, clock)
    told = []
    for second in range(1, seconds + 1):
        clock.now = float(second)
        if second in says:
            watch.heard(place.raw, says[second])
        watch.look()
        if found := place.read():
            told.append((second, found))
    return told


def test_in_a_pipe_the_first_line_comes_within_five_seconds_and_further_ones_at_a_humane_interval(pipe):
    with doing("counting sheep"):
        told = watched(pipe, 3600)
    assert told[0] == (5, "nas.some: counting sheep (5 s so far)\n")
    gaps = [b - a for (a, _), (b, _) in itertools.pairwise(told)]
    assert gaps == sorted(gaps) and max(gaps) == SELDOM and len(told) < 90
    assert telling._doing == []


def test_whoever_prints_is_not_talked_over(pipe):
    assert watched(pipe, 60, dict.fromkeys(range(1, 61, 4), b"line\n")) == []
    late = watched(pipe, 600, dict.fromkeys(range(1, 601, 50), b"line\n"))
    assert not [second for second, _ in late if second > 250], "a line a minute is enough for a long log"


def test_what_goes_to_a_log_breaks_no_silence(pipe, tmp_path):
    clock = Clock()
    watch = Watch("nas.some", pipe.stream, clock)
    with open(tmp_path / "log.txt", "wb", buffering=0) as log:
        clock.now = 4.0
        watch.heard(log, b"chatter\n")
        clock.now = 5.0
        watch.look()
    assert pipe.read() == "nas.some: at work (5 s so far)\n"


def test_on_a_terminal_something_moves_every_second_and_is_gone_when_others_print(screen):
    with doing("counting which of 1,000 architectures keep caps"):
        told = watched(screen, 8, {8: b"done\n"})
    assert [second for second, _ in told] == [3, 4, 5, 6, 7, 8]
    first = told[0][1]
    assert first == "\rnas.some: counting which of 1,000, 3 s" and len(first) <= 40
    assert told[-1][1] == "\r" + " " * len(first[1:]) + "\r"


def test_a_bar_that_stands_on_the_terminal_stays_and_shows_the_seconds(screen):
    bar = b"\r 12%|##   | 3 of 20 runs"
    told = watched(screen, 7, {1: bar})
    assert told[0] == (4, "\r 12%|##   | 3 of 20 runs, 3 s")
    assert told[1] == (5, "\r 12%|##   | 3 of 20 runs, 4 s")


def command(tmp_path: Path, *flags: str, **streams: int) -> subprocess.CompletedProcess[bytes]:
    (tmp_path / "work.py").write_text(WORK)
    environment = {**os.environ, "JMLR_NAS_TELL_SECONDS": "0.4", "PYTHONPATH": str(Path(__file__).parents[1])}
    argv = [sys.executable, str(tmp_path / "work.py"), *flags]
    return subprocess.run(argv, env=environment, check=False, **(streams or {"capture_output": True}))  # type: ignore[call-overload]


def test_a_command_in_a_terminal_shows_what_it_is_at_and_cleans_up(tmp_path, screen):
    done = command(tmp_path, stderr=screen.stream.fileno(), stdout=subprocess.DEVNULL)
    shown = screen.read()
    assert done.returncode == 0 and "\rbegun" in shown and ", 1 s" in shown
    assert shown.endswith("\rbegun over\r\n"), "the line that was open is drawn again, and goes on"


def test_a_command_whose_own_output_goes_to_a_log_still_tells(tmp_path, screen):
    done = command(
        tmp_path, "--log", str(tmp_path / "log.txt"), stderr=screen.stream.fileno(), stdout=subprocess.DEVNULL
    )
    shown = screen.read()
    assert done.returncode == 0 and ", 1 s" in shown
    assert (tmp_path / "log.txt").read_text() == "\nbaa\n"


def test_quiet_keeps_a_command_silent_and_without_it_a_pipe_gets_a_line(tmp_path):
    assert command(tmp_path).stderr.startswith(b"begun \na.command: counting sheep (")
    quiet = command(tmp_path, "--quiet")
    assert (quiet.returncode, quiet.stderr) == (0, b"begun over\n")


def test_caps_that_are_counted_are_named_while_they_are(monkeypatch):
    from space import capped

    seen, counted = [], capped.kept_counts
    monkeypatch.setattr(
        capped, "kept_counts", lambda *args: seen.append(telling._doing[-1]) or counted(*args)
    )
    small = FeasibleSet(Space(max_depth=3, width_step=32, max_width=128), Budget(10**9, 0.1), cache=False)
    small.within(Caps.parse({"params": "1x"}, find_control(small)[0]))
    assert seen and seen[0].startswith(f"counting which of {small.count:,} architectures have at most ")


def test_streams_that_a_test_or_notebook_put_there_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with telling.watched("nas.some") as watch:
        assert watch is None
    assert FIRST < 5
