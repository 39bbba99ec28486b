"""Train the best architectures of a search in full.

    python -m nas.retrain runs/NAME --top 3 --gpus 8

Trains the K best architectures, the control, and any --spec under the `full` proxy
(the paper's schedule: 256x256, 40 epochs, batch 512), one after another, each as a
Ray Train job with DDP over --gpus processes; without GPUs the processes are CPU ones
that talk over gloo. Every number of the schedule has a flag. The learning rate is
meant at a batch of 512 and follows the batch.

Each run has runs/NAME/retrain/<arch>-<settings hash>-s<seed>/ with checkpoint.pt,
best.pt, history.csv, metrics.json and tensorboard/. The same command goes on where a
killed one stopped, at the same numbers. Cost on the challenge's data at full
schedule: 40 passes over 285,000 images a network.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from space.commandline import a_path, door, parser_of
from space.machine import cores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nas.retrain.job import RetrainJob
    from space.commandline import Parser

SCHEDULE = {  # fields of proxy_tasks.proxy.Proxy
    "resolution": (int, "side of the crop, pixels"),
    "epochs": (int, "passes over the training images"),
    "batch": (int, "global batch, over all processes"),
    "lr": (float, "learning rate at a batch of 512; it follows the batch"),
    "warmup_steps": (int, "optimizer steps of linear warm-up"),
    "power": (float, "of the poly decay"),
    "momentum": (float, "of SGD"),
    "weight_decay": (float, "of SGD"),
    "evaluations": (int, "equally spaced validations and checkpoints; 0 is one an epoch"),
    "least_steps": (int, "optimizer steps at least: more epochs where the data are few (0 with --epochs)"),
    "subjects": (int, "training subjects; 0 is all"),
    "frames": (int, "training images a subject; 0 is all"),
    "validation_images": (int, "validation images, spread over the people; 0 is all"),
    "jitter": (float, "brightness, contrast and colour jitter"),
    "degrees": (float, "of random turn"),
    "scale": (float, "random relative size"),
    "shift": (float, "random shift, as a share of the crop's side"),
    "precision": (str, "auto, fp32 or bf16"),
}


def parser() -> Parser:
    """The flags of this command."""
    p = parser_of("nas.retrain", __doc__)
    p.add_argument("run", type=a_path, metavar="RUN", help="folder of a search")
    what = p.add_argument_group("what to train")
    what.add_argument(
        "--top", type=int, default=1, metavar="K", help="best architectures of the search (default 1)"
    )
    what.add_argument(
        "--spec", nargs="+", default=(), metavar="S", help="spec files or names such as resnet34"
    )
    what.add_argument("--no-control", dest="control", action="store_false", help="leave the control out")
    what.add_argument(
        "--seed", type=int, nargs="+", default=[0], metavar="N", help="one run for each (default 0)"
    )
    what.add_argument("--trainval", action="store_true", help="train on the validation subjects too")
    what.add_argument("--data", type=a_path, metavar="DIR", help="data set, where it is not the search's own")
    how = p.add_argument_group("schedule")
    how.add_argument(
        "--proxy", default="full", help="settings to start from: full (default), short, mini, or a JSON file"
    )
    for name, (kind, text) in SCHEDULE.items():
        how.add_argument(
            f"--{name.replace('_', '-')}", type=kind, metavar=kind.__name__[0].upper(), help=text
        )
    how.add_argument("--flip", action=argparse.BooleanOptionalAction, help="mirror every second image")
    how.add_argument("--batch-per-gpu", type=int, metavar="I", help="instead of --batch: images a process")
    where = p.add_argument_group("where")
    where.add_argument(
        "--gpus", type=int, metavar="N", help="processes of a run, one a GPU (default: all GPUs here, or 1)"
    )
    where.add_argument(
        "--launcher", choices=("ray", "inprocess"), default="ray", help="inprocess: one process, no Ray"
    )
    where.add_argument("--ray-address", metavar="A", help="cluster to join ('auto'); default: this machine")
    where.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    where.add_argument("--quiet", action="store_true", help="no progress on stderr")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    again = "run the same command again to go on from the last checkpoint"
    return door(parser, _run, argv, after_interrupt=again)


def _run(args: argparse.Namespace) -> int:
    from nas.retrain.run import in_process, plan_jobs, run_jobs, where_to_train

    place = where_to_train(args)
    jobs = plan_jobs(args, place)
    if place.launcher == "inprocess":
        return run_jobs(jobs, args.run, in_process(args.run, place.device), quiet=args.quiet)
    ray_jobs = RayLauncher(args.run, place.processes, place.gpu, args.ray_address)
    return run_jobs(jobs, args.run, ray_jobs, quiet=args.quiet)


class RayLauncher:
    """One Ray Train job after another on one Ray session; usable as a context."""

    def __init__(self, run: Path, processes: int, gpu: bool, address: str | None):
        self.run, self.processes, self.gpu, self.address = run, processes, gpu, address

    def __enter__(self) -> RayLauncher:
        from nas.trials.cluster import connect, count_slots
        from nas.trials.resources import NoRoom, Resources

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
        import ray

        ray.shutdown()

    def __call__(self, job: RetrainJob) -> None:
        """Train `job` to its end on the workers; RuntimeError with Ray's first reason where it cannot."""
        import shutil

        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchConfig, TorchTrainer

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
    import threading

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

    from nas.retrain.job import RetrainJob
    from nas.retrain.train import train
    from proxy_tasks.engine import Epoch

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


if __name__ == "__main__":
    sys.exit(main())
