"""Train the best architectures of a search in full.

    python -m nas.retrain runs/NAME --top 3 --gpus 8

Trains the K best architectures, the control, and any --spec under the `full` proxy
(the paper's schedule: 256x256, 40 epochs, batch 512), one after another, each as a
Ray Train job with DDP over --gpus processes; without GPUs the processes are CPU ones
that talk over gloo. With --parallel every network has one GPU to itself, and --gpus
of them train side by side: no GPU waits for another. Every number of the schedule
has a flag. The learning rate is meant at a batch of 512 and follows the batch.

Each run has runs/NAME/retrain/<arch>-<settings hash>-s<seed>/ with checkpoint.pt,
best.pt, history.csv, metrics.json and tensorboard/. The same command goes on where a
killed one stopped, at the same numbers. Cost on the challenge's data at full
schedule: 40 passes over 285,000 images a network.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from proxy_tasks.launching import LAUNCHES
from space.commandline import a_path, door, parser_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nas.retrain.job import RetrainJob
    from nas.retrain.request import Place
    from space.commandline import Parser

SCHEDULE = {  # fields of proxy_tasks.proxy.Proxy
    "resolution": (int, "side of the crop, pixels"),
    "epochs": (int, "passes over the training images"),
    "batch": (int, "global batch, over all processes"),
    "lr": (float, "learning rate at a batch of 512; it follows the batch"),
    "warmup_steps": (int, "optimizer steps of linear warm-up"),
    "power": (float, "of the poly decay"),
    "optimizer": (str, "sgd, or adamw, which takes --weight-decay alone"),
    "momentum": (float, "of SGD"),
    "weight_decay": (float, "of either"),
    "edge_weight": (float, "of the face loss's edge term (0.25); 0 leaves it out"),
    "average": (float, "share of the run over which the scored weights are averaged; 0 is none"),
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


METAVARS: dict[type, str] = {int: "N", float: "X", str: "NAME"}


def parser() -> Parser:
    """The flags of this command."""
    p = parser_of("nas.retrain", __doc__)
    what = p.add_argument_group("what to train")
    what.add_argument("run", type=a_path, metavar="RUN", help="folder of a search")
    what.add_argument(
        "--top", type=int, default=1, metavar="K", help="best architectures of the search (default 1)"
    )
    what.add_argument(
        "--spec",
        nargs="+",
        default=(),
        metavar="FILE|NAME",
        help="spec files, or references such as resnet34",
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
        how.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=METAVARS[kind], help=text)
    how.add_argument("--flip", action=argparse.BooleanOptionalAction, help="mirror every second image")
    how.add_argument("--batch-per-gpu", type=int, metavar="N", help="instead of --batch: images a process")
    where = p.add_argument_group("where")
    where.add_argument(
        "--gpus", type=int, metavar="N", help="processes, one a GPU (default: all of a machine, or 1)"
    )
    where.add_argument(
        "--launcher", choices=("ray", "inprocess"), default="ray", help="inprocess: one process, no Ray"
    )
    where.add_argument(
        "--parallel", action="store_true", help="several networks side by side, each on a GPU (or core) alone"
    )
    where.add_argument(
        "--ray-address", metavar="ADDRESS", help="cluster to join ('auto'); default: this machine"
    )
    where.add_argument(
        "--device", default="auto", choices=("auto", "cpu", "cuda"), help="auto: a GPU where there is one"
    )
    where.add_argument("--dry-run", action="store_true", help="say hours and memory, train nothing")
    where.add_argument(
        "--launch-steps", default="auto", choices=LAUNCHES, help="how steps reach a GPU (auto; docs/gpu.md)"
    )
    where.add_argument("--quiet", action="store_true", help="no progress on stderr")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    again = "run the same command again to go on from the last checkpoint"
    return door(parser, _run, argv, after_interrupt=again)


def _run(args: argparse.Namespace) -> int:
    from nas.retrain.request import plan_jobs, where_to_train
    from nas.retrain.run import in_process, run_jobs

    if args.launcher == "inprocess":
        place = where_to_train(args)
        jobs = plan_jobs(args, place)
        if told(args, jobs, place):
            return 0
        return run_jobs(jobs, args.run, in_process(args.run, place.device, place.launch), quiet=args.quiet)
    if args.ray_address is None:
        return _on_ray(args, where_to_train(args))
    from nas.retrain.on_ray import cluster_gpus

    with cluster_gpus(args.ray_address) as gpus:
        return _on_ray(args, where_to_train(args, gpus))


def _on_ray(args: argparse.Namespace, place: Place) -> int:
    from nas.retrain.request import plan_jobs
    from nas.retrain.run import run_jobs

    jobs = plan_jobs(args, place)
    if told(args, jobs, place):
        return 0
    from nas.retrain.on_ray import OneByOne, SideBySide

    if not args.quiet:
        there = "on this machine" if args.ray_address is None else f"at {args.ray_address}"
        print(f"training by Ray {there}, which takes a few seconds to start", file=sys.stderr, flush=True)
    launcher = (SideBySide if args.parallel else OneByOne)(args.run, place, args.ray_address)
    return run_jobs(jobs, args.run, launcher, at_once=place.at_once, quiet=args.quiet)


def told(args: argparse.Namespace, jobs: Sequence[RetrainJob], place: Place) -> bool:
    """Say what it will take where that was asked, or would surprise; whether that is all to be done."""
    from nas.retrain.forecast import announce, cost, describe
    from nas.retrain.run import is_complete

    if args.dry_run:
        print(describe(jobs, cost(jobs, place)))
        print("nothing was trained and nothing was written")
    elif not args.quiet:
        announce([job for job in jobs if not is_complete(job, args.run)], place)
    return bool(args.dry_run)


if __name__ == "__main__":
    sys.exit(main())
