"""Jobs that are to be started, and what becomes of one that did not end well.

A job is tried again where that can help: from its checkpoint when its worker died, on another node when it
failed before its first validation, after a pause when its machine ran out of memory, and alone on a whole
device when its share of one was too small. A job that waits for a whole device beside jobs that take parts
would wait for ever, and keep a place from them: such jobs are started when nothing else is left to start.
tests/test_search_waiting.py
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from nas.trials.places import Place, Places
from nas.trials.trial import Ending, Job

log = logging.getLogger(__name__)

ATTEMPTS = 3  # a job whose worker dies this often, or that fails in so many places, is recorded as failed
EVICTIONS = 8  # of a job; after each it pauses twice as long as before, from FIRST_PAUSE to LONGEST_PAUSE
FIRST_PAUSE, LONGEST_PAUSE = 10.0, 300.0  # seconds


class Waiting:
    """A queue of jobs with three ways in; `slots_alone` is how many slots a job takes that runs alone."""

    def __init__(
        self,
        places: Places,
        clock: Callable[[], float] = time.monotonic,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.slots_alone = 1
        self.places = places
        self._clock, self._say = clock, say
        self._ready: deque[Job] = deque()
        self._alone: deque[Job] = deque()
        self._later: list[tuple[float, Job]] = []  # by when to start them
        self._large: set[tuple[str, str]] = set()  # architectures, at a fidelity, that need a whole device

    def __bool__(self) -> bool:
        return bool(self._ready or self._alone or self._later)

    @property
    def ready(self) -> int:
        """Jobs that can start now beside others."""
        self._wake()
        return len(self._ready)

    @property
    def slots(self) -> int:
        """Slots that all of them will take."""
        return len(self._ready) + len(self._later) + len(self._alone) * self.slots_alone

    @property
    def held_back(self) -> list[Job]:
        """Jobs that pause, or want a whole device."""
        return [*self._alone, *(job for _, job in self._later)]

    def add(self, job: Job) -> None:
        """A new job, at the end."""
        if (job.arch.id, job.proxy.id) in self._large:
            self._alone.append(replace(job, alone=True))
        else:
            self._ready.append(job)

    def pop(self) -> Job | None:
        """The job to start now; one that runs alone only when no other is ready."""
        self._wake()
        queue = self._ready or self._alone
        return queue.popleft() if queue else None

    def once_more(self, job: Job, ending: Ending) -> bool:
        """Put `job` back where another attempt can help; whether it did."""
        again = self._again(job, ending)
        if again is None:
            return False
        if ending.status == "evicted":
            pause = min(FIRST_PAUSE * 2 ** (job.attempt - 1), LONGEST_PAUSE)
            self._later.append((self._clock() + pause, again))
        elif ending.status == "memory" and self.slots_alone > 1:
            self._large.add((job.arch.id, job.proxy.id))
            self._alone.append(again)
        else:
            self._ready.appendleft(again)
        return True

    def _again(self, job: Job, ending: Ending) -> Job | None:
        if ending.status == "memory" and not job.alone:
            log.warning("trial %s ran out of memory: once more, alone on a whole device", job.key)
            return replace(job, alone=True)
        if ending.status == "lost" and job.attempt < ATTEMPTS:
            log.warning("trial %s lost its worker (%s): again from its checkpoint", job.key, ending.reason)
            return replace(job, attempt=job.attempt + 1)
        if ending.status == "evicted" and job.attempt < EVICTIONS:
            log.warning("trial %s was ended because its machine ran out of memory: again later", job.key)
            return replace(job, attempt=job.attempt + 1)
        if ending.status == "misplaced" and ending.place is not None:
            return self._elsewhere(job, ending.place, ending.reason)
        return None

    def _elsewhere(self, job: Job, place: Place, reason: str) -> Job | None:
        """The job for another node, unless it has failed on enough that do well otherwise."""
        closes = self.places.failed(place, job.key, reason)
        if closes is not None:
            self._say(closes)
        moved = replace(job, failed_on=(*job.failed_on, place.node))
        if sum(node not in self.places.closed for node in moved.failed_on) < ATTEMPTS:
            log.warning("trial %s failed before its first validation on %s: again elsewhere", job.key, place)
            return moved
        self.places.blameless(job.key)
        return None

    def _wake(self) -> None:
        now = self._clock()
        due = [job for when, job in self._later if when <= now]
        self._later = [(when, job) for when, job in self._later if when > now]
        self._ready.extendleft(reversed(due))
