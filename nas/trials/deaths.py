"""Why a worker is gone, as Ray tells it, and a death by Ray's own hand that Ray Tune does not expect.

Where a machine runs out of memory, Ray's memory monitor ends workers, and Ray 2.60 reports that as neither
a dead actor nor a failed task: Tune raises `Caught unexpected exception` out of the whole search. Here it is
a dead worker like any other, and the driver is told to come back to that trial later.
tests/test_trials_deaths.py
"""

from __future__ import annotations

from typing import Any

import ray
from ray.air.execution._internal import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError
from ray.tune.execution import tune_controller

from nas.trials.places import Place
from nas.trials.trial import Ending


class _Manager(RayActorManager):
    """Ray's, which tells why while Tune works on a death."""

    cause: Exception | None = None

    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        _Manager.cause = exception
        if isinstance(exception, RayError) and not isinstance(exception, RayActorError | RayTaskError):
            exception = RayActorError(error_msg=str(exception))
        try:
            super()._actor_task_failed(tracked_actor_task, exception)
        finally:
            _Manager.cause = None


def expect_all() -> None:
    """Let Tune take every death of a worker for what it is."""
    tune_controller.RayActorManager = _Manager  # type: ignore[attr-defined, misc]


def ending_of(validations: int, place: Place | None) -> Ending:
    """How a trial ended whose worker is no more; meant for Searcher.on_trial_complete.

    Before the first validation the place is under suspicion; without one it is Ray that knows the node.
    """
    cause = _Manager.cause
    if isinstance(cause, OutOfMemoryError):
        return Ending("evicted", "its machine ran out of memory", place=place)
    text = str(cause).strip().splitlines() if cause is not None else []
    reason = "the worker process died" + (f" ({text[0].rstrip(':')})" if text else "")
    place = place or _node_of(cause)
    if validations or place is None or not _is_alive(place.node):
        return Ending("lost", reason, place=place)
    return Ending("misplaced", reason, place=place)


def _is_alive(node: str) -> bool:
    return any(n["NodeID"] == node and n["Alive"] for n in ray.nodes())


def _node_of(cause: Exception | None) -> Place | None:
    """Where an actor was that never came to say so: its node may lack this package."""
    try:
        from ray._private.state import actors

        node = actors(getattr(cause, "actor_id", None))["Address"]["NodeID"]
        name = next(n["NodeManagerHostname"] for n in ray.nodes() if n["NodeID"] == node)
    except Exception:  # private to Ray, and only a help
        return None
    return Place(node, name)
