"""Predictions of face meshes, as nas.predict and nas.ensemble ask for them (proxy_tasks/predicting.py).

An answer is (V, 5): a vertex in metres, and its image-plane landmark, carried back from the network's own
crop and from the mirror to the full image's pixels. Those average; the pose comes once, from the average, by
PnP. Networks may see crops of different sizes.

Notation   b  images of a chunk     V  vertices     S  crop side, pixels
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from proxy_tasks.jmlr import heads
from proxy_tasks.jmlr.augment import normalise
from proxy_tasks.jmlr.crops.build import BAD_LIMIT
from proxy_tasks.jmlr.crops.cache import CropCache, open_cache
from proxy_tasks.jmlr.mesh_pictures import over_image
from proxy_tasks.jmlr.metric import Scores, l_error, score_images
from proxy_tasks.jmlr.pnp import solve_pnp
from proxy_tasks.jmlr.wcpa.dataset import (
    COLUMNS,
    MISSING_LIMIT,
    DataError,
    MissingFiles,
    Row,
    WcpaDataset,
    read_list,
)
from proxy_tasks.predicting import Asked, Trained
from proxy_tasks.split import validation_rows

PARTS = {"v1_v2_mm": "V1-V2", "v1_v3_mm": "V1-V3", "v1_v4_x10_mm": "10 V1-V4"}


@dataclass(frozen=True, slots=True)
class Inputs:
    """Of some images: pixels (b, 3, S, S) in [-1, 1], and crop (b, 2, 3), full-image px to crop px."""

    images: Tensor
    crop: Tensor


@dataclass(frozen=True)
class MeshSamples:
    """Images of one split, with their crops at every resolution that the networks need.

    caches: resolution to crops, in which equal places mean the same image;  places (n,): which of them.
    """

    dataset: WcpaDataset
    caches: dict[int, CropCache]
    places: NDArray[np.int64]
    parts = PARTS
    mirrors = True

    @classmethod
    def of(
        cls,
        dataset: WcpaDataset,
        networks: Sequence[Trained],
        split: str,
        *,
        progress: bool = False,
        bad_limit: float = BAD_LIMIT,
    ) -> MeshSamples:
        """All images of the split; builds crops where at most a share `bad_limit` cannot be cropped.

        DataError where a network is of another mesh.
        """
        for network in networks:
            require_topology(network, dataset)
        sizes = sorted({network.resolution for network in networks})
        caches = {s: open_cache(dataset, s, split, progress=progress, bad_limit=bad_limit) for s in sizes}
        first = caches[sizes[0]]
        if any(not np.array_equal(c.img_ids, first.img_ids) for c in caches.values()):
            raise RuntimeError(f"the crops of {dataset.path} differ between resolutions: build them anew")
        return cls(dataset, caches, np.arange(len(first)))

    @property
    def any(self) -> CropCache:
        """A cache for what does not depend on the resolution."""
        return next(iter(self.caches.values()))

    def __len__(self) -> int:
        return len(self.places)

    @property
    def names(self) -> dict[str, NDArray[np.str_]]:
        """As the challenge has them."""
        columns = (self.any.subjects, self.any.actions, self.any.img_ids)
        return {name: np.asarray(c[self.places]) for name, c in zip(COLUMNS, columns, strict=True)}

    @property
    def subjects(self) -> NDArray[np.str_]:
        """(n,) the person on each image."""
        return self.any.subjects[self.places]

    @property
    def shape(self) -> tuple[int, ...]:
        """xyz in metres, xy in full-image pixels."""
        return (self.any.topology.vertex_count, 5)

    @property
    def arrays_shapes(self) -> dict[str, tuple[int, ...]]:
        """What the challenge wants."""
        return {"verts": (self.any.topology.vertex_count, 3), "R": (3, 3), "T": (3,)}

    def inputs(self, rows: NDArray[np.int64], resolution: int, device: torch.device) -> Inputs:
        """Pixels and crops."""
        cache, places = self.caches[resolution], self.places[rows]
        images = normalise(_gather(cache.images, places).to(device))
        return Inputs(images, _gather(cache.crop, places).to(device))

    def answers(self, network: Callable[[Tensor], Tensor], inputs: Inputs, *, flip: bool) -> Tensor:
        """(b, V, 5) vertices and full-image landmarks."""
        flip_index = self._flip_index(inputs.crop.device) if flip else None
        return torch.cat(heads.reconstruct(network, inputs.images, inputs.crop, flip_index), dim=2)

    def _flip_index(self, device: torch.device) -> Tensor:
        return torch.from_numpy(np.array(self.any.topology.flip_index)).to(device)

    def arrays(self, answers: Tensor, rows: NDArray[np.int64]) -> dict[str, Tensor]:
        """Vertices, and the pose of least reprojection error, in float64."""
        verts, points = answers.double().split([3, 2], dim=2)
        R, T = solve_pnp(verts, points, self._label("K", rows, verts))
        return {"verts": verts, "R": R, "T": T}

    def errors(self, arrays: Mapping[str, Tensor], rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """(b,) L_error, mm."""
        if self.any.verts is None:
            return None
        verts, R, T = (arrays[name] for name in ("verts", "R", "T"))
        truth = [self._label(name, rows, verts) for name in ("verts", "R", "T")]
        return l_error(verts, R, T, *truth)[0].cpu().numpy()

    def scores(self, answers: Tensor, rows: NDArray[np.int64]) -> Scores:
        """L_error and its parts."""
        K, *truth = (self._label(name, rows) for name in ("K", "verts", "R", "T"))
        K, *truth = (label.to(answers.device) for label in (K, *truth))
        return score_images(answers[..., :3], answers[..., 3:], K, *truth)

    def picture(self, row: int, arrays: Mapping[str, NDArray]) -> tuple[str, NDArray[np.uint8]]:
        """The mesh over the face."""
        cache, place = self.any, int(self.places[row])
        name = Row(str(cache.subjects[place]), str(cache.actions[place]), str(cache.img_ids[place]))
        image = cv2.imread(str(self.dataset.image_path(name)))
        if image is None:
            raise RuntimeError(f"{self.dataset.image_path(name)} can no longer be read")
        mesh = [arrays[part] for part in ("verts", "R", "T")]
        drawn = over_image(
            image,
            cache.crop[place],
            cache.resolution,
            self.dataset.projection,
            cache.topology.triangles,
            *mesh,
        )
        return "_".join(name), drawn

    def _label(self, name: str, rows: NDArray[np.int64], like: Tensor | None = None) -> Tensor:
        found = _gather(getattr(self.any, name), self.places[rows])
        return found if like is None else found.to(like)


def open_samples(asked: Asked, *, progress: bool = False) -> MeshSamples:
    """The images that are asked for, cropped; DataError where the data or a network does not fit."""
    split = "train" if asked.split == "val" else "test"
    dataset = _open(Path(asked.data), split, asked)
    if asked.split == "val":
        for network in asked.networks:
            require_data(network, dataset)
    limit = 1.0 if asked.absent == "skip" else BAD_LIMIT
    samples = MeshSamples.of(dataset, asked.networks, split, progress=progress, bad_limit=limit)
    if asked.absent == "refuse":
        require_whole(samples.any, dataset, split)
    if asked.split == "val":
        people = tuple(asked.networks[0].record["proxy"].get("validation_people", ()))
        samples = replace(samples, places=validation_rows(samples.any.subjects, people))
    if asked.only is not None:
        samples = replace(samples, places=listed(samples, asked.only))
    return samples


def _open(path: Path, split: str, asked: Asked) -> WcpaDataset:
    """The data set; DataError where rows are listed twice, or where more files are absent than may be."""
    if asked.absent == "few":
        return WcpaDataset.open(path, splits=(split,))
    try:
        limit = 1.0 if asked.absent == "skip" else MISSING_LIMIT
        dataset = WcpaDataset.open(path, splits=(split,), missing_limit=limit)
    except MissingFiles as error:
        raise MissingFiles(f"{error}, or leave those images out with --skip-missing") from None
    twice = [str(row) for row, times in Counter(dataset.rows[split]).items() if times > 1]
    if twice:
        raise DataError(f"the {split} list of {path} names {twice[0]} twice, and an image has one prediction")
    return dataset


def require_whole(cache: CropCache, dataset: WcpaDataset, split: str) -> None:
    """DataError where listed images cannot be cropped, such as for want of landmarks."""
    if cache.left_out:
        shown = "; ".join(f"{row}: {reason}" for row, reason in cache.left_out[:3])
        raise DataError(
            f"{len(cache.left_out)} of {len(dataset.rows[split]):,} {split} images cannot be cropped "
            f"({shown}): complete the data set, or leave them out with --skip-missing"
        )


def listed(samples: MeshSamples, file: Path) -> NDArray[np.int64]:
    """Places of the images that a CSV list names, in its order; DataError for one that is not among them."""
    names = zip(*(column.tolist() for column in samples.names.values()), strict=True)
    at = dict(zip(names, samples.places.tolist(), strict=True))
    wanted = read_list(file)
    absent = [row for row in wanted if tuple(row) not in at]
    if absent:
        raise DataError(
            f"{file} names {len(absent)} images that this split does not have, such as {absent[0]}"
        )
    return np.array([at[tuple(row)] for row in wanted])


def require_topology(network: Trained, dataset: WcpaDataset) -> None:
    """DataError unless the network's outputs are the vertices of this data set's mesh."""
    own, topology, where = network.record.get("topology"), dataset.topology, dataset.path
    if not own:
        raise DataError(f"{network.name} does not say which mesh it predicts: retrain it to use it here")
    if own["vertices"] != topology.vertex_count:
        raise DataError(
            f"{network.name} predicts {own['vertices']} vertices, but the mesh of {where} has "
            f"{topology.vertex_count}: give the data set that it was trained on"
        )
    if own["id"] != topology.id:
        raise DataError(
            f"{network.name} was trained on another mesh ({own['id']}) than that of {where} "
            f"({topology.id}): give a data set with the same topology"
        )


def require_data(network: Trained, dataset: WcpaDataset) -> None:
    """DataError unless the network was trained on this very data set, whose split is then its own."""
    require_topology(network, dataset)
    if network.record["data_id"] != dataset.id:
        raise DataError(
            f"{network.name} was trained on another data set ({network.record['data_id']}) than "
            f"{dataset.path} ({dataset.id}), so its validation subjects are not known here"
        )


def _gather(array: NDArray, rows: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(np.take(array, rows, axis=0))
