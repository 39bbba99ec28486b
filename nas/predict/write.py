"""The work behind `python -m nas.predict`: whose prediction, of what, streamed to an npz."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from nas.predict.inference import Crops, Predictor
from nas.predict.npz_stream import NpzStream
from nas.predict.pictures import Overlay
from nas.predict.request import Chosen, Request, choose
from nas.retrain.trained import MemberError, require_data
from proxy_tasks.jmlr.crops.build import BAD_LIMIT
from proxy_tasks.jmlr.crops.cache import CropCache
from proxy_tasks.jmlr.metric import l_error
from proxy_tasks.jmlr.pnp import solve_pnp
from proxy_tasks.jmlr.wcpa.dataset import MISSING_LIMIT, DataError, MissingFiles, WcpaDataset, read_list
from proxy_tasks.jmlr.wcpa.split import validation_rows
from proxy_tasks.progress import bar


@dataclass(frozen=True, slots=True)
class Done:
    """What was predicted, by whom, and how well."""

    images: int
    network: str
    l_error_mm: float | None  # where there are labels
    overlays: int
    folder: Path


def predict(
    request: Request, *, data: Path | None = None, device: str = "auto", progress: bool = True
) -> Done:
    """Write the npz, and the pictures where asked; at the end all of it is there or none."""
    chosen = choose(request)
    split = "train" if request.split == "val" else "test"
    dataset = _open(data or Path(chosen.members[0].record["data"]), split, request.skip_missing)
    if request.split == "val":
        require_data(chosen.members, dataset)
    limit = 1.0 if request.skip_missing else BAD_LIMIT
    crops = Crops.open(dataset, chosen.members, split, progress=progress, bad_limit=limit)
    if not request.skip_missing:
        require_whole(crops.any, dataset, split)
    if request.split == "val":
        rows = validation_rows(crops.any.subjects, chosen.members[0].validating)
    else:
        rows = np.arange(len(crops.any))
    if request.only is not None:
        rows = listed(crops.any, rows, request.only)
    predictor = Predictor(chosen.members, chosen.weights, crops, device=device, flip=chosen.flip)
    return _stream(request, chosen, predictor, dataset, rows, progress)


def listed(cache: CropCache, rows: np.ndarray, file: Path) -> np.ndarray:
    """Those of `rows` that a CSV list names, in its order; MemberError for one that is not among them."""
    names = zip(
        *(column[rows].tolist() for column in (cache.subjects, cache.actions, cache.img_ids)), strict=True
    )
    at = dict(zip(names, rows.tolist(), strict=True))
    wanted = read_list(file)
    absent = [row for row in wanted if tuple(row) not in at]
    if absent:
        raise MemberError(
            f"{file} names {len(absent)} images that this split does not have, such as {absent[0]}"
        )
    return np.array([at[tuple(row)] for row in wanted])


def _open(path: Path, split: str, skip_missing: bool) -> WcpaDataset:
    """The data set; DataError where rows are listed twice, or where more files are absent than may be."""
    try:
        limit = 1.0 if skip_missing else MISSING_LIMIT
        dataset = WcpaDataset.open(path, splits=(split,), missing_limit=limit)
    except MissingFiles as error:
        raise MissingFiles(f"{error}, or leave those images out with --skip-missing") from None
    twice = [str(row) for row, times in Counter(dataset.rows[split]).items() if times > 1]
    if twice:
        raise DataError(f"the {split} list of {path} names {twice[0]} twice, and an image has one prediction")
    return dataset


def require_whole(cache: CropCache, dataset: WcpaDataset, split: str) -> None:
    """MemberError where listed images cannot be cropped, such as for want of landmarks."""
    if cache.left_out:
        shown = "; ".join(f"{row}: {reason}" for row, reason in cache.left_out[:3])
        raise MemberError(
            f"{len(cache.left_out)} of {len(dataset.rows[split]):,} {split} images cannot be cropped "
            f"({shown}): complete the data set, or leave them out with --skip-missing"
        )


def _stream(
    request: Request,
    chosen: Chosen,
    predictor: Predictor,
    dataset: WcpaDataset,
    rows: np.ndarray,
    progress: bool,
) -> Done:
    cache = predictor.crops.any
    vertices = cache.topology.vertex_count
    shapes = {"verts": (vertices, 3), "R": (3, 3), "T": (3,)}
    pictured = set(np.linspace(0, len(rows) - 1, min(request.overlay, len(rows))).astype(int).tolist())
    errors: list[np.ndarray] = []
    shown = bar(len(rows), "images", "predicting", show=progress)
    with (
        NpzStream(request.out, len(rows), shapes) as npz,
        Overlay(request.folder, dataset) as overlay,
        shown,
    ):
        names = {"subject_id": cache.subjects, "facial_action": cache.actions, "img_id": cache.img_ids}
        npz.put_whole({name: np.asarray(column[rows]) for name, column in names.items()})
        done = 0
        for part in predictor.stream(rows):
            verts, points = part.verts.double(), part.points.double()
            R, T = solve_pnp(verts, points, _tensor(cache.K, part.rows, verts))
            npz.put(verts=verts.cpu().numpy(), R=R.cpu().numpy(), T=T.cpu().numpy())
            if cache.verts is not None:
                truth = [_tensor(getattr(cache, name), part.rows, verts) for name in ("verts", "R", "T")]
                errors.append(l_error(verts, R, T, *truth)[0].cpu().numpy())
            for i in range(len(part.rows)):
                if done + i in pictured:
                    overlay.draw(cache, int(part.rows[i]), *(t[i].cpu().numpy() for t in (verts, R, T)))
            done += len(part.rows)
            shown.update(len(part.rows))
    mean = float(np.concatenate(errors).mean()) if errors else None
    return Done(len(rows), chosen.network, mean, len(pictured), request.folder)


def _tensor(array: np.ndarray | None, rows: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    assert array is not None
    return torch.from_numpy(np.take(array, rows, axis=0)).to(like)
