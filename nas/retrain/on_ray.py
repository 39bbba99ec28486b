"""A full run as a Ray Train job, DDP over its processes.

The module is imported where Ray is used: it brings Ray and torch with it. tests/test_retrain.py
"""

from __future__ import annotations

import re
import shutil
import threading
from pathlib import Path
from typing import Any

from nas.trials.cluster import connect, count_slots  # first: it sets what Ray reads at import

# isort: split
import ray
import ray.train
import ray.train.torch
import torch
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from nas.retrain.job import RetrainJob
from nas.retrain.train import train
from nas.trials.resources import NoRoom, Resources
from proxy_tasks.engine import Epoch
from space.machine import cores


class RayLauncher:
    """One Ray Train job after another on one Ray session; usable as a context."""

    def __init__(self, run: Path, processes: int, gpu: bool, address: str | None):
        self.run, self.processes, self.gpu, self.address = run, processes, gpu, address

    def __enter__(self) -> RayLauncher:
        # Workers' logs stay in Ray's session: one says the same thing every second. Errors arrive anyway.
        connect(self.address, log_to_driver=False)
        room = count_slots(Resources(cpus=1.0, gpus=float(self.gpu)))
        if room < self.processes:
            self.__exit__()
            kind = "GPUs" if self.gpu else "CPU cores"
            raise NoRoom(
                f"--gpus {self.processes} asks for {self.processes} {kind} and there are {room}: lower it"
            )
        return self

    def __exit__(self, *_: object) -> None:
        ray.shutdown()

    def __call__(self, job: RetrainJob) -> None:
        """Train `job` to its end on the workers; RuntimeError with Ray's first reason where it cannot."""
        storage = job.folder(self.run).resolve() / "ray"
        trainer = TorchTrainer(
            _worker,
            train_loop_config={"job": job.to_dict(), "run": str(self.run.resolve()), "gpu": self.gpu},
            scaling_config=ScalingConfig(num_workers=self.processes, use_gpu=self.gpu),
            torch_config=TorchConfig(backend="nccl" if self.gpu else "gloo"),
            run_config=RunConfig(
                name="train", storage_path=str(storage), failure_config=FailureConfig(max_failures=2)
            ),
        )
        try:
            _fit(trainer)
        except Exception as error:  # TrainingFailedError and what the controller may raise
            raise RuntimeError(_reason(error)) from error
        finally:
            shutil.rmtree(storage, ignore_errors=True)


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

    def report(epoch: Epoch) -> bool:
        ray.train.report({"epoch": epoch.number, **epoch.metrics})
        return True

    context = ray.train.get_context()
    if not config["gpu"]:
        torch.set_num_threads(max(1, cores() // context.get_local_world_size()))
    device = ray.train.torch.get_device() if config["gpu"] else "cpu"
    train(RetrainJob.from_dict(config["job"]), Path(config["run"]), device=device, on_epoch=report)


def _reason(error: Exception) -> str:
    """The innermost line that says why, out of Ray's nested report."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(("File ", "Traceback", "^", "ray::"))]
    return re.sub(r"^[\w.]*(Error|Exception): ", "", said[-1]) if said else type(error).__name__
