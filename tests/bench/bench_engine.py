"""Training images a second: the engine, a plain reference loop, and the same step on one fixed batch.

    python tests/bench/bench_engine.py [--device cuda --compile] [--resolution 256] [--batch 256]

The reference is what the published trainer does: float32, NCHW, DataLoader workers that decode the
photograph, cut, mirror and jitter the crop with OpenCV, one `.item()` a step. The fixed batch is the
engine's own step with nothing to fetch or augment, so engine / fixed says what the data path costs.
All three train ResNet-34 on the same synthetic faces. Rounds take turns (A B C A B C ...) and each
figure is the median over rounds, so that a machine's drift falls on all. On a GPU the model FLOPs
utilisation is printed too: 6 MACs an image over the device's dense bf16 peak.

Two-core Intel Xeon with AMX, 2 threads, torch 2.13.0 CPU, --rounds 7 --steps 10 --subjects 40, median of 7:
    reference        61.9 images/s      engine 193.6      fixed batch 196.2
    engine / reference 3.14 (target 3)      engine / fixed batch 0.987 (target 0.97)
Of a step of some 165 ms, products of patches for the maps of C4 and C5 save 80 (proxy_tasks/small_conv.py),
contiguous views for the optimizer 15. What is left is memory: casts of the weights 25 ms, the optimizer 12.
No GPU number has been measured: the command above is ready for one.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
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
from space import REFERENCES

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


def reference_rounds(path: Path, task: JmlrTask, device: torch.device, batch: int, steps: int, workers: int):
    """Seconds of `steps` steps of the plain loop, again and again."""
    model = build_model(REFERENCES["resnet34"], task.outputs).to(device).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)
    size = task.proxy.resolution

    def forever():
        while True:
            yield from DataLoader(
                PlainFaces(path, size), batch, shuffle=True, num_workers=workers, drop_last=True,
                pin_memory=device.type == "cuda", multiprocessing_context="spawn", persistent_workers=True,
            )  # fmt: skip

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
    task: JmlrTask, device: torch.device, steps: int, *, fixed: bool = False, launch: str = "eager"
):
    """Seconds of `steps` engine steps, again and again; on one batch held on the device where `fixed`."""
    model = build_model(REFERENCES["resnet34"], task.outputs)
    run = _Run(model, task, task.proxy.replace(epochs=10_000), 0, device, World(), launch=launch)
    task.prepare(model)
    first = next(iter(task.batches(plan_steps(run.proxy, run.length, task.train_size, 0, range(1)), World())))
    run.model.train()
    done = 0
    while True:
        start = time.perf_counter()
        if fixed:
            total = sum(run._step(done + i, *first) for i in range(steps))
            float(total)
        else:
            run._train(range(done, done + steps))
        done += steps
        yield time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--compile", action="store_true", help="time torch.compile too")
    parser.add_argument("--steps", type=int, default=12, help="a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--workers", type=int, default=2, help="of the reference's DataLoader")
    parser.add_argument("--subjects", type=int, default=60)
    args = parser.parse_args()
    device = resolve_device(args.device)
    with tempfile.TemporaryDirectory() as folder:
        path = synthesize(Path(folder) / "faces", subjects=args.subjects, frames=16, size=800)
        proxy = PROXIES["mini"].replace(resolution=args.resolution, batch=args.batch)
        task = JmlrTask.open(path, proxy, device)
        Length.of(proxy, task.train_size)
        kinds = {
            "reference": reference_rounds(path, task, device, args.batch, args.steps, args.workers),
            "engine": engine_rounds(task, device, args.steps),
            "fixed batch": engine_rounds(task, device, args.steps, fixed=True),
        }
        if args.compile:
            kinds["compiled"] = engine_rounds(task, device, args.steps, launch="compiled")
        seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
        for number in range(args.rounds + 1):
            for kind, rounds in kinds.items():
                elapsed = next(rounds)
                if number:  # the first is warm-up
                    seconds[kind].append(elapsed)
        report(seconds, args, device)


def report(seconds: dict[str, list[float]], args: argparse.Namespace, device: torch.device) -> None:
    print(f"{hardware(device)}, torch {torch.__version__}")
    print(f"ResNet-34 at {args.resolution} px, batch {args.batch}")
    images = args.steps * args.batch
    rate = {kind: images / statistics.median(values) for kind, values in seconds.items()}
    for kind, values in seconds.items():
        low, high = images / max(values), images / min(values)
        print(f"{kind:12s} {rate[kind]:8.1f} images/s   ({low:.1f} to {high:.1f}, {len(values)} rounds)")
    paired = {
        k: statistics.median(a / b for a, b in zip(seconds[k], seconds["engine"], strict=True))
        for k in seconds
    }
    print(f"engine / reference    {paired['reference']:.2f}   (target {3 if device.type == 'cpu' else 2.5})")
    print(f"engine / fixed batch  {paired['fixed batch']:.3f}   (target 0.97)")
    if "compiled" in paired:
        print(f"compiled / engine     {1 / paired['compiled']:.2f}")
    peak = next((p for name, p in PEAK_BF16.items() if name in hardware(device)), None)
    if peak:
        flops = 6 * REFERENCES["resnet34"].macs(args.resolution)
        print(f"model FLOPs utilisation {rate['engine'] * flops / peak:.1%} of {peak / 1e12:.0f} TFLOP/s")


if __name__ == "__main__":
    main()
