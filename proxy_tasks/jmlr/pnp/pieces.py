"""Pieces of a batch: a few thousand rows on a GPU, on a CPU a share for each thread.

torch splits every operation over its threads and waits for all of them. For operations of tens of
microseconds that gains little, and on a machine busy with something else the waits dominate. So here each
thread runs the operations of a whole piece alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import TypeVar

import torch
from torch import Tensor

Result = TypeVar("Result")

# Rows of a piece: enough to hide the cost of starting an operation, few enough for the memory that it needs.
LEAST, MOST, MOST_ON_GPU = 64, 512, 2048


def map_pieces(function: Callable[..., Result], *tensors: Tensor) -> list[Result]:
    """function(*piece) for consecutive pieces of tensors with a common first dimension, in order."""
    device, threads = tensors[0].device, torch.get_num_threads()
    share = -(-len(tensors[0]) // threads)
    size = min(MOST, max(LEAST, share)) if device.type == "cpu" else MOST_ON_GPU
    pieces = zip(*(tensor.split(size) for tensor in tensors), strict=True)
    if device.type == "cpu" and threads > 1:
        return list(_pool(os.getpid(), threads).map(lambda piece: function(*piece), pieces))
    return [function(*piece) for piece in pieces]


@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """One pool for a process (a fork inherits none of its parent's threads)."""
    pool = ThreadPoolExecutor(threads, "pieces", initializer=_work_alone)
    # A worker's setting is its own, but also what threads that start later begin with. So start all the
    # workers now (each task holds one until the last has begun), and set that back.
    together = Barrier(threads)
    list(pool.map(lambda _: together.wait(), range(threads)))
    torch.set_num_threads(threads)
    return pool


def _work_alone() -> None:
    """One thread for each operation of this worker; a first look at the setting later would undo it."""
    torch.get_num_threads()
    torch.set_num_threads(1)
