"""JMLR as a task of the engine: crops in, vertices and landmarks out, L_error as the score.

People are split, never images (DESIGN: 80 % of subjects train, 20 % validate).
A fresh network's last layer is the training set's mean whatever it sees, so it
starts as the trivial baseline and every step is spent on what the pixels add. tests/test_jmlr_task.py.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from proxy_tasks.engine import resolve_device
from proxy_tasks.jmlr import heads
from proxy_tasks.jmlr.augment import Augment, normalise
from proxy_tasks.jmlr.crops.cache import CropCache, cache_id, is_built, open_cache
from proxy_tasks.jmlr.feed import Feed
from proxy_tasks.jmlr.losses import Edges, Weights, jmlr_loss
from proxy_tasks.jmlr.metric import Scores, score_images
from proxy_tasks.jmlr.wcpa.dataset import WcpaDataset
from proxy_tasks.kind import Samples
from proxy_tasks.proxy import Proxy
from proxy_tasks.split import SPLIT_SEED, divide, pick_rows
from proxy_tasks.task import Step, World

EVALUATE_BATCH = {"cpu": 256, "cuda": 2048}  # images scored together; poses on a GPU want thousands
INPUT_BYTES = 256 * 2**20  # of float32 pixels that a network is given at once while it is scored


def fingerprint_of(dataset: WcpaDataset, proxy: Proxy) -> str:
    """What JmlrTask.fingerprint will be, without reading a picture."""
    return cache_id(dataset, proxy.resolution, "train")


class JmlrTask:
    """Training and validation samples of one data set under one proxy's settings.

    trainval: the validation subjects train too, as for a submission; scores then only say that it learns.
    """

    def __init__(
        self,
        cache: CropCache,
        proxy: Proxy,
        device: torch.device | str = "auto",
        *,
        path: str = "",
        trainval: bool = False,
    ):
        if cache.verts is None or cache.R is None or cache.T is None:
            raise ValueError(f"the {cache.split} split of {cache.path} has no labels to train on")
        self.cache, self.proxy, self.device = cache, proxy, resolve_device(device)
        self.together = EVALUATE_BATCH.get(self.device.type, 256)
        self.camera = cache.K, cache.R, cache.T  # (N, 3, 3), (N, 3, 3), (N, 3), of all rows
        self.topology, self.fingerprint = cache.topology, cache.id
        self.outputs = 5 * self.topology.vertex_count
        self.target = {"topology": {"id": self.topology.id, "vertices": self.topology.vertex_count}}
        self.left_out = tuple(f"{row}: {reason}" for row, reason in cache.left_out)
        self.flip_index = torch.as_tensor(self.topology.flip_index, device=self.device)
        people, others = self.split = divide(cache.subjects, proxy.validation_people)
        self.samples = Samples(path, cache.data_id, len(people) + len(others), len(cache))
        rows = pick_rows(
            cache.subjects,
            (*people, *others) if trainval else people,
            SPLIT_SEED,
            max_subjects=proxy.subjects or None,
            max_frames=proxy.frames or None,
        )
        self.train = Feed(cache, rows, self.device)
        frames = math.ceil(proxy.validation_images / len(others)) or None
        rows = pick_rows(cache.subjects, others, SPLIT_SEED, max_frames=frames)
        self.validation = Feed(cache, rows, self.device)
        self.augment = Augment(
            self.topology.flip_index,
            proxy.resolution,
            flip=proxy.flip,
            jitter=proxy.jitter,
            degrees=proxy.degrees,
            scale=proxy.scale,
            shift=proxy.shift,
            device=self.device,
        )
        self.edges = Edges(self.topology.triangles, self.device)
        self.weights = Weights(edge=proxy.edge_weight)
        self._mean: Tensor | None = None
        self._rows_id: str | None = None

    @classmethod
    def open(
        cls,
        data: Path | str,
        proxy: Proxy,
        device: torch.device | str = "auto",
        *,
        progress: bool = False,
        trainval: bool = False,
    ) -> JmlrTask:
        """The task on a data set in the WCPA layout; builds the crop cache where it is not there yet.

        The data set's folders are listed only before a build: every process of a search opens this, and
        a finished cache needs no file of the data set.
        """
        dataset = WcpaDataset.open(Path(data), check_files=False)
        if not is_built(dataset, proxy.resolution):
            dataset.refuse_missing()
        cache = open_cache(dataset, proxy.resolution, "train", progress=progress)
        return cls(cache, proxy, device, path=str(dataset.path.resolve()), trainval=trainval)

    @property
    def train_size(self) -> int:
        return len(self.train)

    @property
    def validation_size(self) -> int:
        return len(self.validation)

    @property
    def mean_target(self) -> Tensor:
        """(5V,) mean normalised target of the training samples; reads their labels alone."""
        if self._mean is None:
            total = torch.zeros(self.outputs, dtype=torch.float64)
            for verts, points in self.train.labels(self.together):
                total += heads.encode(verts, points, self.proxy.resolution).double().sum(0)
            self._mean = (total / self.train_size).float().to(self.device)
        return self._mean

    @property
    def rows_id(self) -> str:
        """Hash of the rows that it trains and validates on, in order, 16 hex digits.

        The same wherever the same images could be read. A worker whose rows are not the driver's would score
        its trials on other images.
        """
        if self._rows_id is None:
            names = hashlib.sha256()
            for rows in (self.train.rows, self.validation.rows):
                columns = (self.cache.subjects, self.cache.actions, self.cache.img_ids)
                names.update(
                    "\n".join("/".join(row) for row in zip(*(c[rows] for c in columns), strict=True)).encode()
                )
                names.update(b"\0")
            self._rows_id = names.hexdigest()[:16]
        return self._rows_id

    @property
    def data_bytes(self) -> int:
        """Bytes that its samples take on a GPU where they are kept there; its second task shares them."""
        return self.train.nbytes + self.validation.nbytes

    def prepare(self, model: nn.Module) -> None:
        """Start a network of proxy_tasks.backbone at the training set's mean face."""
        head = model.get_submodule("fc")
        with torch.no_grad():
            head.get_parameter("weight").zero_()
            head.get_parameter("bias").copy_(self.mean_target)

    def batches(self, steps: Iterable[Step], world: World) -> Iterator[tuple[Tensor, tuple[Tensor, Tensor]]]:
        """Augmented images (b, 3, S, S) and normalised targets (b, V, 3), (b, V, 2) of each step."""
        listed = list(steps)
        parts = [world.part(len(step.indices)) for step in listed]
        mine = (step.indices[part] for step, part in zip(listed, parts, strict=True))
        for batch, step, part in zip(self.train.batches(mine), listed, parts, strict=True):
            generator = torch.Generator().manual_seed(step.seed)
            drawn = self.augment.draw(len(step.indices), generator)[part]
            images, verts, points = self.augment.apply(batch.images, batch.verts, batch.crop_points, drawn)
            yield images, heads.split(heads.encode(verts, points, self.proxy.resolution))

    def loss(self, outputs: Tensor, targets: tuple[Tensor, Tensor]) -> Tensor:
        """The loss of the paper's eq. 4 on a batch of outputs (b, 5V)."""
        return jmlr_loss(*heads.split(outputs), *targets, self.edges, self.weights)

    def evaluate(self, predict: Callable[[Tensor], Tensor], *, flip: bool = False) -> dict[str, float]:
        """Validation score of a network, averaged over the mirrored crop where asked; see metric.Scores."""
        return self.image_scores(predict, flip=flip).summary()

    def image_scores(self, predict: Callable[[Tensor], Tensor], *, flip: bool = False) -> Scores:
        """Score of each validation image, in the order of `validation.rows`."""
        parts, feed = [], self.validation
        for start, batch in zip(
            range(0, len(feed), self.together), feed.in_order(self.together), strict=True
        ):
            rows = feed.rows[start : start + self.together]
            K, R, T = (torch.from_numpy(a[rows]).to(self.device) for a in self.camera)
            verts, points = self.reconstruct(predict, batch.images, batch.crop, flip=flip)
            parts.append(score_images(verts, points, K, batch.verts, R, T))
        return Scores.concatenate(parts)

    def reconstruct(
        self, predict: Callable[[Tensor], Tensor], images: Tensor, crop: Tensor, *, flip: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Predicted vertices and full-image landmarks of some crops.

        images (b, S, S, 3) uint8 RGB;  crop (b, 2, 3)
        returns verts (b, V, 3) metres, points (b, V, 2) full-image pixels
        """
        flip_index = self.flip_index if flip else None
        size = max(64, INPUT_BYTES // (4 * images[0].numel()))
        parts = [
            heads.reconstruct(predict, normalise(some), theirs, flip_index)
            for some, theirs in zip(images.split(size), crop.split(size), strict=True)
        ]
        verts, points = zip(*parts, strict=True)
        return torch.cat(verts), torch.cat(points)

    def baseline(self) -> dict[str, float]:
        """Score of the training set's mean vertices and landmarks given for every image."""
        return self.evaluate(lambda images: self.mean_target.expand(len(images), -1))
