"""Training images a second: the engine, a plain reference loop, and the same step on one fixed batch.

    python tests/bench/bench_engine.py [--device cuda] [--resolution 256] [--batch 256]
        [--launch eager,graphs,compiled,compiled-graphs] [--network deep] [--json]

The reference is what the published trainer does: float32, NCHW, DataLoader workers that decode the
photograph, cut, mirror and jitter the crop with OpenCV and live as long as the run, one `.item()` a step.
The fixed batch is the engine's own step with nothing to fetch or augment, so engine / fixed says what the
data path costs. --launch names the ways to launch the engine's steps (proxy_tasks.launching); "engine"
is the first of them. All train ResNet-34 on the same synthetic faces, or with --network deep the deepest of
4,096 networks drawn at the same FLOPs, which a GPU waits for the CPU to launch. Rounds take turns (A B C A
B C ...) and each figure is the median over rounds, so that a machine's drift falls on all. On a GPU the model
FLOPs utilisation is printed too: 6 MACs an image over the device's dense bf16 peak.

Two-core Intel Xeon with AMX, 2 threads, torch 2.13.0 CPU, --rounds 7 --steps 10 --subjects 40, median of 7:
    reference        61.9 images/s      engine 193.6      fixed batch 196.2
    (the reference then began its loader's processes anew every epoch, so its figure is too low)
    engine / reference 3.14 (target 3)      engine / fixed batch 0.987 (target 0.97)
Of a step of some 165 ms, products of patches for the maps of C4 and C5 save 80 (proxy_tasks/small_conv.py),
contiguous views for the optimizer 15. What is left is memory: casts of the weights 25 ms, the optimizer 12.
No GPU number has been measured: tests/bench/gpu.sh is ready for one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from proxy_tasks.backbone import build_model
from proxy_tasks.engine import Length, _Run, hardware, plan_steps, resolve_device
from proxy_tasks.jmlr import camera, heads
from proxy_tasks.jmlr.losses import jmlr_loss
from proxy_tasks.jmlr.synthetic import synthesize
from proxy_tasks.jmlr.task import JmlrTask
from proxy_tasks.jmlr.wcpa import sample
from proxy_tasks.jmlr.wcpa.dataset import WcpaDataset
from proxy_tasks.proxy import PROXIES
from proxy_tasks.task import World
from space import REFERENCES, ArchSpec, Budget, FeasibleSet, Space

PEAK_BF16 = {"H200": 989e12, "H100": 989e12, "A100": 312e12}  # dense, FLOP/s, by the makers' sheets


class PlainFaces(Dataset):
    """Decode, cut, mirror and jitter one photograph at a time."""

    def __init__(self, path: Path, size: int):
        self.data, self.size = WcpaDataset.open(path), size
        self.rows, self.flip = self.data.rows["train"], self.data.topology.flip_index
        self.rng = np.random.default_rng(0)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        row, size = self.rows[i], self.size
        image = cv2.imread(str(self.data.image_path(row)))[:, :, ::-1]
        verts, R, T = sample.read_info(self.data.info_path(row))
        crop = camera.crop_transform(sample.read_landmarks(self.data.landmarks_path(row)), size)
        points = camera.project(verts, R, T, self.data.projection, image.shape[1::-1])
        points = points @ crop[:, :2].T + crop[:, 2]
        face = cv2.warpAffine(image, crop, (size, size), flags=cv2.INTER_LINEAR)
        if self.rng.random() < 0.5:
            face, verts, points = face[:, ::-1], verts[self.flip] * [-1, 1, 1], points[self.flip]
            points = np.stack([size - 1 - points[:, 0], points[:, 1]], 1)
        gain, offset = self.rng.uniform(0.8, 1.2), self.rng.uniform(-25, 25)
        face = np.clip(face * gain + offset, 0, 255).transpose(2, 0, 1) / 127.5 - 1
        return tuple(
            torch.tensor(np.ascontiguousarray(a), dtype=torch.float32) for a in (face, verts, points)
        )


def reference_rounds(
    spec: ArchSpec, path: Path, task: JmlrTask, device: torch.device, steps: int, workers: int
):
    """Seconds of `steps` steps of the plain loop, again and again."""
    batch = task.proxy.batch
    model = build_model(spec, task.outputs).to(device).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)
    size = task.proxy.resolution

    loader = DataLoader(
        PlainFaces(path, size), batch, shuffle=True, num_workers=workers, drop_last=True,
        pin_memory=device.type == "cuda", multiprocessing_context="spawn", persistent_workers=True,
    )  # fmt: skip

    def forever():
        while True:
            yield from loader

    batches, running = forever(), 0.0
    while True:
        start = time.perf_counter()
        for _ in range(steps):
            images, verts, points = (t.to(device) for t in next(batches))
            target = heads.split(heads.encode(verts, points, size))
            loss = jmlr_loss(*heads.split(model(images)), *target, task.edges)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            running += loss.item()
        yield time.perf_counter() - start


def engine_rounds(
    spec: ArchSpec,
    task: JmlrTask,
    device: torch.device,
    steps: int,
    *,
    fixed: bool = False,
    launch: str = "eager",
):
    """Seconds of `steps` engine steps, again and again; on one batch held on the device where `fixed`."""
    model = build_model(spec, task.outputs)
    run = _Run(model, task, task.proxy.replace(epochs=10_000), 0, device, World(), launch=launch)
    task.prepare(model)
    first = next(iter(task.batches(plan_steps(run.proxy, run.length, task.train_size, 0, range(1)), World())))
    run.model.train()
    done = 0
    while True:
        start = time.perf_counter()
        if fixed:
            total = torch.zeros((), device=device)
            for i in range(steps):
                total += run._step(done + i, *first)
            float(total)
        else:
            run._train(range(done, done + steps))
        done += steps
        yield time.perf_counter() - start


def network(name: str) -> ArchSpec:
    """resnet34, or the deepest of some thousand drawn at its FLOPs."""
    if name != "deep":
        return REFERENCES[name]
    feasible = FeasibleSet(Space(), Budget.parse("5.1GFLOPs", tolerance=0.02))
    return max(feasible.draw(4096, np.random.default_rng(0)), key=lambda spec: sum(spec.depths))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--launch", default="eager", help="ways to launch steps, with commas between")
    parser.add_argument("--network", default="resnet34", choices=("deep", *REFERENCES))
    parser.add_argument("--steps", type=int, default=12, help="a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--workers", type=int, default=2, help="of the reference's DataLoader; 0 leaves it out"
    )
    parser.add_argument("--subjects", type=int, default=60)
    parser.add_argument("--data", type=Path, help="faces made before, instead of --subjects")
    parser.add_argument("--json", action="store_true", help="one line of JSON at the end")
    args = parser.parse_args()
    device, spec = resolve_device(args.device), network(args.network)
    with tempfile.TemporaryDirectory() as folder:
        path = args.data or synthesize(Path(folder) / "faces", subjects=args.subjects, frames=16, size=800)
        proxy = PROXIES["mini"].replace(resolution=args.resolution, batch=args.batch)
        task = JmlrTask.open(path, proxy, device)
        Length.of(proxy, task.train_size)
        first, *ways = args.launch.split(",")
        kinds = {"engine": engine_rounds(spec, task, device, args.steps, launch=first)}
        kinds["fixed batch"] = engine_rounds(spec, task, device, args.steps, fixed=True, launch=first)
        if args.workers:
            kinds["reference"] = reference_rounds(spec, path, task, device, args.steps, args.workers)
        for way in ways:
            kinds[way] = engine_rounds(spec, task, device, args.steps, launch=way)
        seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
        peaks = {kind: warm_up(rounds, device) for kind, rounds in kinds.items()}
        for _ in range(args.rounds):
            for kind, rounds in kinds.items():
                seconds[kind].append(next(rounds))
        report(seconds, peaks, spec, args, device)


def warm_up(rounds: Iterator[float], device: torch.device) -> float:
    """Run one round; the bytes of the device that it added at most."""
    if device.type != "cuda":
        next(rounds)
        return 0.0
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    next(rounds)
    return float(torch.cuda.max_memory_allocated() - before)


def report(
    seconds: dict[str, list[float]],
    peaks: dict[str, float],
    spec: ArchSpec,
    args: argparse.Namespace,
    device: torch.device,
) -> None:
    print(f"{hardware(device)}, torch {torch.__version__}")
    print(f"{args.network} ({spec.id}) at {args.resolution} px, batch {args.batch}, engine: {args.launch}")
    images = args.steps * args.batch
    rate = {kind: images / statistics.median(values) for kind, values in seconds.items()}
    for kind, values in seconds.items():
        low, high = images / max(values), images / min(values)
        memory = f", {peaks[kind] / 1e9:.1f} GB" if peaks[kind] else ""
        print(
            f"{kind:16s} {rate[kind]:8.1f} images/s   ({low:.1f} to {high:.1f}, {len(values)} rounds{memory})"
        )
    paired = {
        kind: statistics.median(a / b for a, b in zip(values, seconds["engine"], strict=True))
        for kind, values in seconds.items()
    }
    for kind, ratio in paired.items():
        if kind == "reference":
            print(f"engine / reference    {ratio:.2f}   (target {3 if device.type == 'cpu' else 2.5})")
        elif kind == "fixed batch":
            print(f"engine / fixed batch  {ratio:.3f}   (target 0.97)")
        elif kind != "engine":
            print(f"{kind} / engine  {1 / ratio:.2f}")
    peak = next((p for name, p in PEAK_BF16.items() if name in hardware(device)), None)
    used = {k: r * 6 * spec.macs(args.resolution) / peak for k, r in rate.items()} if peak else {}
    if peak:
        print(f"model FLOPs utilisation {max(used.values()):.1%} of {peak / 1e12:.0f} TFLOP/s at best")
    if args.json:
        found = {
            kind: {"images_per_second": rate[kind], "seconds": seconds[kind], "peak_bytes": peaks[kind]}
            | ({"utilisation": used[kind]} if used else {})
            for kind in rate
        }
        print(json.dumps({"network": spec.id, "resolution": args.resolution, "batch": args.batch} | found))


if __name__ == "__main__":
    main()
