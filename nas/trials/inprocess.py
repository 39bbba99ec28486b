"""Run the driver's jobs one after another in this process: no Ray, no waiting for actors.

The contract is that of nas/trials/on_ray.py: ask for a job, train, report, tell. For
debugging, for tests, and for machines where Ray is not welcome
(`--launcher inprocess`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from nas.trials.trial import DONE, Job, Jobs, Objective, run
from proxy_tasks.engine import Epoch
from space.telling import doing


class Rungs(Protocol):
    """A scheduler's question: may the run go on after this validation?"""

    def goes_on(self, job: Job, epoch: Epoch) -> bool: ...


class Guard(Protocol):
    """Whoever handles Ctrl-C: it may raise on the spot only while `safe`."""

    safe: bool


class _Unguarded:
    safe = False


def run_all(
    jobs: Jobs,
    objective: Objective,
    rungs: Rungs | None = None,
    *,
    tick: Callable[[], Any] = lambda: None,
    interrupts: Guard | None = None,
) -> None:
    """Until no job is left. `tick` is called after every validation and may raise."""
    guard = interrupts or _Unguarded()
    jobs.slots = 1
    while (job := jobs.next()) != DONE:
        assert isinstance(job, Job), "one job at a time: nothing can be in flight here"
        guard.safe = True
        with doing(f"training {job.arch.id} with seed {job.seed}"):
            ending = run(job, objective, _reporter(jobs, job, rungs, tick, guard))
        guard.safe = False
        if ending.status == "misplaced":  # and there is no other place
            ending = replace(ending, status="failed")
        jobs.ended(job, ending)
        tick()


def _reporter(
    jobs: Jobs, job: Job, rungs: Rungs | None, tick: Callable[[], Any], guard: Guard
) -> Callable[[Epoch], bool]:
    def report(epoch: Epoch) -> bool:
        guard.safe = False  # the store is about to be written
        jobs.progress(job, epoch)
        tick()
        guard.safe = True
        return rungs is None or rungs.goes_on(job, epoch)

    return report
