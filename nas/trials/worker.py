"""What a Ray worker does with a job: train it where it was placed, or say that the place will not do.

Before it trains, a worker shows where it is and looks for the mark that this search has put into its folder
of checkpoints: storage that is not shared would hold another folder by that name, and perhaps another
search's checkpoints. tests/test_trials_worker.py
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nas.trials.places import Place
from nas.trials.trial import Ending, Job, Objective, ObjectiveSpec, run
from proxy_tasks.engine import Epoch

MARK = "search"  # the file beside the checkpoints that says whose they are
LOOKS, PAUSE = 5, 2.0  # for the mark, and seconds between them: shared storage may be late

made: dict[str, Objective] = {}  # one objective a worker process: its data set stays open between trials


def train(config: dict[str, Any], send: Callable[[dict[str, str]], Any], place: Place) -> Ending:
    """Train the job of `config`; `send` hands plain values to the driver, and raises to stop the run."""
    job = Job.from_dict(json.loads(config["job"]))
    where = json.dumps(asdict(place))
    send({"place": where})
    try:
        require_mark(Path(job.checkpoint).parent, config["mark"])
        objective = _objective(config["objective"])
        hardware = objective.hardware()
    except Exception as error:
        return Ending("misplaced", f"{type(error).__name__}: {error}", place=place)

    def report(epoch: Epoch) -> bool:
        values = {
            "number": epoch.number,
            "epochs": epoch.epochs,
            "metrics": {name: float(value) for name, value in epoch.metrics.items()},  # no tensors
            "seconds": epoch.seconds,
        }
        send({"epoch": json.dumps(values), "hardware": hardware, "place": where})
        return True

    return run(job, objective, report).at(place)


def here(node: str, gpus: list[Any]) -> Place:
    """Where this process is, by its node's id and the GPUs that were lent to it."""
    return Place(node, socket.gethostname(), ",".join(map(str, gpus)))


def leave(ending: Ending) -> None:
    """End the process of a misplaced trial: a CUDA context that is lost is lost for all that come after."""
    if ending.status == "misplaced":
        os._exit(1)


def put_mark(folder: Path, mark: str) -> None:
    """Say whose checkpoints lie in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).write_text(mark)


def require_mark(folder: Path, mark: str) -> None:
    """RuntimeError unless `folder` is, as this process sees it, the one that the driver marked."""
    if not folder.is_absolute():
        raise RuntimeError(f"checkpoints are to be in {folder}, which is another folder on every node")
    for look in range(LOOKS):
        time.sleep(PAUSE if look else 0.0)
        try:
            if (folder / MARK).read_text() == mark:
                return
        except OSError:
            continue
    raise RuntimeError(
        f"{folder} is not this search's folder here: --out must be on storage that all nodes share"
    )


def _objective(text: str) -> Objective:
    if text not in made:
        made[text] = ObjectiveSpec(**json.loads(text)).make()
    return made[text]
