"""What can be wrong with a data set in the WCPA layout, found row by row.

The landmark test uses the 51 inner points of the 68: detectors put the jaw line on the visible
outline, which on a turned head is not where the mesh has its vertices. Their median distance from the
projected mesh is under 2 px on a rendered set whose landmark files carry 1.5 px of noise.
tests/test_check.py plants each fault and finds it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from proxy_tasks.jmlr import camera
from proxy_tasks.jmlr.wcpa.dataset import Row, WcpaDataset
from proxy_tasks.jmlr.wcpa.sample import (
    DamagedSample,
    decode,
    image_size,
    off_the_picture,
    read_info,
    read_landmarks,
    strange_size,
)

T = TypeVar("T")

LANDMARK_LIMIT_PX = 5.0
_INNER = slice(17, 68)
_ROTATION_TOLERANCE = 1e-3
_CHUNK = 32


class Fault(NamedTuple):
    """kind: what is wrong, the same words for all alike;  where: a row or list;  detail: the values."""

    kind: str
    where: str
    detail: str


def list_faults(dataset: WcpaDataset) -> Iterator[Fault]:
    """Rows listed twice, people in both lists, and subject lists that disagree with the rows."""
    for split, rows in dataset.rows.items():
        for row, times in Counter(rows).items():
            if times > 1:
                yield Fault("duplicate row", str(row), f"{times} times in the {split} list")
        file = dataset.path / "list" / f"WCPA_track2_{split}_subject_id_list.txt"
        if file.is_file():
            listed, used = set(file.read_text().split()), set(dataset.subjects(split))
            for subject in sorted(listed ^ used):
                side = "only in the subject list" if subject in listed else "only in the rows"
                yield Fault("subject list disagrees", subject, f"{side} of {split}")
    if len(dataset.rows) == 2:
        for subject in sorted(set(dataset.subjects("train")) & set(dataset.subjects("test"))):
            yield Fault("subject in both lists", subject, "train and test")


def row_faults(
    dataset: WcpaDataset, row: Row, split: str, limit_px: float = LANDMARK_LIMIT_PX
) -> list[Fault]:
    """Everything wrong with the files of one row."""
    faults: list[Fault] = []

    def read(part: str, call: Callable[[Path], T], path: Path) -> T | None:
        try:
            return call(path)
        except FileNotFoundError:
            faults.append(Fault("missing file", str(row), str(path.relative_to(dataset.path))))
        except DamagedSample as error:
            faults.append(Fault(f"damaged {part}", str(row), str(error)))
        except OSError as error:
            faults.append(Fault(f"unreadable {part}", str(row), str(error.strerror)))
        return None

    size = read("image", _decodable_size, dataset.image_path(row))
    landmarks = read("landmarks", read_landmarks, dataset.landmarks_path(row))
    if landmarks is not None:
        try:
            camera.crop_transform(landmarks, 64)
        except ValueError as error:
            faults.append(Fault("damaged landmarks", str(row), str(error)))
            landmarks = None
    if landmarks is not None and size is not None and (wrong := off_the_picture(landmarks, np.array(size))):
        faults.append(Fault("landmarks off the picture", str(row), wrong))
        landmarks = None
    if split == "train":
        labels = read("labels", read_info, dataset.info_path(row))
        if labels is not None:
            faults += [
                Fault(k, str(row), d) for k, d in _label_faults(dataset, *labels, landmarks, size, limit_px)
            ]
    return faults


def _decodable_size(path: Path) -> tuple[int, int]:
    data = path.read_bytes()
    decode(data, 8)  # an eighth of the size still walks through all of the file
    return image_size(data)


def _label_faults(
    dataset: WcpaDataset,
    verts: NDArray[np.float32],
    R: NDArray[np.float64],
    T: NDArray[np.float64],
    landmarks: NDArray[np.float64] | None,
    size: tuple[int, int] | None,
    limit_px: float,
) -> Iterator[tuple[str, str]]:
    if len(verts) != dataset.topology.vertex_count:
        yield "wrong vertex count", f"{len(verts)} vertices, the mesh has {dataset.topology.vertex_count}"
        return
    if wrong := strange_size(verts):
        yield "vertices not in metres", wrong
        return
    crooked = np.abs(R @ R.T - np.eye(3)).max()
    if crooked > _ROTATION_TOLERANCE or np.linalg.det(R) < 0:
        yield "R is not a rotation", f"R R^T is off by {crooked:.3g}, its determinant {np.linalg.det(R):.3g}"
    if T[2] >= 0:
        yield "T_z is not negative", f"T_z = {T[2]:.4f} m: the face is behind the camera"
        return
    if camera.to_camera(verts, R, T)[:, 2].max() >= 0:
        yield "vertices behind the camera", f"T_z = {T[2]:.4f} m"
        return
    if landmarks is not None and size is not None:
        points = camera.project(verts, R, T, dataset.projection, size)[dataset.topology.landmarks68]
        off = float(np.median(np.linalg.norm(points - landmarks, axis=1)[_INNER]))
        if off > limit_px:
            yield "landmarks off the projected mesh", f"by {off:.1f} px in the median"


def find_faults(
    dataset: WcpaDataset, *, workers: int, progress: bool = False, limit_px: float = LANDMARK_LIMIT_PX
) -> list[Fault]:
    """All faults of all lists and rows, in the order of the lists."""
    from proxy_tasks.progress import bar

    jobs = [(row, split) for split, rows in dataset.rows.items() for row in rows]
    chunks = [jobs[i : i + _CHUNK] for i in range(0, len(jobs), _CHUNK)]

    def work(chunk: list[tuple[Row, str]]) -> list[Fault]:
        return [fault for row, split in chunk for fault in row_faults(dataset, row, split, limit_px)]

    faults = list(list_faults(dataset))
    with (
        bar(len(jobs), "images", "checking", show=progress) as shown,
        ThreadPoolExecutor(workers) as pool,
    ):
        for chunk, found in zip(chunks, pool.map(work, chunks), strict=True):
            faults += found
            shown.update(len(chunk))
    return faults
