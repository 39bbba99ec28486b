"""Predicted meshes against the labels: the error of each image, and a look at it.

Reads what `nas.predict` writes and the data set that it was made from. Errors are the challenge's own, by the
same function that training is scored with (metric.py). A report asks for it as proxy_tasks.predicting.Judged.
"""

from __future__ import annotations

import contextlib
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from proxy_tasks.jmlr.camera import euler_angles, project, to_camera
from proxy_tasks.jmlr.mesh_pictures import draw_mesh, facing_camera
from proxy_tasks.jmlr.metric import l_error
from proxy_tasks.jmlr.wcpa.dataset import DataError, Row, WcpaDataset
from proxy_tasks.jmlr.wcpa.sample import DamagedSample
from proxy_tasks.predicting import NoLabels

MOST = 2_000  # images looked at, evenly spread over the file: a few seconds
SIDE = 560  # pixels of a picture


@dataclass(frozen=True, slots=True)
class Scored:
    """Images of a predictions file with labels; arrays (n,), angles in degrees, distances in metres."""

    rows: tuple[Row, ...]
    at: NDArray[np.int64]  # row of the file
    l_error_mm: NDArray[np.float64]
    yaw: NDArray[np.float64]
    pitch: NDArray[np.float64]
    distance: NDArray[np.float64]
    verts: NDArray[np.float32]  # (n, V, 3) predicted, metres
    R: NDArray[np.float32]
    T: NDArray[np.float32]
    images: int  # in the file
    dataset: WcpaDataset | None = None  # for pictures

    @property
    def subjects(self) -> NDArray[np.str_]:
        """Subject of each image (n,)."""
        return np.array([row.subject_id for row in self.rows])

    @property
    def names(self) -> list[str]:
        """What to call the images."""
        return [str(row) for row in self.rows]

    @property
    def axes(self) -> dict[str, NDArray[np.float64]]:
        """What errors are shown by."""
        return {"Yaw (degrees)": self.yaw, "Pitch (degrees)": self.pitch, "Distance (m)": self.distance}

    @property
    def sort(self) -> tuple[str, NDArray[np.str_]]:
        """What sorts the images."""
        return "Facial action", self.actions

    def picture(self, place: int) -> NDArray[np.uint8]:
        """The predicted mesh over the face."""
        assert self.dataset is not None
        return pictures(self, [place], self.dataset)[0]

    @property
    def actions(self) -> NDArray[np.str_]:
        """Facial action of each image (n,)."""
        return np.array([row.facial_action for row in self.rows])


def judge(file: Path, data: str) -> Scored:
    """Errors of a file of predictions on a data set; NoLabels where they cannot be told."""
    try:
        dataset = WcpaDataset.open(data)
    except DataError as error:
        raise NoLabels(f"{file.name} cannot be scored: {error}") from None
    return score(file, dataset)


def score(file: Path, dataset: WcpaDataset, most: int = MOST) -> Scored:
    """The file's images that the training list of `dataset` labels; NoLabels where there is none."""
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as npz:
            names = [npz[key] for key in ("subject_id", "facial_action", "img_id")]
        count = len(names[0])
        chosen = np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))
        labels = _labels([(i, Row(*(str(column[i]) for column in names))) for i in chosen.tolist()], dataset)
        at = np.array([i for i, *_ in labels], dtype=np.int64)
        verts, R, T = (_some_rows(file, name, at) for name in ("verts", "R", "T"))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise NoLabels(f"{file.name} is no predictions file that nas.predict wrote ({error})") from None
    if not labels:
        raise NoLabels(f"{file.name} has no image that the training list of {dataset.path} labels")
    truth = [np.stack([label[part] for _, _, label in labels]) for part in range(3)]
    if verts.shape != truth[0].shape:
        raise NoLabels(
            f"{file.name} has {verts.shape[1]} vertices a face, but the data set {dataset.path} has "
            f"{dataset.topology.vertex_count}"
        )
    total = l_error(*(torch.from_numpy(np.asarray(a)) for a in (verts, R, T, *truth)))[0].numpy()
    pitch, yaw, _ = np.degrees(euler_angles(truth[1])).T
    distance = np.linalg.norm(truth[2], axis=1)
    rows = tuple(row for _, row, _ in labels)
    return Scored(rows, at, total, yaw, pitch, distance, verts, R, T, count, dataset)


def _labels(named: list[tuple[int, Row]], dataset: WcpaDataset) -> list[tuple[int, Row, tuple]]:
    """Place in the file, row and label (verts, R, T) of those images whose label can be read."""
    listed, found = set(dataset.rows.get("train", ())), []
    for i, row in named:
        if row in listed:
            with contextlib.suppress(OSError, DamagedSample):
                found.append((i, row, dataset.labels(row)))
    return found


def _some_rows(file: Path, name: str, at: NDArray[np.int64]) -> NDArray[np.float32]:
    """Rows `at`, ascending, of an array of the archive; all of it is a gigabyte for 70,000 faces."""
    with zipfile.ZipFile(file) as archive, archive.open(f"{name}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, _, kind = read[version](stream)
        start, size = stream.tell(), kind.itemsize * math.prod(shape[1:])
        rows = np.empty((len(at), *shape[1:]), np.float32)
        for k, i in enumerate(at.tolist()):
            stream.seek(start + i * size)
            rows[k] = np.frombuffer(stream.read(size), kind).reshape(shape[1:])
        return rows


def pictures(
    scored: Scored, positions: Sequence[int], dataset: WcpaDataset, side: int = SIDE
) -> list[NDArray]:
    """(side, side, 3) uint8 RGB crops with the predicted mesh drawn over the face."""
    return [_picture(scored, position, dataset, side) for position in positions]


def _picture(scored: Scored, position: int, dataset: WcpaDataset, side: int) -> NDArray:
    image = cv2.imread(str(dataset.image_path(scored.rows[position])))
    if image is None:
        return np.full((side, side, 3), 230, np.uint8)
    verts, R, T = scored.verts[position], scored.R[position], scored.T[position]
    points = project(verts, R, T, dataset.projection, image.shape[1::-1])
    true_points = project(*dataset.labels(scored.rows[position]), dataset.projection, image.shape[1::-1])
    centre = (
        true_points.min(axis=0) + true_points.max(axis=0)
    ) / 2  # a wild prediction must not move the crop
    reach = 0.62 * (true_points.max(axis=0) - true_points.min(axis=0)).max()
    scale = side / (2 * reach)
    affine = np.array([[scale, 0, side / 2 - scale * centre[0]], [0, scale, side / 2 - scale * centre[1]]])
    crop = cv2.warpAffine(image, affine, (side, side), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    triangles = dataset.topology.triangles
    visible = facing_camera(to_camera(verts, R, T), triangles)
    drawn = draw_mesh(crop, points @ affine[:, :2].T + affine[:, 2], triangles[visible])
    return drawn[..., ::-1].copy()
