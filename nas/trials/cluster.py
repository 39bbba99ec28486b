"""Ray started here or joined, and how much fits on it."""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

# Before Ray is imported: offline, quiet, results one by one, no restore files every ten seconds.
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
    "TUNE_MAX_PENDING_TRIALS_PG": "1000000",  # _Source says how many wait
    "TUNE_RESULT_BUFFER_LENGTH": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
for _name, _value in _SETTINGS.items():
    os.environ.setdefault(_name, _value)

import ray  # noqa: E402

from nas.trials.resources import NoRoom, Resources, check_address, no_cluster, not_let_in  # noqa: E402
from space.machine import cores  # noqa: E402

log = logging.getLogger(__name__)
T = TypeVar("T")

OBJECT_STORE = 128 * 2**20  # bytes; results are small, and /dev/shm of a container often is too
FOLDER = "ray"  # inside the run directory, for as long as Ray runs
START_ATTEMPTS = 4


def connect(address: str | None, *, log_to_driver: bool = True) -> None:
    """Join the Ray cluster at `address`, or start Ray on this machine; NoRoom where no cluster answers.

    Ray gives its own processes 30 seconds to start, which a busy machine can need more than once.
    """
    options: dict[str, Any] = {"logging_level": logging.WARNING, "log_to_driver": log_to_driver}
    if address is None:
        options |= {"num_cpus": cores(), "include_dashboard": False, "object_store_memory": OBJECT_STORE}
        options["address"] = "local"  # or Ray would join another cluster of this machine, and refuse the rest
    else:
        options["address"] = address
        options["runtime_env"] = {"env_vars": settings()}
    if address is not None:
        check_address(address)
        try:
            ray.init(**options)
        except (ConnectionError, ValueError) as error:
            said = no_cluster(address) if address == "auto" else not_let_in(address)  # somebody listens there
            raise NoRoom(said) from error
        return
    for attempt in range(1, START_ATTEMPTS + 1):
        try:
            ray.init(**options)
            return
        except Exception as error:  # Ray raises a bare Exception when a node is slow to start
            log.warning("Ray did not start (attempt %d): %s", attempt, error)
            ray.shutdown()
            problem = str(error).splitlines()[0]
    raise RuntimeError(
        f"Ray did not start on this machine ({problem}): try again when it is less busy, "
        "or use --launcher inprocess, which works without Ray"
    )


def settings() -> dict[str, str]:
    """This process's own settings (JMLR_NAS_CACHE, ...), which hold for workers on all nodes."""
    return {name: value for name, value in os.environ.items() if name.startswith("JMLR_NAS_")}


@contextmanager
def cluster(
    resources: Resources, folder: Path | None, say: Callable[[str], None] = lambda text: None
) -> Iterator[None]:
    """Ray started or joined, then left and swept out of `folder`.

    NoRoom where not even one trial fits, and none ever will; of a cluster that can grow people are told.
    """
    connect(resources.address)
    try:
        if count_slots(resources) == 0:
            needs = f"a trial needs {resources.cpus:g} CPUs and {resources.gpus:g} GPUs"
            each = ", ".join(f"{n.get('CPU', 0):g} CPUs and {n.get('GPU', 0):g} GPUs" for n in nodes())
            if resources.address is None or not can_grow():
                raise NoRoom(
                    f"{needs}, and no node has that ({each}): lower --cpus-per-trial or --gpus-per-trial"
                )
            say(f"{needs}, and no node has that yet ({each}): waiting for the cluster to grow")
        yield
    finally:
        ray.shutdown()  # first, or its workers write on
        if folder is not None:
            shutil.rmtree(folder / FOLDER, ignore_errors=True)


def on_a_worker(resources: Resources, act: Callable[..., T], *arguments: Any) -> tuple[T, int]:
    """What `act` gives where a trial would run, on a cluster that is joined for it; and the slots there.

    NoRoom where no trial fits; the cluster of an autoscaler is waited for.
    """
    with cluster(resources, None, partial(print, file=sys.stderr, flush=True)):
        task = ray.remote(num_cpus=resources.cpus, num_gpus=resources.gpus, max_calls=1)(act)
        try:
            return ray.get(task.remote(*arguments)), max(1, count_slots(resources))
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None


def nodes(without: Collection[str] = ()) -> list[dict[str, float]]:
    """What each node that is alive has, by Ray's names (CPU, GPU), but those `without`, by id."""
    return [n["Resources"] for n in ray.nodes() if n["Alive"] and n["NodeID"] not in without]


def can_grow() -> bool:
    """Whether an autoscaler adds nodes for what waits.

    Ray has no question for that. Without an autoscaler the nodes' types are named after the nodes.
    """
    try:
        return _grows_by_status() or _grows_by_version()
    except Exception as error:  # private to Ray, and of no use without an answer
        log.info("whether the cluster can grow is not known: %s", error)
        return False


def _grows_by_status() -> bool:
    """By what Ray's first autoscaler notes every few seconds."""
    from ray.experimental.internal_kv import _internal_kv_get

    report = json.loads(_internal_kv_get("__autoscaling_status") or b"{}").get("autoscaler_report") or {}
    named = [*report.get("active_nodes", ()), *(report.get("node_type_mapping") or {}).values()]
    return any(not name.startswith("node_") for name in named)


def _grows_by_version() -> bool:
    """Of Ray's second: its state has a version where one is at work."""
    from ray.autoscaler.v2.sdk import get_cluster_status

    status = get_cluster_status(ray.get_runtime_context().gcs_address)
    named = [n.ray_node_type_name for n in (*status.active_nodes, *status.idle_nodes)]
    working = str(status.stats.autoscaler_version or "0") != "0"
    return working and any(not str(name).startswith("node_") for name in named)


def is_alive() -> bool:
    """Whether any node of the cluster is left; without one Tune would wait for ever."""
    try:
        return bool(nodes())
    except Exception:  # the control service is gone as well
        return False


def count_slots(resources: Resources, without: Collection[str] = ()) -> int:
    """Trials that fit at once on the nodes but those `without`, by id; a trial does not span nodes."""
    return sum(_fits(node, resources) for node in nodes(without))


def _fits(node: Mapping[str, float], resources: Resources) -> int:
    fits = math.floor(node.get("CPU", 0) / resources.cpus + 1e-6)
    if resources.gpus:
        fits = min(fits, math.floor(node.get("GPU", 0) / resources.gpus + 1e-6))
    return fits
