"""Predictions of trained networks over a crop cache, in full-image frames, as a stream.

An ensemble averages vertices and image-plane landmarks, each member's carried
back from its own crop and, where mirrored, from the mirror; the pose comes once,
from the average, by PnP. Members may see crops of different sizes. Nothing here
holds more than a chunk of the data set.

Everything runs in float32, all of its bits (proxy_tasks.precision), whatever a
network was trained in: results should not depend on the batch size.

Notation   b  images of a chunk     V  vertices     S  crop side, pixels
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nas.retrain.trained import Member
from proxy_tasks.engine import resolve_device
from proxy_tasks.jmlr import heads
from proxy_tasks.jmlr.augment import normalise
from proxy_tasks.jmlr.crops.build import BAD_LIMIT
from proxy_tasks.jmlr.crops.cache import CropCache, open_cache
from proxy_tasks.jmlr.wcpa.dataset import WcpaDataset
from proxy_tasks.machine_errors import is_out_of_memory
from proxy_tasks.memory import give_back
from proxy_tasks.precision import full_float32

LARGEST_BATCH = {"cuda": 1024, "cpu": 32}


@dataclass(frozen=True, slots=True)
class Prediction:
    """Of a chunk: rows (b,) of the cache, verts (b, V, 3) metres, points (b, V, 2) full-image pixels."""

    rows: np.ndarray
    verts: Tensor
    points: Tensor


@dataclass(frozen=True)
class Crops:
    """One split's crops at every resolution that the members need; rows mean the same image in all."""

    caches: dict[int, CropCache]

    @classmethod
    def open(
        cls,
        dataset: WcpaDataset,
        members: Sequence[Member],
        split: str,
        *,
        progress: bool = False,
        bad_limit: float = BAD_LIMIT,
    ) -> Crops:
        """Build or open the caches, where at most a share `bad_limit` of the images cannot be cropped.

        MemberError where a member is of another mesh.
        """
        for member in members:
            member.require_topology(dataset.topology, str(dataset.path))
        sizes = sorted({member.resolution for member in members})
        caches = {s: open_cache(dataset, s, split, progress=progress, bad_limit=bad_limit) for s in sizes}
        crops = cls(caches)
        if any(not np.array_equal(c.img_ids, crops.any.img_ids) for c in caches.values()):
            raise RuntimeError(f"the crops of {dataset.path} differ between resolutions: build them anew")
        return crops

    @property
    def any(self) -> CropCache:
        """A cache for what does not depend on the resolution."""
        return next(iter(self.caches.values()))


class Predictor:
    """Weighted mean of networks on one device."""

    def __init__(
        self,
        members: Sequence[Member],
        weights: Sequence[float],
        crops: Crops,
        *,
        device: str | torch.device = "auto",
        flip: bool = True,
    ):
        self.device, self.crops, self.flip = resolve_device(device), crops, flip
        self.sizes = [member.resolution for member in members]
        total = float(sum(weights))
        self.shares = [weight / total for weight in weights]
        self.models = [_on_device(member.model(), self.device) for member in members]
        self.flip_index = torch.from_numpy(np.array(crops.any.topology.flip_index)).to(self.device)
        self.batch = LARGEST_BATCH[self.device.type]

    def stream(self, rows: np.ndarray) -> Iterator[Prediction]:
        """Predictions of `rows` in order, in chunks as large as the device's memory takes."""
        start = 0
        while start < len(rows):
            chunk = rows[start : start + self.batch]
            try:
                yield self._chunk(chunk)
            except (RuntimeError, MemoryError) as error:
                if self.batch == 1 or not is_out_of_memory(error):
                    raise
                give_back(error)
                self.batch = max(1, self.batch // 2)
                continue
            start += len(chunk)

    @full_float32()
    @torch.inference_mode()
    def _chunk(self, rows: np.ndarray) -> Prediction:
        images = {size: self._images(size, rows) for size in set(self.sizes)}
        crops = {s: _gather(c.crop, rows).to(self.device) for s, c in self.crops.caches.items()}
        verts = points = torch.zeros((), device=self.device)
        for model, size, share in zip(self.models, self.sizes, self.shares, strict=True):
            flip_index = self.flip_index if self.flip else None
            own_verts, own_points = heads.reconstruct(model, images[size], crops[size], flip_index)
            verts, points = verts + share * own_verts, points + share * own_points
        return Prediction(rows, verts, points)

    def _images(self, size: int, rows: np.ndarray) -> Tensor:
        """(b, 3, S, S) in [-1, 1]."""
        return normalise(_gather(self.crops.caches[size].images, rows).to(self.device))


def _gather(array: np.ndarray, rows: np.ndarray) -> Tensor:
    return torch.from_numpy(np.take(array, rows, axis=0))


def _on_device(model: nn.Module, device: torch.device) -> nn.Module:
    moved: Callable[..., nn.Module] = model.to
    return moved(device=device, memory_format=torch.channels_last).eval()
