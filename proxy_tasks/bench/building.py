"""Train what a table lacks: run after run here, or in several processes that share a machine or a GPU.

A run that fails costs no other. With several processes each takes the next run as soon as it is free; on
one GPU they fill what a small network at a small batch leaves idle. One that dies takes those beside it
along, for what it died of (memory, mostly) would meet them too; an interrupt ends all at once.
tests/test_bench_building.py
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from proxy_tasks.bench.rows import Row, require_same_data
from proxy_tasks.bench.run import Entry, train
from proxy_tasks.bench.table import CANDIDATE
from proxy_tasks.jmlr.task import fingerprint_of
from proxy_tasks.jmlr.wcpa.dataset import WcpaDataset

Outcome = tuple[Entry, Row | BaseException]


@dataclass(frozen=True, slots=True)
class Work:
    """What every run of a build has in common."""

    data: Path
    test: Path | None
    device: str = "cpu"
    threads: int = 1  # of a CPU, each process

    def require_data(self, done: Sequence[tuple[Entry, Row]] = ()) -> None:
        """DataError where there is no data set: said once, not by every run.

        ValueError where runs that are `done` had other people than these, to train on or to be tested on.
        """
        paths = {"data": self.data, **({"test_data": self.test} if self.test else {})}
        opened = {name: WcpaDataset.open(path, check_files=False) for name, path in paths.items()}
        here: dict[tuple[str, str], str] = {}
        for entry, row in done:
            ours = {}
            for name, dataset in opened.items():
                if (name, entry.proxy.id) not in here:
                    here[name, entry.proxy.id] = fingerprint_of(dataset, entry.proxy)
                ours[name] = here[name, entry.proxy.id]
            require_same_data(row, {"key": entry.key, **ours})

    def do(self, entry: Entry) -> Row:
        """One run."""
        return train(entry, self.data, self.test, self.device)

    def prepare(self) -> None:
        """Of each process, before its first run."""
        import torch

        torch.set_num_threads(self.threads)

    def prepare_one_of_several(self) -> None:
        """As `prepare`; an interrupt of the terminal is left to the process that asks."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.prepare()


def outcomes(entries: Sequence[Entry], work: Work, workers: int = 1, seconds: float = 0) -> Iterator[Outcome]:
    """Each run's row, or what it failed with, as they end; none is begun once `seconds` (if any) are over."""
    end = time.monotonic() + seconds if seconds else float("inf")
    if workers > 1 and entries:
        yield from _together(entries, work, min(workers, len(entries)), end)
        return
    work.prepare()
    for entry in entries:
        if time.monotonic() >= end:
            return
        yield entry, _tried(partial(work.do, entry))


def _together(entries: Sequence[Entry], work: Work, workers: int, end: float) -> Iterator[Outcome]:
    waiting, going = iter(entries), dict[Future[Row], Entry]()
    fresh = multiprocessing.get_context("spawn")  # CUDA cannot be used after a fork
    before = set(multiprocessing.active_children())
    with ProcessPoolExecutor(workers, fresh, initializer=work.prepare_one_of_several) as pool:
        try:
            while True:
                while len(going) < workers and time.monotonic() < end:
                    entry = next(waiting, None)
                    if entry is None:
                        break
                    going[pool.submit(work.do, entry)] = entry
                if not going:
                    return
                for future in wait(going, return_when=FIRST_COMPLETED).done:
                    yield going.pop(future), _tried(future.result)
        except BrokenProcessPool:
            for entry in going.values():
                yield entry, RuntimeError("a process beside it died")
        except BaseException:
            for child in set(multiprocessing.active_children()) - before:
                child.terminate()
            raise


def part_of(entries: Sequence[Entry], part: int, of: int) -> list[Entry]:
    """Every `of`-th, from the `part`-th (from 0); where candidates are compared with a control, seed by seed.

    Else one machine could have all runs of the one, another all of the other.
    """
    if any(entry.role == CANDIDATE for entry in entries):
        seeds = sorted({entry.seed for entry in entries})[part::of]
        return [entry for entry in entries if entry.seed in seeds]
    return list(entries[part::of])


def _tried(work: Callable[[], Row]) -> Row | BaseException:
    try:
        return work()
    except Exception as error:
        return error
