"""Times of many networks on a machine that does other things too.

What disturbs a time makes it longer: other work, a neighbour on the same memory, a lower clock. So the
time of a network is the least of several readings, and the readings lie far apart: every network is run once
before any is run again. (On a shared virtual machine single readings scattered by 23 %; from one half of
eleven passes to the other medians differed by 9.5 %, the least by 3.3 %.)

Networks that take long to make, as compiled ones, are made a few at a time and stay until all their readings
are taken. Then groups lie far apart, so their times are put in relation to a reference's in the same group.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from proxy_tasks.latency.networks import Run
from space.arch import ArchSpec

LEAST_SECONDS = 0.01  # of one reading: faster networks run several times
READINGS = 2  # of a network each time that it is there

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Timed:
    """An architecture, the milliseconds of its forward pass, and the same by each half of the passes."""

    arch: ArchSpec
    milliseconds: float
    halves: tuple[float, float] | None = field(default=None, compare=False)

    @classmethod
    def least(cls, arch: ArchSpec, seconds: Sequence[float], unit: float = 1.0) -> Timed:
        """Of one reading a pass."""
        scale = 1e3 * unit
        halves = (scale * min(seconds[::2]), scale * min(seconds[1::2])) if len(seconds) > 1 else None
        return cls(arch, scale * min(seconds), halves)


def timed(
    specs: Sequence[ArchSpec],
    forward: Callable[[ArchSpec], Run],
    *,
    passes: int,
    seconds: float | None = None,
    tick: Callable[[int], None] = lambda done: None,
    clock: Clock = time.perf_counter,
) -> list[Timed]:
    """Each of `specs`, or as many of the first as can be read in `passes` passes within `seconds`.

    A network is made anew for every reading. tick is told how many readings are done.
    """
    if specs:
        forward(specs[0])()  # the first network wakes the machine, and would be no measure of the others
    start, found = clock(), list[list[float]]()

    def over(ahead: float) -> bool:
        return seconds is not None and clock() - start + ahead > seconds

    visits, a_visit = list[float](), 0.0
    for spec in specs:
        before = clock()
        found.append([_read(forward(spec), clock)])
        tick(len(found))
        visits.append(clock() - before)
        a_visit = statistics.median(visits)
        if over(a_visit * ((passes - 1) * len(found) + passes)):
            break
    done = len(found)
    for _ in range(1, passes):
        for spec, readings in zip(specs, found, strict=False):
            if over(a_visit):
                break
            readings.append(_read(forward(spec), clock))
            done += 1
            tick(done)
    return [Timed.least(spec, readings) for spec, readings in zip(specs, found, strict=False)]


def timed_in_groups(
    specs: Sequence[ArchSpec],
    forward: Callable[[ArchSpec], Run],
    *,
    passes: int,
    group: int,
    clear: Callable[[], None],
    reference: Callable[[], Run],
    seconds: float | None = None,
    tick: Callable[[int], None] = lambda done: None,
    clock: Clock = time.perf_counter,
) -> list[Timed]:
    """The same with `group` networks at a time, each made once; `clear` is called before each group.

    A time is the least of the network's readings by the least of the reference's in its group, times the
    least of the reference's of all.
    """
    start, references, found = clock(), list[float](), list[tuple[ArchSpec, list[float], float]]()
    for first in range(0, len(specs), group):
        clear()
        some = specs[first : first + group]
        runs = [reference(), *(forward(spec) for spec in some)]
        by_run = list(zip(*([_read(run, clock) for run in runs] for _ in range(passes)), strict=True))
        references.append(min(by_run[0]))
        found += [(spec, list(each), references[-1]) for spec, each in zip(some, by_run[1:], strict=True)]
        tick(len(found) * passes)
        spent = clock() - start
        if seconds is not None and spent + spent / len(found) * group > seconds:
            break
    unit = min(references)
    return [Timed.least(spec, readings, unit / local) for spec, readings, local in found]


def _read(run: Run, clock: Clock) -> float:
    """Seconds of one run: the least of READINGS, each the mean of as many runs as can be timed."""
    run()  # which compiles, picks kernels and fills caches
    least, times = float("inf"), 1
    for _ in range(READINGS):
        start = clock()
        for _ in range(times):
            run()
        least = min(least, (clock() - start) / times)
        times = max(1, round(LEAST_SECONDS / max(least, 1e-6)))
    return least
