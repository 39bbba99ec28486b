"""Synthetic faces a second on one core, and where the time goes.

    OMP_NUM_THREADS=1 python tests/bench/bench_synthesis.py

NUMBERS
"""

from __future__ import annotations

import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from proxy_tasks.jmlr.synthetic import dataset, pose, raster
from proxy_tasks.jmlr.synthetic.frames import Studio, encode
from proxy_tasks.jmlr.synthetic.model import default_model

FRAMES = 5
REPEATS = 5


def median_ms(work: Callable[[int], object], count: int) -> float:
    """Median CPU time of work(0), ..., work(count - 1), after two unmeasured calls, milliseconds."""
    for k in (0, 1):
        work(k)
    seconds = []
    for k in range(count):
        start = time.process_time()
        work(k)
        seconds.append(time.process_time() - start)
    return 1e3 * statistics.median(seconds)


def images_a_second(size: int, subjects: int) -> list[float]:
    """Rate of whole data sets written to disk in this process, start-up left out."""
    rates = []
    for repeat in range(REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            order = dataset._Order(Path(folder), subjects, FRAMES, size, repeat)
            studio = Studio(default_model(), size, repeat)
            dataset._write_subject(studio, order, subjects)
            start = time.process_time()
            for index in range(subjects):
                dataset._write_subject(studio, order, index)
            rates.append(subjects * FRAMES / (time.process_time() - start))
    return rates


def stages(size: int) -> dict[str, float]:
    """Milliseconds an image of each stage; a person is shared by FRAMES images."""
    studio = Studio(default_model(), size, 0)
    people = [studio.subject(k) for k in range(8)]
    images = [person.frame(0).image for person in people]
    return {
        "person (shape, texture)": median_ms(studio.subject, 24) / FRAMES,
        "frame (pose, render, noise)": median_ms(lambda k: people[k % 8].frame(k), 60),
        "jpeg": median_ms(lambda k: encode(images[k % 8], dataset.JPEG_QUALITY), 40),
    }


def raster_against_painter() -> tuple[float, float]:
    """Milliseconds for one head at 800 x 800: rasterise (z-buffer, 6 smooth attributes) and a painter's
    loop over cv2.fillConvexPoly (sorted triangles, one flat colour each)."""
    studio = Studio(default_model(), 800, 0)
    person = studio.subject(0)
    rest = person.rest.astype(np.float64)
    points = (studio.head.place(rest, rest, person.look) + [0.0, 0.0, -0.53]).astype(np.float32)
    xy = pose.project(points, 800)
    triangles = studio.head.triangles[raster.facing(xy, studio.head.triangles)]
    corners = np.random.default_rng(0).random((6, len(triangles), 3)).astype(np.float32)
    inverse = np.reciprocal(-points[:, 2])

    def painter(_: int) -> None:
        image = np.zeros((800, 800, 3), np.uint8)
        order = np.argsort(points[triangles, 2].sum(1))
        for corner in np.round(xy[triangles[order]] * 16).astype(np.int32):
            cv2.fillConvexPoly(image, corner, (90, 120, 200), cv2.LINE_8, 4)

    def ours(_: int) -> None:
        raster.rasterise(xy, inverse, triangles, corners, 800, 800)

    return median_ms(ours, 40), median_ms(painter, 40)


def main() -> None:
    cv2.setNumThreads(1)
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, one core;",
        end=" ",
    )
    print(f"numpy {np.__version__}, OpenCV {cv2.__version__}")
    for size, subjects in ((800, 20), (320, 40)):
        rates = images_a_second(size, subjects)
        low, high = min(rates), max(rates)
        print(
            f"{size} x {size}: {statistics.median(rates):.0f} images/s with JPEG and labels on disk", end=" "
        )
        print(f"(median of {REPEATS} x {subjects * FRAMES}, {low:.0f} to {high:.0f})")
        for name, milliseconds in stages(size).items():
            print(f"    {name:30s} {milliseconds:6.2f} ms an image")
    ours, painter = raster_against_painter()
    print(
        f"rasterise {ours:.1f} ms, painter's loop over cv2.fillConvexPoly {painter:.1f} ms: {painter / ours:.1f} x"
    )


if __name__ == "__main__":
    main()
