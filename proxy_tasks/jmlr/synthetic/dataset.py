"""A data set of synthetic faces in the challenge's layout, written in parallel and all at once.

Every subject is a pure function of (seed, index), so the bytes do not depend on the number of workers.
Everything is written to a hidden sibling of the destination, which is renamed when it is complete.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from proxy_tasks.jmlr.synthetic import pose
from proxy_tasks.jmlr.synthetic.actions import ACTIONS
from proxy_tasks.jmlr.synthetic.frames import FRAMES_PER_ACTION, Studio, encode
from proxy_tasks.jmlr.synthetic.model import FaceModel, default_model, load_model
from proxy_tasks.progress import bar
from space.machine import cores

Row = tuple[str, str, str]

MOST_WORKERS = 512  # processes
JPEG_QUALITY = 92
_MOST_FRAMES = math.lcm(len(ACTIONS), FRAMES_PER_ACTION)  # after these (action, img_id) pairs repeat
_IMAGES_A_WORKER = 60  # below this a second process costs more than it saves


@dataclass(frozen=True, slots=True)
class Order:
    """What the workers need to know."""

    root: Path
    subjects: int  # with labels; those after them have none
    frames: int
    size: int
    seed: int


def synthesize(
    out: Path | str,
    *,
    subjects: int,
    test_subjects: int = 0,
    frames: int,
    size: int = 800,
    seed: int = 0,
    workers: int | None = None,
    face_model: Path | str | None = None,
    progress: bool = False,
) -> Path:
    """Writes (subjects + test_subjects) x frames labelled images of size x size pixels; returns out.

    Test subjects get images and landmarks but no info files, as in the challenge. workers: processes,
    as many as there are cores by default; 1 stays in this process. face_model: an npz of docs/faces.md's
    schema instead of the built-in head. Raises ValueError for a request that cannot be met.
    """
    out = Path(out).absolute()
    _check(out, subjects, test_subjects, frames, size, seed, workers)
    model = default_model() if face_model is None else load_model(Path(face_model))
    out.parent.mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        root.chmod(0o777 & ~_umask())
        order = Order(root, subjects, frames, size, seed)
        total = subjects + test_subjects
        rows: list[Row] = []
        with bar(total * frames, "images", "faces", show=progress) as shown:
            for written in _run(order, model, total, workers):
                rows.extend(written)
                shown.update(len(written))
        _write_lists(root, rows, subjects)
        _write_resources(root, model, order, total)
        root.rename(out)
    except BaseException:
        shutil.rmtree(root, ignore_errors=True)
        raise
    return out


def _check(
    out: Path, subjects: int, test_subjects: int, frames: int, size: int, seed: int, workers: int | None
) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} already holds something: name a new or an empty folder.")
    if subjects < 1 or test_subjects < 0 or subjects + test_subjects > 999_999:
        raise ValueError(
            f"{subjects} training and {test_subjects} test subjects: at least 1 and 0, up to 999,999 in all."
        )
    if not 1 <= frames <= _MOST_FRAMES:
        raise ValueError(f"{frames} frames per subject: 1 to {_MOST_FRAMES} are possible.")
    if not 64 <= size <= 4096:
        raise ValueError(f"images of {size} pixels: 64 to 4096 are possible.")
    if seed < 0:
        raise ValueError(f"seed {seed}: it must not be negative.")
    if workers is not None and not 1 <= workers <= MOST_WORKERS:
        raise ValueError(f"{workers} workers: at least 1 is needed, at most {MOST_WORKERS}.")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _run(order: Order, model: FaceModel, total: int, workers: int | None) -> Iterator[list[Row]]:
    """Rows of each subject, in order."""
    useful = min(total, -(-total * order.frames // _IMAGES_A_WORKER))
    count = min(cores(), useful) if workers is None else min(workers, total)
    if count == 1:
        studio = Studio(model, order.size, order.seed)
        yield from (write_subject(studio, order, index) for index in range(total))
        return
    shared = order.root / "model.npz"
    model.save(shared)
    others = multiprocessing.active_children()
    try:
        context = multiprocessing.get_context("spawn")  # fork would copy other threads' locks
        with ProcessPoolExecutor(count, context, _start_worker, (order, shared)) as pool:
            yield from pool.map(_work, range(total), chunksize=max(1, min(8, total // (4 * count))))
    finally:
        # A Ctrl-C while workers start leaves them to nobody, and Python would wait for them at its end.
        for child in multiprocessing.active_children():
            if child not in others:
                child.kill()
        shared.unlink(missing_ok=True)


_studio: Studio  # of a worker process
_order: Order


def _start_worker(order: Order, model: Path) -> None:
    global _studio, _order
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and stops the pool
    cv2.setNumThreads(1)
    _studio, _order = Studio(load_model(model), order.size, order.seed), order


def _work(index: int) -> list[Row]:
    return write_subject(_studio, _order, index)


def write_subject(studio: Studio, order: Order, index: int) -> list[Row]:
    """Draw and write all frames of person `index` (from 0); the rows of the list that name them."""
    name = f"{index + 1:06d}"
    person = studio.subject(index)
    rows: list[Row] = []
    for number in range(order.frames):
        frame = person.frame(number)
        folders = [order.root / kind / name / frame.action for kind in ("image", "68landmarks", "info")]
        image, marks, info = folders
        image.mkdir(parents=True, exist_ok=True)
        (image / f"{frame.img_id}_ar.jpg").write_bytes(encode(frame.image, JPEG_QUALITY))
        marks.mkdir(parents=True, exist_ok=True)
        text = ("%.2f %.2f\n" * 68) % tuple(frame.landmarks68.ravel().tolist())
        (marks / f"{frame.img_id}_68landmarks.txt").write_text(text)
        if index < order.subjects:
            info.mkdir(parents=True, exist_ok=True)
            np.savez(info / f"{frame.img_id}_info.npz", verts=frame.verts, R_t=frame.pose.matrix)
        rows.append((name, frame.action, frame.img_id))
    return sorted(rows)


def _write_lists(root: Path, rows: list[Row], subjects: int) -> None:
    folder = root / "list"
    folder.mkdir()
    last = f"{subjects:06d}"
    for split, chosen in (
        ("train", [r for r in rows if r[0] <= last]),
        ("test", [r for r in rows if r[0] > last]),
    ):
        lines = ["subject_id,facial_action,img_id", *(",".join(row) for row in chosen)]
        (folder / f"WCPA_track2_{split}.csv").write_text("\n".join(lines) + "\n")
        names = sorted({row[0] for row in chosen})
        (folder / f"WCPA_track2_{split}_subject_id_list.txt").write_text(
            "".join(f"{name}\n" for name in names)
        )


def _write_resources(root: Path, model: FaceModel, order: Order, total: int) -> None:
    folder = root / "resources"
    folder.mkdir()
    matrix = "\n".join(" ".join(f"{value:.9g}" for value in row) for row in pose.PROJECTION)
    (folder / "projection_matrix.txt").write_text(matrix + "\n")
    np.save(folder / "kpt_ind.npy", model.landmarks68)
    np.save(folder / "flip_index.npy", model.flip_index)
    vertices = "".join(f"v {x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in model.mean)
    faces = "".join(f"f {a} {b} {c}\n" for a, b, c in model.triangles + 1)
    (folder / "example.obj").write_text(vertices + faces)
    made = {
        "subjects": order.subjects,
        "test_subjects": total - order.subjects,
        "frames": order.frames,
        "size": order.size,
        "seed": order.seed,
        "jpeg_quality": JPEG_QUALITY,
        "vertices": len(model.mean),
    }
    (folder / "synthetic.json").write_text(json.dumps(made, indent=1) + "\n")
