"""What the search itself costs: the driver at 2,000 trials, and how busy Ray's workers are.

    python tests/bench/bench_overhead.py driver [--trials 2000] [--workers 64] [--strategy tpe]
    python tests/bench/bench_overhead.py ray [--seconds 5] [--trials 16]
    python tests/bench/bench_overhead.py ray --seconds 4 --trials 300 --workers 16

driver: the real driver, store (journal file, fsync) and sampler against virtual workers. Trials take
virtual time, the driver's calls the time that they really take, and while it is busy a worker that asks
waits: so the utilisation is what a cluster would see of a driver on this machine. Memory is the process's.
ray: a real search on Ray with the stand-in; utilisation is the trials' seconds over the slots' time, from
when all workers are up to when the first runs out, and again from the very first start to the very last end.
--workers gives each worker a fraction of a core.

2-core Intel Xeon, nothing else running, Python 3.11.7, optuna 5.0.0, ray 2.60.0, one run each:

    driver: tpe, 2027 trials of 60 s, 64 workers: 23.3 ms a trial (22.5 ms of processor), utilisation 95.3 %
    driver: random, 2027 trials of 60 s, 64 workers: 4.8 ms a trial (4.3 ms of processor), utilisation 95.8 %
    memory at 500, 1,000, 1,500, 2,000 trials: 258, 264, 271, 275 MB (tpe); 255, 260, 266, 270 MB (random)
    ray: 32 trials of 5 s on 2 slots: utilisation 99.0 % with all up, 99.0 % with start and end; median gap
        0.05 s a trial; first began after 8.8 s, all up after 8.8 s
    ray: 304 trials of 4 s on 16 slots: utilisation 98.3 % with all up, 96.8 % with start and end; median gap
        0.06 s a trial; first began after 31.9 s (16 workers import torch on two cores), all up after 32.9 s

Importing Ray costs 1.5 s more in every one of its processes where JupyterLab is installed beside it (the
extra `notebooks`), since jsonschema then builds a grammar of URLs (rfc3987_syntax): the first trial began
15.4 s after the command there, and after 8.8 s without it. A real trial of `mini` on warm synthetic faces
began after 9.4 s and took its first step after 11.0 to 12: in order 3.4 s of imports and data in the driver,
2.4 s for Ray, 3.6 s until both workers have imported Ray Tune and torch, 2 s for torch's optimizer (which
imports its compiler), the network and the data.
"""

from __future__ import annotations

import argparse
import heapq
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from nas.record.run_dir import RunDir
from nas.record.store import Store
from nas.search.config import SearchConfig
from nas.search.driver import Driver
from nas.search.plan import resolve
from nas.trials.standin import learning_curve
from nas.trials.trial import DONE, Ending, Job
from proxy_tasks.engine import Epoch
from space.machine import cores


class Stopwatch:
    """Real seconds of the driver's calls, on a clock that virtual workers share."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[float] = []
        self.processor = 0.0  # seconds of it, which other work on the machine does not lengthen

    def __call__(self, act: Callable[..., Any], *arguments: Any) -> Any:
        begun, worked = time.perf_counter(), time.process_time()
        result = act(*arguments)
        self.calls.append(time.perf_counter() - begun)
        self.processor += time.process_time() - worked
        self.now += self.calls[-1]
        return result


def simulate(trials: int, workers: int, strategy: str, seconds: float, folder: Path) -> None:
    config = SearchConfig("5.1GFLOPs", strategy=strategy, trials=trials, objective="x", finalists=8)
    run = RunDir(folder)
    run.write({"store": {}})
    driver = Driver(resolve(config, gpus=0), Store.open(folder, write=True), run.checkpoint)
    driver.slots = workers
    watch, queue, busy, ended = Stopwatch(), [], 0.0, 0
    free = workers
    while True:
        while free and isinstance(job := watch(driver.next), Job):
            free -= 1
            curve = learning_curve(job.arch, job.seed, job.intervals, 0.15)
            each = seconds * (0.8 + 0.4 * (hash(job.key) % 100) / 100) / job.intervals
            heapq.heappush(queue, (watch.now + each, job.key, 1, each, job, curve))
        if not queue:
            assert watch(driver.next) == DONE
            break
        at, key, interval, each, job, curve = heapq.heappop(queue)
        watch.now = max(watch.now, at)
        busy += each
        watch(driver.progress, job, Epoch(interval, interval, {"l_error_mm": curve[interval - 1]}, each))
        if interval < job.intervals:
            heapq.heappush(queue, (watch.now + each, key, interval + 1, each, job, curve))
            continue
        points = tuple(enumerate(curve, start=1))
        watch(driver.ended, job, Ending("complete", "", points, {}, each * job.intervals))
        free, ended = free + 1, ended + 1
        if ended % (trials // 4) == 0:
            print(f"  {ended:5d} trials: {1e3 * sum(watch.calls) / ended:6.1f} ms a trial, {memory():.0f} MB")
    print(
        f"driver: {strategy}, {ended} trials of {seconds:g} s on {workers} workers: "
        f"{1e3 * sum(watch.calls) / ended:.1f} ms a trial "
        f"({1e3 * watch.processor / ended:.1f} ms of processor), "
        f"utilisation {100 * busy / workers / watch.now:.1f} %, {memory():.0f} MB, "
        f"journal {run.study_log.stat().st_size / 1e6:.1f} MB"
    )


def memory() -> float:
    """Resident megabytes of this process."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1e3


def on_ray(trials: int, workers: int | None, seconds: float, folder: Path) -> None:
    slots = workers or cores()
    trials += -(trials + 3) % slots  # with the control's three a whole number of rounds
    command = [
        sys.executable, "-m", "nas.search", "--budget", "5.1GFLOPs", "--strategy", "random",
        "--objective", "nas.trials.standin:Standin", "--objective-args", f'{{"seconds": {seconds}}}',
        "--trials", str(trials), "--finalists", "1", "--cpus-per-trial", str(cores() / slots),
        "--out", str(folder / "run"), "--quiet",
    ]  # fmt: skip
    begun = time.time()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    records = [r for r in Store.open(folder / "run").records() if r.role != "repeat"]
    starts = [datetime.fromisoformat(r.started).timestamp() for r in records]
    ends = sorted(datetime.fromisoformat(r.finished).timestamp() for r in records)
    first, last = ends[0] - seconds, ends[slots - 1] - seconds  # when the first and the last worker began
    gap = statistics.median(ends[i] - ends[i - slots] for i in range(slots, len(ends))) - seconds
    busy = _busy(ends, seconds, last, ends[-slots]) / slots / (ends[-slots] - last)
    whole = len(ends) * seconds / slots / (ends[-1] - first)
    print(
        f"ray: {len(records)} trials of {seconds:g} s on {slots} slots: utilisation {100 * busy:.1f} % with "
        f"all up, {100 * whole:.1f} % with start and end; median gap {gap:.2f} s a trial; proposed after "
        f"{min(starts) - begun:.1f} s, first began after {first - begun:.1f} s, "
        f"all up after {last - begun:.1f} s"
    )


def _busy(ends: list[float], seconds: float, low: float, high: float) -> float:
    """Seconds of trials between two times."""
    return sum(max(0.0, min(end, high) - max(end - seconds, low)) for end in ends)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=["driver", "ray"])
    parser.add_argument("--trials", type=int)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--strategy", default="tpe")
    parser.add_argument("--seconds", type=float)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as folder:
        if arguments.what == "driver":
            seconds = arguments.seconds or 60.0
            workers = arguments.workers or 64
            simulate(arguments.trials or 2000, workers, arguments.strategy, seconds, Path(folder))
        else:
            on_ray(arguments.trials or 16, arguments.workers, arguments.seconds or 5.0, Path(folder))


if __name__ == "__main__":
    main()
