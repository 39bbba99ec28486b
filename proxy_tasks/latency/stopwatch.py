"""Times of many networks, in one unit although the machine drifts.

Networks are made a few at a time and run in turns, a reference network among them. A network's time is the
median over the rounds of its time by the reference's, measured just before and just after the round, times
the reference's median over the whole run: a machine that is slower for a minute is slower for both.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from proxy_tasks.latency.networks import Run
from space.arch import ArchSpec

AT_ONCE = 6  # networks that take turns; torch.compile keeps 8 variants of one forward pass at most
LEAST_SECONDS = 0.01  # of one turn: faster networks run several times


@dataclass(frozen=True, slots=True)
class Timed:
    """An architecture and the milliseconds of its forward pass."""

    arch: ArchSpec
    milliseconds: float


def timed(
    specs: Sequence[ArchSpec],
    forward: Callable[[ArchSpec], Run],
    *,
    rounds: int,
    seconds: float | None = None,
    tick: Callable[[int], None] = lambda done: None,
    clear: Callable[[], None] = lambda: None,
    reference: Callable[[ArchSpec], Run] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Timed]:
    """Each of `specs`, or as many of the first as `seconds` allow; the first is the reference.

    tick       is told how many are done
    clear      is called between groups, when the networks of one are no longer needed
    reference  makes the reference where it is to run otherwise than the rest, as where making one takes long
    """
    start, references, shares = clock(), [], []
    for first in range(0, len(specs), AT_ONCE):
        group = specs[first : first + AT_ONCE]
        clear()
        runs = [forward(spec) for spec in group]
        around, each = _group((reference or forward)(specs[0]), runs, rounds, clock)
        references += around
        shares += each
        tick(len(shares))
        spent = clock() - start
        if seconds is not None and spent + spent / len(shares) * len(group) > seconds:
            break
    unit = statistics.median(references)
    return [Timed(spec, 1e3 * unit * share) for spec, share in zip(specs, shares, strict=False)]


def _group(
    reference: Run, runs: Iterable[Run], rounds: int, clock: Callable[[], float]
) -> tuple[list[float], list[float]]:
    """(rounds + 1) times of the reference, seconds, and each network's time by the reference's."""
    turns = [_Turn(run, clock) for run in runs]
    around, before = _Turn(reference, clock), []
    times: list[list[float]] = []
    for _ in range(rounds):
        before.append(around.seconds())
        times.append([turn.seconds() for turn in turns])
    before.append(around.seconds())
    local = [(a + b) / 2 for a, b in pairwise(before)]
    by_network: Iterator[tuple[float, ...]] = zip(*times, strict=True)
    return before, [statistics.median(t / r for t, r in zip(own, local, strict=True)) for own in by_network]


class _Turn:
    """A network's turn: as many runs as can be timed."""

    def __init__(self, run: Run, clock: Callable[[], float]) -> None:
        self._run, self._clock = run, clock
        run()  # which compiles, picks kernels and fills caches
        start = clock()
        run()
        self._times = max(1, round(LEAST_SECONDS / max(clock() - start, 1e-6)))

    def seconds(self) -> float:
        """Of one run, the mean of this turn's."""
        start = self._clock()
        for _ in range(self._times):
            self._run()
        return (self._clock() - start) / self._times
