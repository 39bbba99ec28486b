"""Whose prediction, of what: the members that were asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Literal

from nas.predict.npz_stream import require_place
from nas.predict.pictures import COMMAND
from nas.retrain.trained import Member, MemberError, best_of, find_members, require_members
from space.files import read_object
from space.outputs import OwnFolder


@dataclass(frozen=True, slots=True)
class Request:
    """What to predict with and on; `flip` None takes the ensemble's setting, or True."""

    run: Path
    split: Literal["val", "test"]
    out: Path
    member: str | None = None
    trainval: bool = False
    flip: bool | None = None
    overlay: int = 0
    skip_missing: bool = False
    only: Path | None = None  # a list of images, in the columns of a data set's

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
            f"{request.run} has no ensemble yet: run python -m nas.ensemble {quote(str(request.run))} first"
        )
    try:
        document = read_object(file)
        weights = [float(entry["weight"]) for entry in document["members"]]
        folders, stored_flip = [entry["folder"] for entry in document["members"]], document["flip"]
    except (ValueError, KeyError, TypeError) as error:
        raise MemberError(
            f"{file} is damaged ({error}): run python -m nas.ensemble {quote(str(request.run))} again"
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
        f"{member.title} has no twin that was trained on all subjects: run "
        f"python -m nas.retrain {quote(str(run))} "
        "--trainval with the same settings"
    )
