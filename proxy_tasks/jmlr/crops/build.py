"""Fill the folder of a crop cache in parallel; tell unreadable rows from failures.

Threads do the work: decoding, warping and writing release the interpreter lock, and threads need
neither a picklable world nor a fork after torch has started its own. A row that is missing or damaged
is set aside with the reason, and beyond a limit the build refuses. Storage that fails says nothing of a row:
such a file is read again, and then the build fails, since a row that one node left out for good would have
its trials scored on other images than those of the other nodes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proxy_tasks.jmlr import camera
from proxy_tasks.jmlr.crops.cut import cut
from proxy_tasks.jmlr.crops.row_arrays import Fields, RowArrays
from proxy_tasks.jmlr.wcpa.dataset import DataError, Row, WcpaDataset
from proxy_tasks.jmlr.wcpa.sample import (
    DamagedSample,
    image_size,
    off_the_picture,
    read_info,
    read_landmarks,
    strange_size,
)
from proxy_tasks.progress import bar

BAD_LIMIT = 0.01  # largest share of a split's rows that may be missing or damaged
_CHUNK = 16  # rows that a thread takes at once
_SYNC_SECONDS = 5.0
RETRIES = (0.5, 2.0, 8.0)  # seconds before a file is read again after storage failed
LASTING = (PermissionError, IsADirectoryError)  # errors that waiting does not mend


@dataclass(frozen=True, slots=True)
class Built:
    """order (N,): the list's row that each row of the arrays holds;  left_out: rows with reasons."""

    order: NDArray[np.int64]
    left_out: tuple[tuple[Row, str], ...]


def fields_of(split: str, resolution: int, vertices: int) -> Fields:
    """Shape of a row and dtype of each array."""
    f32 = np.dtype(np.float32)
    images = {"images": ((resolution, resolution, 3), np.dtype(np.uint8))}
    geometry = {"crop": ((2, 3), f32), "K": ((3, 3), f32), "size": ((2,), np.dtype(np.int32))}
    if split == "test":
        return images | geometry
    labels = {
        "verts": ((vertices, 3), f32),
        "points": ((vertices, 2), f32),
        "R": ((3, 3), f32),
        "T": ((3,), f32),
    }
    return images | geometry | labels


def make_row(dataset: WcpaDataset, row: Row, split: str, resolution: int) -> dict[str, NDArray]:
    """The fields of one row; DamagedSample or OSError where its files do not allow it."""
    landmarks = read_landmarks(dataset.landmarks_path(row))
    data = dataset.image_path(row).read_bytes()
    size = np.array(image_size(data))
    try:
        crop = camera.crop_transform(landmarks, resolution)
    except ValueError as error:
        raise DamagedSample(f"its landmarks fit no face: {error}") from error
    if wrong := off_the_picture(landmarks, size):
        raise DamagedSample(wrong)
    fields = {"crop": crop, "K": camera.intrinsics(dataset.projection, size), "size": size}
    if split != "test":
        verts, R, T = read_info(dataset.info_path(row))
        if len(verts) != dataset.topology.vertex_count:
            raise DamagedSample(f"it has {len(verts)} vertices, the mesh has {dataset.topology.vertex_count}")
        if wrong := strange_size(verts):
            raise DamagedSample(wrong)
        if camera.to_camera(verts, R, T)[:, 2].max() >= 0:
            raise DamagedSample("its pose puts vertices behind the camera")
        points = camera.project(verts, R, T, dataset.projection, size)
        fields |= {"verts": verts, "points": points, "R": R, "T": T}
    fields["images"] = cut(data, crop, resolution)
    return fields


def build(
    dataset: WcpaDataset,
    split: str,
    resolution: int,
    folder: Path,
    *,
    workers: int,
    progress: bool,
    bad_limit: float,
) -> Built:
    """Fill the arrays in the folder, going on where an earlier attempt stopped.

    DataError where more than bad_limit of the rows (and more than one) cannot be used.
    """
    import cv2

    rows = dataset.rows[split]
    fields = fields_of(split, resolution, dataset.topology.vertex_count)
    with ExitStack() as stack:
        arrays = stack.enter_context(closing(RowArrays(folder, fields, len(rows))))
        stack.callback(cv2.setNumThreads, cv2.getNumThreads())
        cv2.setNumThreads(1)  # the pool is the parallelism
        shown = stack.enter_context(bar(len(rows), "images", f"{split} crops {resolution}px", show=progress))
        shown.update(int(arrays.done.sum()))
        pool = ThreadPoolExecutor(workers)
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)

        def work(chunk: NDArray[np.int64]) -> list[tuple[int, str]]:
            return [(int(i), _store(arrays, int(i), dataset, split, resolution)) for i in chunk]

        todo = np.flatnonzero(~arrays.done)  # unreadable rows of an earlier attempt get another chance
        chunks = [todo[i : i + _CHUNK] for i in range(0, len(todo), _CHUNK)]
        bad: list[tuple[Row, str]] = []
        written: list[int] = []
        synced = time.monotonic()
        for results in pool.map(work, chunks):
            shown.update(len(results))
            written += [i for i, reason in results if not reason]
            bad += [(rows[i], reason) for i, reason in results if reason]
            refuse_too_many(bad, len(rows), bad_limit)
            if time.monotonic() - synced > _SYNC_SECONDS:
                arrays.sync(written)
                written, synced = [], time.monotonic()
        arrays.sync(written)
        return Built(arrays.close_ranks(), tuple(bad))


def _store(arrays: RowArrays, index: int, dataset: WcpaDataset, split: str, resolution: int) -> str:
    """Make and write one row; returns why it cannot be used, or ""."""
    row = dataset.rows[split][index]
    try:
        fields = _read(dataset, row, split, resolution)
    except (FileNotFoundError, NotADirectoryError) as error:
        return f"{Path(error.filename).name} is missing"
    except DamagedSample as error:
        return str(error)
    arrays.write(index, fields)
    return ""


def _read(dataset: WcpaDataset, row: Row, split: str, resolution: int) -> dict[str, NDArray]:
    """`make_row`, again where storage failed; RuntimeError where it goes on failing."""
    for wait in (*RETRIES, None):
        try:
            return make_row(dataset, row, split, resolution)
        except (FileNotFoundError, NotADirectoryError):
            raise
        except OSError as error:
            if wait is None or isinstance(error, LASTING):
                raise RuntimeError(
                    f"{error.filename or row} cannot be read ({error.strerror or error}), which says nothing "
                    "of the data: see to the storage and run the command again, which keeps the crops so far"
                ) from error
            time.sleep(wait)
    raise AssertionError("the last try returns or raises")


def refuse_too_many(bad: Sequence[tuple[object, str]], total: int, bad_limit: float) -> None:
    """DataError, naming the first three, if more than bad_limit of the rows (and more than one) are bad."""
    if len(bad) <= max(1, bad_limit * total):
        return
    shown = "; ".join(f"{row}: {reason}" for row, reason in bad[:3])
    raise DataError(
        f"at least {len(bad)} of {total} samples are missing or damaged, more than the {bad_limit:.1%} "
        f"that may be left out ({shown}): `python -m proxy_tasks.check` lists them all"
    )
