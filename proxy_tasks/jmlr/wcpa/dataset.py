"""A data set in the WCPA layout: what it lists, where its files are, what one sample holds.

    image/<subject>/<action>/<img>_ar.jpg
    info/<subject>/<action>/<img>_info.npz                verts (V, 3) float32 metres, R_t (4, 4)
    68landmarks/<subject>/<action>/<img>_68landmarks.txt  68 rows "x y", pixels
    list/WCPA_track2_{train,test}.csv                     subject_id, facial_action, img_id: strings
    resources/projection_matrix.txt  kpt_ind.npy  example.obj  (flip_index.npy)

Test images have no info file. Frames and units are those of camera.py. Opening reads the lists, the
resources and the directories, never an image: seconds for hundreds of thousands of rows.
tests/test_wcpa_dataset.py shows each complaint about a bad folder.
"""

from __future__ import annotations

import csv
import hashlib
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from sys import intern
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from proxy_tasks.jmlr.camera import check_projection, project
from proxy_tasks.jmlr.wcpa.sample import DamagedSample, decode, read_info, read_landmarks
from proxy_tasks.jmlr.wcpa.topology import Topology

COLUMNS = ("subject_id", "facial_action", "img_id")
SPLITS = ("train", "test")
MISSING_LIMIT = 0.003  # share of listed rows that `open` lets lack a file; one row always may
_PROBES = 48  # rows whose labels stand for the rest of the data set in its id
_COUNTED = 1000  # rows whose vertices `open` counts, besides each person's first: a tenth of a second


class DataError(ValueError):
    """The data folder cannot be used as it is; the message is one sentence for the user."""


class MissingFiles(DataError):
    """More of the listed rows lack files than may."""


class Row(NamedTuple):
    """One line of a list, as strings: leading zeros are part of the name."""

    subject_id: str
    facial_action: str
    img_id: str

    def __str__(self) -> str:
        return "/".join(self)


@dataclass(frozen=True, eq=False)
class Sample:
    """One photograph: image (H, W, 3) uint8 RGB;  landmarks (68, 2) px as the data set gives them;
    and, except in the test split, verts (V, 3) metres, pose R (3, 3) and T (3,) metres, and
    points (V, 2) px, the projected vertices."""

    image: NDArray[np.uint8]
    landmarks: NDArray[np.float64]
    verts: NDArray[np.float32] | None = None
    R: NDArray[np.float64] | None = None
    T: NDArray[np.float64] | None = None
    points: NDArray[np.floating] | None = None


@dataclass(frozen=True, eq=False)
class WcpaDataset:
    """An opened data set; rows are read from disk only when asked for.

    rows: split ("train", "test") to its list;  projection (4, 4) float64
    """

    path: Path
    topology: Topology
    projection: NDArray[np.float64]
    rows: dict[str, tuple[Row, ...]]

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        splits: Sequence[str] = ("train",),
        missing_limit: float = MISSING_LIMIT,
        check_files: bool = True,
    ) -> WcpaDataset:
        """Open the folder, and look for the files of the given splits; DataError if it is unusable.

        A share of rows up to missing_limit, and always one, may lack files: a cache leaves such rows
        out and says so. More means that the copy is not whole or the list is another set's.
        check_files=False trusts the lists, where somebody has looked before (see `refuse_missing`).
        """
        root = Path(path)
        _check_parts(root, splits)
        try:
            topology = Topology.load(root / "resources")
            projection = check_projection(numbers_in(root / "resources" / "projection_matrix.txt"))
        except ValueError as error:
            raise DataError(f"{root}/resources is not usable: {error}") from error
        rows = {
            s: read_list(list_file(root, s), may_be_empty=s not in splits)
            for s in SPLITS
            if list_file(root, s).exists()
        }
        dataset = cls(root, topology, projection, rows)
        if check_files:
            dataset.refuse_missing(splits, missing_limit)
        return dataset

    def refuse_missing(
        self, splits: Sequence[str] = ("train",), missing_limit: float = MISSING_LIMIT
    ) -> None:
        """Look for the files of the splits, in every folder, and at some labels; DataError as `open` says."""
        for split in splits:
            absent = missing_files(self.path, self.rows[split], split)
            if len({row for row, _ in absent}) > max(1, missing_limit * len(self.rows[split])):
                raise MissingFiles(_missing_sentence(self.path, split, [path for _, path in absent]))
        if "train" in splits:
            self._check_vertex_counts()

    def image_path(self, row: Row) -> Path:
        return self.path / "image" / row.subject_id / row.facial_action / f"{row.img_id}_ar.jpg"

    def info_path(self, row: Row) -> Path:
        return self.path / "info" / row.subject_id / row.facial_action / f"{row.img_id}_info.npz"

    def landmarks_path(self, row: Row) -> Path:
        return (
            self.path / "68landmarks" / row.subject_id / row.facial_action / f"{row.img_id}_68landmarks.txt"
        )

    def subjects(self, split: str = "train") -> tuple[str, ...]:
        """Sorted ids of the people that a split lists."""
        return tuple(sorted({row.subject_id for row in self.rows[split]}))

    def labels(self, row: Row) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
        """verts (V, 3), R (3, 3) and T (3,) of a training row; errors as in `sample`."""
        return read_info(self.info_path(row))

    def sample(self, row: Row, split: str = "train") -> Sample:
        """Everything about one row; DamagedSample or OSError where its files do not allow it."""
        image = decode(self.image_path(row).read_bytes())
        landmarks = read_landmarks(self.landmarks_path(row))
        if split == "test":
            return Sample(image, landmarks)
        verts, R, T = self.labels(row)
        points = project(verts, R, T, self.projection, (image.shape[1], image.shape[0]))
        return Sample(image, landmarks, verts, R, T, points)

    @cached_property
    def id(self) -> str:
        """Short hash of lists, resources and a sample of the labels: the same on any disk, any day."""
        digest = hashlib.sha256(self.topology.id.encode() + self.projection.tobytes())
        for split in sorted(self.rows):
            rows = self.rows[split]
            digest.update(f"{split} {len(rows)}\n".encode())
            digest.update("\n".join("/".join(row) for row in rows).encode())
            for row in rows[:: max(1, len(rows) // _PROBES)]:
                for file in (self.info_path(row), self.landmarks_path(row)):
                    digest.update(file.read_bytes() if file.is_file() else b"absent")
                image = self.image_path(row)
                digest.update(str(image.stat().st_size if image.is_file() else -1).encode())
        return digest.hexdigest()[:12]

    def _check_vertex_counts(self) -> None:
        """DataError if labels have another vertex count than the mesh: all of a small data set, and of
        a large one each person's first and rows spread over the list; the cache sees the rest."""
        rows = self.rows["train"]
        first = {row.subject_id: row for row in reversed(rows)}
        counted = dict.fromkeys((*first.values(), *rows[:: -(-len(rows) // _COUNTED)]))
        expected = self.topology.vertex_count
        for row in counted:
            try:
                verts = read_info(self.info_path(row))[0]
            except (OSError, DamagedSample):
                continue  # the cache counts it, or the limit on missing files has spoken
            if len(verts) != expected:
                raise DataError(
                    f"{self.info_path(row)} has {len(verts)} vertices, but resources/example.obj has "
                    f"{expected}: labels and mesh must come from the same data set"
                )


def list_file(root: Path, split: str) -> Path:
    """Where a data set keeps the rows of a split."""
    return root / "list" / f"WCPA_track2_{split}.csv"


def _check_parts(root: Path, splits: Sequence[str]) -> None:
    if not root.is_dir():
        raise DataError(f"there is no data folder at {root}: give one in the WCPA layout")
    wanted = ["image", "68landmarks", *(["info"] if "train" in splits else [])]
    files = [f"resources/{name}" for name in ("projection_matrix.txt", "kpt_ind.npy", "example.obj")]
    files = [*(str(list_file(root, s).relative_to(root)) for s in splits), *files]
    absent = [f"{part}/" for part in wanted if not (root / part).is_dir()]
    absent += [part for part in files if not (root / part).is_file()]
    if absent:
        raise DataError(f"{root} is not a whole WCPA data set: it lacks {', '.join(absent)}")


def numbers_in(path: Path) -> NDArray[np.float64]:
    """The numbers of a text file, row by row; an empty one is for the caller to refuse, not to warn of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return np.loadtxt(path)


def read_list(path: Path, *, may_be_empty: bool = False) -> tuple[Row, ...]:
    """Rows of a list file; DataError for a wrong header, no rows, or names that cannot be path parts."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            if header and not set(COLUMNS) <= set(header):
                raise DataError(
                    f"{path} starts with {','.join(header)!r}; it needs the columns {','.join(COLUMNS)}"
                )
            s, a, i = (header.index(name) for name in COLUMNS) if header else (0, 1, 2)
            # The same few names stand in hundreds of thousands of lines; one copy of each is enough.
            rows = tuple(Row(intern(line[s]), intern(line[a]), intern(line[i])) for line in reader if line)
    except IndexError:
        raise DataError(f"{path} has a line with fewer columns than its header") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a readable CSV file: {error}") from error
    if not rows:
        if may_be_empty:
            return rows
        raise DataError(f"{path} lists no images")
    for name, values in zip(COLUMNS, map(set, zip(*rows, strict=True)), strict=True):
        for value in values:
            if value in ("", ".", "..") or any(c in value for c in "/\\\0"):
                raise DataError(f"{path} has the {name} {value!r}, which cannot be a folder or file name")
    return rows


def missing_files(root: Path, rows: Sequence[Row], split: str) -> list[tuple[Row, Path]]:
    """Rows and the files that they name but that are not there, by listing each directory once."""
    parts = [("image", "_ar.jpg"), ("68landmarks", "_68landmarks.txt")]
    parts += [("info", "_info.npz")] if split == "train" else []
    folders = sorted({(row.subject_id, row.facial_action) for row in rows})
    keys = [(part, *folder) for part, _ in parts for folder in folders]

    def names(key: tuple[str, str, str]) -> frozenset[str]:
        try:
            return frozenset(os.listdir(root.joinpath(*key)))
        except (FileNotFoundError, NotADirectoryError):
            return frozenset()  # any other error is the storage's, and raised: the files may well be there

    with ThreadPoolExecutor(16) as pool:  # directory listings wait on the file system, not on a core
        present = dict(zip(keys, pool.map(names, keys), strict=True))

    def absent() -> Iterator[tuple[Row, Path]]:
        for row in rows:
            for part, suffix in parts:
                if row.img_id + suffix not in present[part, row.subject_id, row.facial_action]:
                    yield row, root / part / row.subject_id / row.facial_action / (row.img_id + suffix)

    return list(absent())


def _missing_sentence(root: Path, split: str, absent: list[Path]) -> str:
    shown = ", ".join(str(path.relative_to(root)) for path in absent[:3])
    files = "1 file that is" if len(absent) == 1 else f"{len(absent)} files that are"
    return (
        f"the {split} list of {root} names {files} not there "
        f"({'the first three: ' if len(absent) > 3 else ''}{shown}): complete the data or correct the list"
    )
