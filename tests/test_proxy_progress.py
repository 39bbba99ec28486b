"""Progress where there is no terminal: a line after five seconds, then ever more rarely."""

from __future__ import annotations

import io
import itertools

from proxy_tasks.progress import Lines, bar


class Clock:
    """Seconds that pass when told."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_lines_come_first_after_five_seconds_and_then_at_most_one_a_minute():
    stream, clock, at = io.StringIO(), Clock(), []
    with Lines(7200, "img", "crops", stream, clock) as lines:
        for second in range(7200):
            clock.now = 100.0 + second + 1
            before = stream.tell()
            lines.update(1)
            if stream.tell() > before:
                at.append(second + 1)
    gaps = [b - a for a, b in itertools.pairwise(at)]
    assert at[0] == 5 and max(gaps) == 60 and gaps == sorted(gaps) and len(at) < 150
    shown = stream.getvalue().splitlines()
    assert shown[0] == "crops: 5 of 7,200 img, 2.0 h left" and shown[-1] == "crops: 7,200 img in 7200 s"


def test_what_is_over_at_once_says_nothing_and_neither_does_what_is_quiet(capsys):
    with bar(3, "img", "crops") as quick:
        quick.update(3)
    with bar(3, "img", "crops", show=False) as silent:
        silent.update(3)
    assert capsys.readouterr().err == ""
