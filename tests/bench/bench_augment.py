"""Augmented images a second, against only bringing the pixels to [-1, 1].

    python tests/bench/bench_augment.py [--device cuda] [--threads 1] [--json]

Batches of uint8 crops and labels of 1,220 vertices that are on the device already; medians over 30
batches, taken in turns. "standard" is what proxies use: mirror and colour. "moved" adds the turn,
scale and shift, and with them a resampling.

One thread of an Intel Xeon of two cores, torch 2.13.0, other work beside it; images a second:

    crop   batch    range only    standard    moved
     64 px    64       119,983      27,014    7,506
    128 px    64        10,483       7,299    1,120
    256 px    32         2,007       1,755      272
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from proxy_tasks.jmlr.augment import Augment, normalise

VERTICES = 1220


def ways(side: int, batch: int, device: torch.device) -> dict[str, Callable[[], object]]:
    images = torch.randint(0, 256, (batch, side, side, 3), dtype=torch.uint8, device=device)
    verts = torch.randn(batch, VERTICES, 3, device=device)
    points = torch.rand(batch, VERTICES, 2, device=device) * side
    flip = np.random.default_rng(0).permutation(VERTICES)
    generator = torch.Generator().manual_seed(0)
    standard = Augment(flip, side, device=device)
    moved = Augment(flip, side, degrees=5, scale=0.05, shift=0.03, device=device)
    return {
        "range only": lambda: normalise(images),
        "standard": lambda: standard.apply(images, verts, points, standard.draw(batch, generator)),
        "moved": lambda: moved.apply(images, verts, points, moved.draw(batch, generator)),
    }


def seconds(call: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batches", type=int, default=30)
    parser.add_argument("--json", action="store_true", help="one line of JSON at the end")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"{args.threads} CPU threads"
    print(f"{name}, torch {torch.__version__}")
    found = {}
    for side, batch in ((64, 64), (128, 64), (256, 32)) if device.type == "cpu" else ((128, 256), (256, 512)):
        calls = ways(side, batch, device)
        times = [{way: seconds(call, device) for way, call in calls.items()} for _ in range(args.batches + 3)]
        for way in calls:
            middle = statistics.median(t[way] for t in times[3:])  # the first are warm-up
            print(f"{side:4d} px  batch {batch:3d}  {way:10s} {batch / middle:9.0f} images/s")
            found[f"{side} px, batch {batch}, {way}"] = {"images_per_second": batch / middle}
    if args.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
