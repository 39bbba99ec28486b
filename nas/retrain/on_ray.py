"""Full runs on Ray: one after another over several GPUs, or side by side on one each.

`OneByOne` trains a network as a Ray Train job, a DDP process a GPU. `SideBySide` gives every network one GPU
to itself: no GPU waits for another, and batch norm sees a whole batch, so it is the better use of a machine
while there are as many networks as GPUs. tests/test_retrain.py, tests/test_retrain_cluster.py
"""

from __future__ import annotations

import re
import shutil
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nas.retrain.job import RetrainJob
from nas.retrain.request import Place
from nas.trials.cluster import can_grow, connect, count_slots, nodes  # before Ray: it sets what Ray reads
from nas.trials.resources import NoRoom, Resources
from space.machine import cores

# isort: split
import ray


@contextmanager
def cluster_gpus(address: str) -> Iterator[tuple[int, int]]:
    """Joined to a cluster: its GPUs, and its best node's; where it has none and can grow, one."""
    connect(address, log_to_driver=False)
    try:
        each = [int(node.get("GPU", 0)) for node in nodes()]
        least = 1 if can_grow() else 0
        yield max(sum(each), least), max([*each, least])
    finally:
        ray.shutdown()


class _Launcher(ABC):
    """Ray for the length of a `with` block, found to have room for what is asked."""

    def __init__(self, run: Path, place: Place, address: str | None) -> None:
        self.run, self.place, self.address = run, place, address

    def __enter__(self) -> Callable[[RetrainJob], None]:
        # Workers' logs stay in Ray's session: one says the same thing every second. Errors arrive anyway.
        if not ray.is_initialized():
            connect(self.address, log_to_driver=False)
        room = count_slots(Resources(cpus=1.0, gpus=float(self.place.gpu)))
        wanted = self.place.processes * self.place.at_once
        if room < wanted and not (self.address is not None and can_grow()):
            self.__exit__()
            kind = "GPUs" if self.place.gpu else "CPU cores"
            raise NoRoom(f"--gpus {wanted} asks for {wanted} {kind} and there are {room}: lower it")
        return self.train

    def __exit__(self, *_: object) -> None:
        ray.shutdown()

    @abstractmethod
    def train(self, job: RetrainJob) -> None:
        """Train `job` to its end; RuntimeError with the first reason where it cannot."""


class OneByOne(_Launcher):
    """A job is a Ray Train job over all processes."""

    def train(self, job: RetrainJob) -> None:
        """Train `job` to its end on the workers; RuntimeError with Ray's first reason where it cannot."""
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchConfig, TorchTrainer

        storage, gpu = job.folder(self.run).resolve() / "ray", self.place.gpu
        trainer = TorchTrainer(
            _worker,
            train_loop_config={
                "job": job.to_dict(),
                "run": str(self.run.resolve()),
                "gpu": gpu,
                "launch": self.place.launch,
            },
            scaling_config=ScalingConfig(num_workers=self.place.processes, use_gpu=gpu),
            torch_config=TorchConfig(backend="nccl" if gpu else "gloo"),
            run_config=RunConfig(
                name="train", storage_path=str(storage), failure_config=FailureConfig(max_failures=2)
            ),
        )
        try:
            _fit(trainer)
        except Exception as error:  # TrainingFailedError and what the controller may raise
            raise RuntimeError(reason(error)) from error
        finally:
            shutil.rmtree(storage, ignore_errors=True)


class SideBySide(_Launcher):
    """A job is one task of Ray's on one GPU; it is called from a thread for each that runs at once."""

    def train(self, job: RetrainJob) -> None:
        """Train `job` to its end in one process, begun again on another node where that one dies."""
        threads = max(1, cores() // self.place.at_once)
        task = ray.remote(num_cpus=1, num_gpus=int(self.place.gpu), max_retries=2)(_alone)
        try:
            run, place = str(self.run.resolve()), self.place
            ray.get(task.remote(job.to_dict(), run, place.gpu, threads, place.launch))
        except Exception as error:  # RayTaskError, or what Ray says of a worker that died
            raise RuntimeError(reason(error)) from error


def _alone(job: dict[str, Any], run: str, gpu: bool, threads: int, launch: str) -> None:
    """One whole run in this process."""
    import torch

    from nas.retrain.train import train
    from nas.trials.training import require_device

    device = "cuda" if gpu else "cpu"
    require_device(device)
    if not gpu:
        torch.set_num_threads(threads)
    train(RetrainJob.from_dict(job), Path(run), device=device, launch=launch)


def _fit(trainer: Any) -> None:
    """trainer.fit() in a thread: in the main one Ray Train takes Ctrl-C over, and exits with status 0."""
    raised: list[BaseException] = []

    def work() -> None:
        try:
            trainer.fit()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=work, daemon=True, name="ray-train")
    thread.start()
    while thread.is_alive():
        thread.join(0.2)  # in slices, so that a Ctrl-C is heard
    if raised:
        raise raised[0]


def _worker(config: dict[str, Any]) -> None:
    """What each Ray Train worker does; ray.train.report wants every worker to call it equally often."""
    import ray.train
    import torch

    from nas.retrain.train import train
    from nas.trials.training import require_device
    from proxy_tasks.engine import Epoch

    def report(epoch: Epoch) -> bool:
        ray.train.report({"epoch": epoch.number, **epoch.metrics})
        return True

    context = ray.train.get_context()
    if config["gpu"]:
        require_device("cuda")  # Ray would give the CPU without a word
    else:
        torch.set_num_threads(max(1, cores() // context.get_local_world_size()))
    device = ray.train.torch.get_device() if config["gpu"] else "cpu"
    job, run = RetrainJob.from_dict(config["job"]), Path(config["run"])
    train(job, run, device=device, on_epoch=report, launch=config["launch"])


def reason(error: Exception) -> str:
    """The innermost line that says why, out of Ray's nested report."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(("File ", "Traceback", "^", "ray::"))]
    return re.sub(r"^[\w.]*(Error|Exception): ", "", said[-1]) if said else type(error).__name__
