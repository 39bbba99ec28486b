"""Aligned crops and labels on disk: built once for a data set and resolution, opened as memory maps.

A search reads every picture of a data set thousands of times, and decoding one costs a hundred times
what reading its crop does. So the crops of a split lie in <cache root>/crops/<id>/, one .npy file a
field, and processes that open them share the pages; no data set needs to fit in memory. The id hashes
the lists, resources, a sample of the labels, the resolution and how crops are cut. The first process
to ask builds, under a file lock, in <id>.partial/, which a later attempt resumes; the others wait.
The finished folder appears by one rename. Rows whose files are missing or damaged are left out and
named in `left_out`; when such files have changed since, the cache is built anew. A build removes what
older ones left and nobody resumed (sweep.py).

tests/test_crops_cache.py kills, corrupts and races it; tests/bench/bench_cache.py measures.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proxy_tasks.jmlr.crops.build import BAD_LIMIT, build, fields_of, refuse_too_many
from proxy_tasks.jmlr.crops.sweep import sweep
from proxy_tasks.jmlr.wcpa.dataset import DataError, Row, WcpaDataset
from proxy_tasks.jmlr.wcpa.topology import Topology
from proxy_tasks.locks import locked
from space.machine import cores

_FORMAT = 1  # raise when the crops or the files' meaning change
_STORAGE_FAILED = "a file cannot be read"  # for which older versions left rows out that may well be whole
_NAMES = ("subjects", "actions", "img_ids")


@dataclass(frozen=True, eq=False)
class CropCache:
    """N aligned crops of S x S pixels with labels of V vertices; arrays are read-only memory maps.

    images (N, S, S, 3) uint8 RGB;  crop (N, 2, 3) float32, full-image px to crop px;
    K (N, 3, 3) float32 OpenCV intrinsics, full-image px;  size (N, 2) int32 width and height;
    subjects, actions, img_ids (N,) strings;  left_out: (row, reason) of what could not be read.
    Labels, None for the test split: verts (N, V, 3) float32 metres;  points (N, V, 2) float32
    projected true vertices, full-image px;  R (N, 3, 3), T (N, 3) float32 pose, camera.py's frames.
    It pickles as its path, so handing it to another process costs nothing.
    """

    path: Path
    id: str
    data_id: str
    split: str
    resolution: int
    topology: Topology
    left_out: tuple[tuple[str, str], ...]
    subjects: NDArray[np.str_]
    actions: NDArray[np.str_]
    img_ids: NDArray[np.str_]
    images: NDArray[np.uint8]
    crop: NDArray[np.float32]
    K: NDArray[np.float32]
    size: NDArray[np.int32]
    verts: NDArray[np.float32] | None = None
    points: NDArray[np.float32] | None = None
    R: NDArray[np.float32] | None = None
    T: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return CropCache.load, (self.path,)

    @classmethod
    def load(cls, path: Path) -> CropCache:
        """Open a finished cache; FileNotFoundError if absent, ValueError if it is not whole."""
        meta = json.loads((path / "meta.json").read_text())
        count, resolution, split = meta["count"], meta["resolution"], meta["split"]
        stored = io.BytesIO((path / "topology.npz").read_bytes())  # np.load leaves a broken file open
        with np.load(stored, allow_pickle=False) as z:
            topology = Topology(z["triangles"], z["landmarks68"], z["flip_index"], z["template"])
        arrays = {}
        for name, (shape, dtype) in fields_of(split, resolution, topology.vertex_count).items():
            array = np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            if array.shape[1:] != shape or array.dtype != dtype or len(array) < count:
                raise ValueError(f"{path / name}.npy has shape {array.shape} and dtype {array.dtype}")
            arrays[name] = array[:count]  # what was left out leaves unused rows at the end
        for name in _NAMES:
            arrays[name] = np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            if arrays[name].shape != (count,):
                raise ValueError(f"{path / name}.npy names {len(arrays[name])} rows of {count}")
        left_out = tuple((row, reason) for row, reason, _ in meta["left_out"])
        return cls(
            path=path,
            id=meta["id"],
            data_id=meta["data_id"],
            split=split,
            resolution=resolution,
            topology=topology,
            left_out=left_out,
            **arrays,
        )


def open_cache(
    dataset: WcpaDataset,
    resolution: int,
    split: str = "train",
    *,
    workers: int | None = None,
    progress: bool = False,
    root: Path | None = None,
    bad_limit: float = BAD_LIMIT,
) -> CropCache:
    """The crops of a split, built first if no process has done so yet.

    resolution: side of a crop in pixels;  workers: threads, default one a core;
    progress: bar and messages on stderr;  root: default `space.machine.cache_root()`;
    bad_limit: largest share of unreadable rows, beyond which DataError is raised (one row may always be bad).
    """
    if not isinstance(resolution, int) or not 8 <= resolution <= 1024:
        raise ValueError(
            f"a crop of {resolution} pixels cannot be made: the side is a whole number from 8 to 1024"
        )
    folder = _folder(dataset, resolution, split, root)
    cache = _usable(folder, dataset)
    if cache is None:
        with _lock(folder, progress):
            cache = _usable(folder, dataset)
            if cache is None:
                _build(folder, dataset, resolution, split, workers, progress, bad_limit)
                cache = CropCache.load(folder)
    refuse_too_many(cache.left_out, len(cache) + len(cache.left_out), bad_limit)
    if progress and cache.left_out:
        rows = [f"{row}: {reason}" for row, reason in cache.left_out]
        print(left_out_sentence(rows, len(cache), split), file=sys.stderr)
    return cache


def is_built(
    dataset: WcpaDataset, resolution: int, split: str = "train", *, root: Path | None = None
) -> bool:
    """Whether the crops of a split are there and whole, so that `open_cache` would read no picture."""
    return _usable(_folder(dataset, resolution, split, root), dataset) is not None


def _folder(dataset: WcpaDataset, resolution: int, split: str, root: Path | None) -> Path:
    if root is None:
        from space.machine import cache_root

        root = cache_root()
    return root / "crops" / cache_id(dataset, resolution, split)


def left_out_sentence(rows: Sequence[str], kept: int, split: str = "train") -> str:
    """What to tell of rows ("name: reason") that a cache lacks beside those that it kept."""
    return (
        f"left out {len(rows)} of {kept + len(rows)} {split} samples that are missing or damaged "
        f"({'; '.join(rows[:3])}): `python -m proxy_tasks.check` lists all"
    )


def cache_id(dataset: WcpaDataset, resolution: int, split: str) -> str:
    """Folder name of a cache: a hash of all that its bytes follow from."""
    text = json.dumps([_FORMAT, dataset.id, dataset.topology.id, resolution, split])
    return f"{split}-{resolution}px-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _usable(folder: Path, dataset: WcpaDataset) -> CropCache | None:
    """The cache in the folder, or None if it is absent, broken, or lacks rows that could be read now."""
    try:
        meta = json.loads((folder / "meta.json").read_text())
        cache = CropCache.load(folder)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    for name, reason, facts in meta["left_out"][:16]:
        row = Row(*name.split("/"))
        if reason.startswith(_STORAGE_FAILED) or facts != _file_facts(dataset, row):
            return None
    return cache


def _build(
    folder: Path,
    dataset: WcpaDataset,
    resolution: int,
    split: str,
    workers: int | None,
    progress: bool,
    bad_limit: float,
) -> None:
    partial = folder.with_suffix(".partial")
    sweep(folder.parent, keep=partial)
    partial.mkdir(exist_ok=True)
    threads = workers or cores()
    built = build(
        dataset, split, resolution, partial, workers=threads, progress=progress, bad_limit=bad_limit
    )
    if not len(built.order):
        row, reason = built.left_out[0]
        raise DataError(f"none of the {split} images of {dataset.path} can be cropped ({row}: {reason})")
    t = dataset.topology
    np.savez(
        partial / "topology.npz",
        triangles=t.triangles,
        landmarks68=t.landmarks68,
        flip_index=t.flip_index,
        template=t.template,
    )
    rows = [dataset.rows[split][i] for i in built.order]
    for name, column in zip(_NAMES, zip(*rows, strict=True), strict=True):
        np.save(partial / f"{name}.npy", np.array(column))
    meta = {
        "id": folder.name,
        "data_id": dataset.id,
        "source": str(dataset.path.resolve()),
        "split": split,
        "resolution": resolution,
        "count": len(built.order),
        "left_out": [[str(row), reason, _file_facts(dataset, row)] for row, reason in built.left_out],
    }
    (partial / "meta.json").write_text(json.dumps(meta, indent=1))
    if folder.exists():  # broken or outdated; whoever has it open keeps the pages
        old = folder.with_suffix(f".old-{os.getpid()}")
        folder.rename(old)
        shutil.rmtree(old, ignore_errors=True)
    partial.rename(folder)


def _file_facts(dataset: WcpaDataset, row: Row) -> list[list[int] | None]:
    """Size and modification time of a row's files, None for those that are not there."""
    facts: list[list[int] | None] = []
    for file in (dataset.image_path(row), dataset.landmarks_path(row), dataset.info_path(row)):
        try:
            stat = file.stat()
            facts.append([stat.st_size, stat.st_mtime_ns])
        except (FileNotFoundError, NotADirectoryError):
            facts.append(None)
    return facts


@contextlib.contextmanager
def _lock(folder: Path, progress: bool) -> Iterator[None]:
    """Hold the lock file of a cache; it stays behind, as removing it would let two builders in at once.

    The kernel releases it with the process, however that ends.
    """

    def waiting() -> None:
        if progress:
            print(f"waiting for another process to build {folder}", file=sys.stderr)

    with contextlib.ExitStack() as stack:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder.with_suffix(".lock"), waiting=waiting))
        except OSError as error:
            raise RuntimeError(
                f"crops cannot be kept in {folder.parent} ({error.strerror}): "
                "set JMLR_NAS_CACHE to a folder that can be written and locked"
            ) from error
        yield
