"""Trained networks of a run, as members of an ensemble or as the one that predicts."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.record.run_dir import RunDir
from space.arch import ArchSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

    from proxy_tasks.jmlr.wcpa.topology import Topology


class MemberError(ValueError):
    """Trained networks that cannot be used as asked."""


@dataclass(frozen=True, slots=True)
class Member:
    """A folder under retrain/ and what its metrics.json says."""

    folder: Path
    record: dict[str, Any]

    @property
    def name(self) -> str:
        """The folder's name, which no other run shares."""
        return self.folder.name

    @property
    def arch(self) -> ArchSpec:
        """Its architecture."""
        return ArchSpec.from_dict(self.record["arch"])

    @property
    def title(self) -> str:
        """Short name for tables: the reference's name or the architecture's id, and the seed."""
        return f"{self.record['name'] or self.record['arch_id']} (seed {self.record['seed']})"

    @property
    def trainval(self) -> bool:
        """Whether it has seen the validation subjects."""
        return self.record["trainval"]

    @property
    def resolution(self) -> int:
        """Side of the crop, pixels."""
        return self.record["proxy"]["resolution"]

    @property
    def macs(self) -> int:
        """Multiply-adds of one forward pass at 256x256."""
        return self.record["macs"]

    @property
    def l_error_mm(self) -> float:
        """Validation L_error of the best epoch, as training scored it."""
        return self.record["best"]["l_error_mm"]

    def weights(self) -> dict[str, Tensor]:
        """State dict of the best epoch, on the CPU; the one before where the newest file is damaged."""
        from proxy_tasks import checkpoint as checkpoints

        with warnings.catch_warnings(record=True) as damage:
            warnings.simplefilter("always")
            saved = checkpoints.load(self.folder / "best.pt")
        for warning in damage:
            warnings.warn(str(warning.message), stacklevel=2)
        if saved is None:
            raise MemberError(f"{self.folder} has no weights that can be read (best.pt): train it again")
        about = saved["about"]
        mine, theirs = (f"{r['arch_id']} with seed {r['seed']}" for r in (self.record, about))
        if mine != theirs:
            raise MemberError(
                f"{self.folder / 'best.pt'} is of {theirs}, but metrics.json beside it says {mine}: "
                "the folder mixes two runs"
            )
        mine, theirs = (_target(record) for record in (self.record, about))
        if mine != theirs:
            raise MemberError(
                f"{self.folder / 'best.pt'} is of {theirs}, but metrics.json beside it says {mine}: "
                "the folder mixes two runs"
            )
        return saved["model"]

    def model(self) -> nn.Module:
        """The network of the best epoch, in evaluation mode, on the CPU."""
        from proxy_tasks.backbone import build_model

        model = build_model(self.arch, self.record["outputs"])
        model.load_state_dict(self.weights())
        return model.eval()

    def require_topology(self, topology: Topology, where: str) -> None:
        """MemberError unless the network's outputs are the vertices of this mesh."""
        own = self.record["topology"]
        if own["vertices"] != topology.vertex_count:
            raise MemberError(
                f"{self.name} predicts {own['vertices']} vertices, but the mesh of {where} has "
                f"{topology.vertex_count}: give the data set that it was trained on"
            )
        if own["id"] != topology.id:
            raise MemberError(
                f"{self.name} was trained on another mesh ({own['id']}) than that of {where} "
                f"({topology.id}): give a data set with the same topology"
            )


def _target(record: dict[str, Any]) -> str:
    """What a network's outputs are, in words."""
    mesh = record.get("topology")
    meant = f" for a mesh of {mesh['vertices']} vertices ({mesh['id']})" if mesh else ""
    return f"{record['outputs']} outputs{meant}"


def titles(members: Sequence[Member]) -> list[str]:
    """Names for a table, all different: equal ones get the hash of their settings too."""
    plain = [member.title for member in members]
    return [
        title if plain.count(title) == 1 else f"{title[:-1]}, {member.record['settings_id']})"
        for title, member in zip(plain, members, strict=True)
    ]


def find_members(run: Path, *, trainval: bool = False) -> list[Member]:
    """Finished runs under `run`/retrain, best validation L_error first; may be empty."""
    members = []
    for file in sorted((run / "retrain").glob("*/metrics.json")):
        record = read_record(file)
        if record["status"] == "complete" and record["trainval"] == trainval:
            members.append(Member(file.parent, record))
    return sorted(members, key=lambda m: (m.l_error_mm, m.name))


def read_record(file: Path) -> dict[str, Any]:
    """What a metrics.json says; MemberError where it is damaged."""
    try:
        return json.loads(file.read_text())
    except json.JSONDecodeError as error:
        raise MemberError(
            f"{file} is damaged ({error}): the nas.retrain command that wrote it mends it from the checkpoint"
        ) from None


def require_members(run: Path, names: Sequence[str] = (), *, trainval: bool = False) -> list[Member]:
    """The finished runs, or those named; MemberError where there is none."""
    RunDir(run).read()
    members = find_members(run, trainval=trainval)
    if not members:
        kind = " on all subjects" if trainval else ""
        flag = " --trainval" if trainval else ""
        raise MemberError(
            f"{run} holds no finished retraining{kind}: run python -m nas.retrain {run}{flag} first"
        )
    if not names:
        return members
    by_name = {member.name: member for member in members}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise MemberError(f"{run} has no finished retraining {unknown[0]!r}: there are {', '.join(by_name)}")
    return [by_name[name] for name in names]


def require_alike(members: Iterable[Member]) -> None:
    """MemberError unless all were trained on one data set, one split and one mesh."""
    first, *others = members
    for other in others:
        for key, what in (("data_id", "data sets"), ("split", "subject splits"), ("topology", "meshes")):
            mine, theirs = first.record.get(key), other.record.get(key)
            if mine is not None and theirs is not None and key != "data_id":
                mine, theirs = mine["id"], theirs["id"]
            if mine != theirs:
                raise MemberError(
                    f"{first.name} and {other.name} were trained on different {what} ({mine} and {theirs}): "
                    "name those that belong together with --members"
                )
