"""The work behind `python -m nas.predict`: whose prediction, of what, streamed to an npz."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from nas.ensemble.build import require_data, validation_rows
from nas.predict.inference import Crops, Predictor
from nas.predict.npz_stream import NpzStream, require_place
from nas.predict.pictures import COMMAND, Overlay
from nas.retrain.trained import Member, MemberError, best_of, find_members, require_members
from proxy_tasks.jmlr.crops.build import BAD_LIMIT
from proxy_tasks.jmlr.crops.cache import CropCache
from proxy_tasks.jmlr.metric import l_error
from proxy_tasks.jmlr.pnp import solve_pnp
from proxy_tasks.jmlr.wcpa.dataset import MISSING_LIMIT, MissingFiles, WcpaDataset
from space.outputs import OwnFolder


@dataclass(frozen=True, slots=True)
class Request:
    """What to predict with and on; `flip` None takes the ensemble's setting, or True."""

    run: Path
    split: str
    out: Path
    member: str | None = None
    trainval: bool = False
    flip: bool | None = None
    overlay: int = 0
    skip_missing: bool = False

    def __post_init__(self) -> None:
        if self.out.suffix != ".npz":
            raise ValueError(f"--out is a file that ends in .npz, not {self.out}")
        require_place(self.out)
        if self.overlay:
            OwnFolder.claim(self.folder, COMMAND, flag="--out, whose pictures go beside it,")
        if self.overlay < 0:
            raise ValueError(f"--overlay is a number of pictures, not {self.overlay}")
        if self.trainval and self.split == "val":
            raise ValueError(
                "--trainval networks have seen the validation subjects: use them with --split test"
            )

    @property
    def folder(self) -> Path:
        """Of the pictures."""
        return self.out.with_name(f"{self.out.stem}_overlay")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Members, their weights, whether to flip, and what to call them."""

    members: list[Member]
    weights: list[float]
    flip: bool
    network: str


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
    if not len(crops.any):
        raise MemberError(f"none of the {split} images of {dataset.path} can be cropped: is it whole?")
    if not request.skip_missing:
        require_whole(crops.any, dataset, split)
    rows = validation_rows(crops.any) if request.split == "val" else np.arange(len(crops.any))
    predictor = Predictor(chosen.members, chosen.weights, crops, device=device, flip=chosen.flip)
    return _stream(request, chosen, predictor, dataset, rows, progress)


def _open(path: Path, split: str, skip_missing: bool) -> WcpaDataset:
    """The data set; DataError where more files are absent than may be, unless those rows shall be skipped."""
    try:
        return WcpaDataset.open(path, splits=(split,), missing_limit=1.0 if skip_missing else MISSING_LIMIT)
    except MissingFiles as error:
        raise MissingFiles(f"{error}, or leave those images out with --skip-missing") from None


def choose(request: Request) -> Chosen:
    """The ensemble that nas.ensemble wrote, the best single network, or the one that was named."""
    file = request.run / "ensemble" / "members.json"
    if request.member == "ensemble" or (request.member is None and file.exists()):
        return _ensemble(request, file)
    named = () if request.member in (None, "best") else (request.member or "",)
    members = require_members(request.run, named, trainval=request.trainval)
    member = best_on_all_subjects(members, request.run) if request.trainval else best_of(members)
    return Chosen([member], [1.0], request.flip is not False, member.title)


def _ensemble(request: Request, file: Path) -> Chosen:
    if not file.exists():
        raise MemberError(
            f"{request.run} has no ensemble yet: run python -m nas.ensemble {request.run} first"
        )
    try:
        document = json.loads(file.read_text())
        weights = [float(entry["weight"]) for entry in document["members"]]
        folders, stored_flip = [entry["folder"] for entry in document["members"]], document["flip"]
    except (ValueError, KeyError, TypeError) as error:
        raise MemberError(
            f"{file} is damaged ({error}): run python -m nas.ensemble {request.run} again"
        ) from None
    members = require_members(request.run, folders)
    if request.trainval:
        members = [twin(member, request.run) for member in members]
    flip = stored_flip if request.flip is None else request.flip
    alone = f"{members[0].title}, alone in the ensemble"
    name = f"an ensemble of {len(members)}" if len(members) > 1 else alone
    return Chosen(members, weights, flip, name)


def best_on_all_subjects(members: list[Member], run: Path) -> Member:
    """Of networks that have seen the validation subjects, the twin of the best one that has not.

    Their own scores say nothing: MemberError where there are several and no twin's score to go by.
    """
    if len(members) == 1:
        return members[0]
    for validated in find_members(run):
        for member in members:
            if is_twin(member, validated):
                return member
    names = ", ".join(member.name for member in members)
    raise MemberError(
        f"none of the networks trained on all subjects has a twin whose validation score says which is best: "
        f"pick one with --member ({names})"
    )


def is_twin(member: Member, other: Member) -> bool:
    """Whether the two differ in the subjects they were trained on alone."""
    return all(member.record[key] == other.record[key] for key in ("arch", "seed", "proxy_id", "data_id"))


def twin(member: Member, run: Path) -> Member:
    """The run of the same architecture, seed and schedule on all subjects; MemberError if there is none."""
    for other in find_members(run, trainval=True):
        if is_twin(other, member):
            return other
    raise MemberError(
        f"{member.title} has no twin that was trained on all subjects: run python -m nas.retrain {run} "
        "--trainval with the same settings"
    )


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
    from tqdm import tqdm

    cache = predictor.crops.any
    vertices = cache.topology.vertex_count
    shapes = {"verts": (vertices, 3), "R": (3, 3), "T": (3,)}
    pictured = set(np.linspace(0, len(rows) - 1, min(request.overlay, len(rows))).astype(int).tolist())
    errors: list[np.ndarray] = []
    bar = tqdm(total=len(rows), unit="img", desc="predicting", disable=not progress, file=sys.stderr)
    with (
        NpzStream(request.out, len(rows), shapes) as npz,
        Overlay(request.folder, dataset) as overlay,
        bar,
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
            bar.update(len(part.rows))
    mean = float(np.concatenate(errors).mean()) if errors else None
    return Done(len(rows), chosen.network, mean, len(pictured), request.folder)


def _tensor(array: np.ndarray | None, rows: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    assert array is not None
    return torch.from_numpy(np.take(array, rows, axis=0)).to(like)
