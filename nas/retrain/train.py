"""Train one job: the same function alone in this process and in each process of a DDP group.

Rank 0 writes the folder's files. All processes must see the folder and the data,
so on several nodes both lie on shared storage; processes that resume at
different epochs stop with a sentence rather than train on in disagreement.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from nas.retrain.folder import RetrainFolder
from nas.retrain.job import RetrainJob
from proxy_tasks import checkpoint as checkpoints
from proxy_tasks.backbone import build_model
from proxy_tasks.distributed import distribute, world
from proxy_tasks.engine import Epoch, Outcome, fit, hardware, resolve_device
from proxy_tasks.kind import find_kind
from proxy_tasks.task import OpenTask, World


def train(
    job: RetrainJob,
    run: Path,
    *,
    device: str | torch.device = "auto",
    on_epoch: Callable[[Epoch], bool] | None = None,
    progress: bool = False,
    launch: str = "auto",
) -> Outcome:
    """Train `job` in its folder under `run`, from its checkpoint where there is one.

    `on_epoch` runs in every process after an epoch is recorded; False stops, where all say so.
    """
    place, device = world(), resolve_device(device)
    kind = find_kind(job.task)
    task = kind.open(job.data, job.proxy, device, progress=progress, trainval=job.trainval)
    if task.samples.id != job.data_id:
        raise RuntimeError(f"the data set {job.data} has changed since the run began: {task.samples.id}")
    folder = RetrainFolder(job.folder(run), job.trainval)
    about = {**describe(job, task, place, device), "score": kind.score.to_dict()}
    if place.rank == 0:
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.catch_up(about)
        folder.summarise(about, "running")
    _require_agreement(folder, place)
    model = build_model(job.arch, task.outputs, seed=job.seed)
    plain = model

    def record(epoch: Epoch) -> bool:
        if place.rank == 0:
            folder.add(epoch, _on_cpu(plain.state_dict()), about)
            folder.summarise(about, "running")
        return on_epoch is None or on_epoch(epoch)

    shared = distribute(model, device, job.proxy.batch // place.size)
    outcome = fit(
        shared, task, job.proxy, seed=job.seed, device=device, checkpoint=folder.checkpoint,
        on_epoch=record, world=place, launch=launch,
    )  # fmt: skip
    if place.rank == 0:
        folder.summarise(about, outcome.status, outcome.reason)
    return outcome


def describe(job: RetrainJob, task: OpenTask, place: World, device: torch.device) -> dict[str, Any]:
    """What metrics.json says of a run besides its scores; `best.pt` carries it too."""
    training, validation = task.split
    return {
        **task.target,
        **job.to_dict(),
        "arch_id": job.arch.id,
        "settings_id": job.settings_id,
        "proxy_id": job.proxy.id,
        "macs": job.arch.macs(outputs=task.outputs),
        "params": job.arch.params(outputs=task.outputs),
        "activations": job.arch.activations(outputs=task.outputs),
        "outputs": task.outputs,
        "split": {
            "id": split_id(validation),
            "training": len(training) + (len(validation) if job.trainval else 0),
            "validation": len(validation),
        },
        "images": {"training": task.train_size, "validation": task.validation_size},
        "processes": place.size,
        "hardware": hardware(device),
        "torch": str(torch.__version__),
        "begun": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def split_id(validation: tuple[str, ...]) -> str:
    """Short hash of the validation subjects."""
    return hashlib.sha256("/".join(sorted(validation)).encode()).hexdigest()[:12]


def _on_cpu(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in state.items()}


def _require_agreement(folder: RetrainFolder, place: World) -> None:
    """RuntimeError where the processes do not see the same checkpoint."""
    if place.size == 1:
        return
    state = checkpoints.load(folder.checkpoint)
    seen: list[Any] = [None] * place.size
    dist.all_gather_object(seen, -1 if state is None else len(state["history"]))
    if len(set(seen)) > 1:
        raise RuntimeError(
            f"the processes find different checkpoints in {folder.path} (epochs {seen}): "
            "the run's folder must be on storage that all nodes share"
        )
