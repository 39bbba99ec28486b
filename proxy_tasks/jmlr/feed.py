"""Batches of crops and labels on the device, from memory-mapped arrays.

Where the samples fit in what a process may keep on its GPU (proxy_tasks.memory)
they are copied there once and gathered there: a step then reads nothing from the
host. Feeds of the same rows share one copy. Otherwise a thread gathers the next
batches into pinned memory while the device computes. On a CPU the memory map is
gathered in place, so that workers share its pages.
tests/test_jmlr_feed.py; cost in tests/bench/bench_engine.py.

Notation   b  images of a batch     S  crop side, pixels     V  vertices
"""

from __future__ import annotations

import hashlib
import queue
import threading
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from proxy_tasks import memory
from proxy_tasks.jmlr.crops.cache import CropCache
from proxy_tasks.jmlr.heads import to_crop

AHEAD = 3  # batches gathered before they are asked for
CHUNK = 4096  # samples a copy when filling the device


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Batch:
    """images (b, S, S, 3) uint8 RGB; verts (b, V, 3) metres; points (b, V, 2) full-image pixels;
    crop (b, 2, 3), full-image to crop pixels."""

    images: Tensor
    verts: Tensor
    points: Tensor
    crop: Tensor

    @property
    def crop_points(self) -> Tensor:
        """(b, V, 2) crop pixels."""
        return to_crop(self.points, self.crop)

    def tensors(self) -> tuple[Tensor, ...]:
        return self.images, self.verts, self.points, self.crop

    def pinned(self) -> Batch:
        return Batch(*(t.pin_memory() for t in self.tensors()))

    def to(self, device: torch.device) -> Batch:
        return Batch(*(t.to(device, non_blocking=True) for t in self.tensors()))

    def take(self, index: Tensor) -> Batch:
        return Batch(*(t.index_select(0, index) for t in self.tensors()))


_resident: weakref.WeakValueDictionary[tuple[str, str, str], Batch] = weakref.WeakValueDictionary()


class Feed:
    """Some rows of a crop cache, as batches on a device."""

    def __init__(self, cache: CropCache, rows: np.ndarray, device: torch.device):
        """rows (n,) are indices into the cache; batches are asked for by position in `rows`."""
        self.rows, self.device = rows, device
        self.arrays = tuple(a for a in (cache.images, cache.verts, cache.points, cache.crop) if a is not None)
        self._source = str(cache.path)
        self.resident = self._kept() if device.type == "cuda" else None

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self, plan: Iterable[Tensor]) -> Iterator[Batch]:
        """One batch for each index tensor (b,) of `plan`, in order."""
        if self.resident is not None:
            for index in plan:
                there = index.pin_memory().to(self.device, non_blocking=True)  # pinned: not waited for
                yield self.resident.take(there)
        elif self.device.type == "cuda":
            yield from self._prefetched(plan)
        else:
            for index in plan:
                yield self._gather(index.numpy())

    def in_order(self, batch: int) -> Iterator[Batch]:
        """All samples once, in order."""
        return self.batches(torch.arange(len(self)).split(batch))

    def labels(self, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """verts (b, V, 3) and crop_points (b, V, 2) of all samples once, in order, on the CPU; no images."""
        for index in np.array_split(self.rows, range(batch, len(self), batch)):
            verts, points, crop = (torch.from_numpy(np.take(a, index, axis=0)) for a in self.arrays[1:])
            yield verts, to_crop(points, crop)

    @property
    def nbytes(self) -> int:
        """Bytes of all samples, which they take on a device where they are kept."""
        return len(self) * sum(a[0].nbytes for a in self.arrays)

    def _gather(self, index: np.ndarray) -> Batch:
        return Batch(*(torch.from_numpy(np.take(a, self.rows[index], axis=0)) for a in self.arrays))

    def _kept(self) -> Batch | None:
        """All samples on the device, where there is room; another feed's copy of them where there is one."""
        key = (self._source, hashlib.sha256(self.rows.tobytes()).hexdigest(), str(self.device))
        kept = _resident.get(key)
        if kept is None and self.nbytes <= memory.resident_budget(self.device):
            try:
                kept = self._upload()
            except torch.OutOfMemoryError as error:  # another process was quicker
                memory.give_back(error)
                return None
            _resident[key] = kept
            memory.note_resident(self.device, key, self.nbytes)
            weakref.finalize(kept, memory.note_resident, self.device, key, 0).atexit = False
        return kept

    def _upload(self) -> Batch:
        """All samples on the device, filled in place: joining chunks would take their memory twice."""
        whole = Batch(
            *(
                torch.empty((len(self), *sample.shape[1:]), dtype=sample.dtype, device=self.device)
                for sample in self._gather(np.arange(1)).tensors()
            )
        )
        for positions in np.array_split(np.arange(len(self)), -(-len(self) // CHUNK)):
            for all_rows, rows in zip(whole.tensors(), self._gather(positions).tensors(), strict=True):
                all_rows[positions[0] : positions[-1] + 1].copy_(rows)
        return whole

    def _prefetched(self, plan: Iterable[Tensor]) -> Iterator[Batch]:
        ready: queue.Queue[Batch | BaseException | None] = queue.Queue(AHEAD)
        stop = threading.Event()

        def put(item: Batch | BaseException | None) -> None:
            while not stop.is_set():
                try:
                    return ready.put(item, timeout=0.1)
                except queue.Full:
                    continue

        def work() -> None:
            try:
                for index in plan:
                    if stop.is_set():
                        return
                    put(self._gather(index.numpy()).pinned())
                put(None)
            except BaseException as error:
                put(error)

        thread = threading.Thread(target=work, daemon=True, name="feed")
        thread.start()
        try:
            while (item := ready.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item.to(self.device)
        finally:
            stop.set()
            thread.join()
