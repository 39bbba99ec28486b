"""Crop cache: building, opening, sharing, and what checking a data set costs.

    python tests/bench/bench_cache.py [--images 400] [--data DIR]

On synthetic photographs of 800 x 800 pixels, or on a data set of one's own. The reference decodes
each photograph in full, converts it, warps it bilinearly (which aliases, see crops/cut.py) and reads its
labels with np.load, one after the other, and keeps nothing. Builds take turns with it, file contents
come from the page cache, and figures are medians over rounds: images a second by the clock, and a
second of processor time over all threads ("a core"), which other work on the machine hardly moves.
Memory is what a process adds on reading every crop: resident, and proportional to how many
processes share the pages.

Two cores of an Intel Xeon, Linux, Python 3.11, OpenCV 5.0.0, NumPy 2.4.6; 400 synthetic images,
median of 3 rounds, while other work took three quarters of the machine (so read "a core"):

    crop      images/s a core, 1 thread     reference     ratio     on disk an image
     64 px           436                       196         2.22          37 kB
    128 px           308                       185         1.66          74 kB
    256 px           129                       195         0.66         221 kB

At 256 px both decode in full, and the cache pays for four bilinear samples a pixel and for writing.
A finished cache opens in 1.5 ms. Three readers of 89 MB: each 87 MB resident, 29 MB its share.
Checking: 554 images/s a core.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from proxy_tasks.jmlr import camera
from proxy_tasks.jmlr.crops.cache import CropCache, open_cache
from proxy_tasks.jmlr.wcpa.dataset import WcpaDataset
from proxy_tasks.jmlr.wcpa.faults import find_faults
from space.machine import cores

READERS = 3


def reference(dataset: WcpaDataset, resolution: int) -> None:
    """Crops and labels in the plainest way."""
    for row in dataset.rows["train"]:
        image = cv2.cvtColor(cv2.imread(str(dataset.image_path(row))), cv2.COLOR_BGR2RGB)
        crop = camera.crop_transform(np.loadtxt(dataset.landmarks_path(row)), resolution)
        cv2.warpAffine(image, crop, (resolution, resolution))
        with np.load(dataset.info_path(row)) as stored:
            verts, pose = stored["verts"], stored["R_t"]
        size = (image.shape[1], image.shape[0])
        camera.project(verts, pose[:3, :3], pose[3, :3], dataset.projection, size)


def seconds(call: Callable[[], object]) -> tuple[float, float]:
    """Clock and processor seconds of a call."""
    clock, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - clock, time.process_time() - processor


def build(dataset: WcpaDataset, resolution: int, workers: int, root: Path) -> tuple[float, float]:
    shutil.rmtree(root, ignore_errors=True)
    return seconds(lambda: open_cache(dataset, resolution, root=root, workers=workers))


def _memory() -> np.ndarray:
    """Resident and proportional set size of this process, MB."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    found = {line.split(":")[0]: float(line.split()[1]) / 1e3 for line in lines[1:]}
    return np.array([found["Rss"], found["Pss"]])


def _read_all(path: Path, barrier, results) -> None:
    before = _memory()
    cache = CropCache.load(path)
    total = int(cache.images.sum(dtype=np.int64)) + float(cache.verts.sum()) + float(cache.points.sum())
    barrier.wait()
    results.put(_memory() - before)
    barrier.wait()
    assert total != 0


def shared_memory(path: Path) -> np.ndarray:
    """Mean resident and proportional MB that each of several readers adds."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(READERS), context.Queue()
    readers = [context.Process(target=_read_all, args=(path, barrier, results)) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    added = [results.get() for _ in readers]
    for reader in readers:
        reader.join()
    return np.mean(added, axis=0)


def _dataset(args: argparse.Namespace, folder: Path) -> Path:
    if args.data:
        return args.data
    from proxy_tasks.jmlr.synthetic import synthesize

    return synthesize(
        folder / "faces", subjects=max(args.images // 10, 2), frames=10, size=800, progress=True
    )


def compare_builds(dataset: WcpaDataset, resolution: int, rounds: int, root: Path) -> None:
    count, times = len(dataset.rows["train"]), dict[str, list[tuple[float, float]]]()
    for _ in range(rounds):
        for workers in (1, cores()):
            times.setdefault(f"{workers} threads", []).append(build(dataset, resolution, workers, root))
        times.setdefault("reference", []).append(seconds(lambda: reference(dataset, resolution)))
    middle = {label: np.median(values, axis=0) for label, values in times.items()}
    for label, (clock, processor) in middle.items():
        print(
            f"{resolution:4d} px  {label:10s} {count / clock:6.0f} images/s by the clock, "
            f"{count / processor:6.0f} a core   x {middle['reference'][1] / processor:.2f}"
        )


def measure_opening(dataset: WcpaDataset, resolution: int, root: Path) -> Path:
    cache = open_cache(dataset, resolution, root=root)
    opens = [seconds(lambda: open_cache(dataset, resolution, root=root))[0] for _ in range(20)]
    stored = sum(f.stat().st_size for f in cache.path.iterdir())
    milliseconds = statistics.median(opens) * 1e3
    print(f"         opens in {milliseconds:.1f} ms, {stored / len(cache) / 1e3:.0f} kB an image on disk")
    return cache.path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="a WCPA-layout data set (default: synthesised)")
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        dataset = WcpaDataset.open(_dataset(args, Path(name)))
        count, root = len(dataset.rows["train"]), Path(name) / "cache"
        print(f"{count} images, {cores()} cores, opencv {cv2.__version__}, numpy {np.__version__}")
        for resolution in (64, 128, 256):
            compare_builds(dataset, resolution, args.rounds, root)
            path = measure_opening(dataset, resolution, root)
        resident, share = shared_memory(path)
        print(f"{READERS} readers of the last: each {resident:.0f} MB resident, {share:.0f} MB its share")
        checks = [seconds(lambda: find_faults(dataset, workers=cores())) for _ in range(args.rounds)]
        clock, processor = np.median(checks, axis=0)
        print(f"check: {count / clock:.0f} images/s by the clock, {count / processor:.0f} a core")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
