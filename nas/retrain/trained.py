"""Trained networks of a run, as members of an ensemble or as the one that predicts."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from nas.record.run_dir import RunDir
from space.arch import ArchSpec
from space.files import read_object
from space.shape import misfit

if TYPE_CHECKING:
    from torch import Tensor, nn

    from proxy_tasks.kind import TaskKind
    from proxy_tasks.predicting import Asked, OpenSamples

_SHAPE = {  # what readers of a finished run's metrics.json rely on
    "status": str,
    "trainval": bool,
    "arch": {"depths": [int], "widths": [int]},
    "arch_id": str,
    "name": str,
    "seed": int,
    "proxy": {"resolution": int},
    "proxy_id": str,
    "settings_id": str,
    "data": str,
    "data_id": str,
    "outputs": int,
    "macs": int,
    "best": {"epoch": int, "l_error_mm": float},
    "topology?": (None, {"id": str, "vertices": int}),
    "split?": (None, {"id": str}),
    "images?": (None, {"validation": int}),
}


class MemberError(ValueError):
    """Trained networks that cannot be used as asked."""


class DamagedWeights(RuntimeError):
    """A file of weights that cannot be read."""


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

    @property
    def validated(self) -> tuple[int, str, str]:
        """How many validation images scored it, and which: data set and split."""
        split = self.record.get("split") or {}
        images = (self.record.get("images") or {}).get("validation", 0)
        return images, str(self.record["data_id"]), str(split.get("id", ""))

    def weights(self) -> dict[str, Tensor]:
        """State dict of the epoch that metrics.json scores, on the CPU.

        Known by its hash, or in runs of before there was one by its epoch: of the newest file, or of the one
        before where that is damaged. MemberError where neither holds it.
        """
        from proxy_tasks import checkpoint as checkpoints

        best, why = self.folder / "best.pt", ""
        for file in (best, checkpoints.previous(best)):
            try:
                saved = read_weights(file)
                self._require_own(file, saved["about"])
            except FileNotFoundError:
                why = why or f"{file.name} is missing"
            except DamagedWeights as error:
                warnings.warn(str(error), stacklevel=2)
                why = why or f"{file.name} cannot be read"
            else:
                if self._scores(saved):
                    return saved["model"]
                why = why or f"{file.name} holds those of another epoch"
        raise MemberError(
            f"{self.folder} lacks the weights that metrics.json scores ({why}): put the file back, pick "
            "another network, or move the folder away and retrain it"
        )

    def _scores(self, saved: dict[str, Any]) -> bool:
        """Whether metrics.json's best score is of these weights."""
        from nas.retrain.folder import weights_hash

        known = self.record["best"].get("weights_sha256")
        if known is None:
            return saved.get("epoch") == self.record["best"]["epoch"]
        return weights_hash(saved["model"]) == known

    def _require_own(self, file: Path, about: dict[str, Any]) -> None:
        """MemberError where the file is of another run than metrics.json."""
        named = [f"{r['arch_id']} with seed {r['seed']}" for r in (self.record, about)]
        for mine, theirs in (named, [_target(record) for record in (self.record, about)]):
            if mine != theirs:
                raise MemberError(
                    f"{file} is of {theirs}, but metrics.json beside it says {mine}: "
                    "the folder mixes two runs"
                )

    def model(self) -> nn.Module:
        """The network of the best epoch, in evaluation mode, on the CPU."""
        from proxy_tasks.backbone import build_model

        model = build_model(self.arch, self.record["outputs"])
        model.load_state_dict(self.weights())
        return model.eval()


def read_weights(file: Path) -> dict[str, Any]:
    """What a best.pt holds; FileNotFoundError where it is missing, DamagedWeights where it is none."""

    if not file.is_file():
        raise FileNotFoundError(file)
    try:
        saved = torch.load(file, map_location="cpu", weights_only=True)
        if not misfit(saved, {"about": {"arch_id": str, "seed": int, "outputs": int}, "model": dict}):
            return saved
        why = "it is no file of nas.retrain"
    except Exception as error:  # torch raises what its reader, pickle or the zip file happen to raise
        why = str(error).splitlines()[0].split(". ")[0] if str(error) else type(error).__name__
    raise DamagedWeights(f"{file} is damaged ({why})")


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
    """Finished runs under `run`/retrain, the best first; may be empty.

    Scores are compared on the same validation images only: those scored on the most images stand first.
    """
    members = []
    for file in sorted((run / "retrain").glob("*/metrics.json")):
        record = read_record(file)
        if record["status"] == "complete" and record["trainval"] == trainval:
            members.append(Member(file.parent, record))
    return sorted(members, key=lambda m: (-m.validated[0], m.validated, m.l_error_mm, m.name))


def best_of(members: Sequence[Member]) -> Member:
    """The first of `find_members`; warns, and names it, where others were scored on other images."""
    best = members[0]
    if any(member.validated != best.validated for member in members):
        warnings.warn(
            "these networks were scored on different validation images, so not all can be compared: taking "
            f"{best.name}, best of those scored on {best.validated[0]} images; name another with --member",
            stacklevel=2,
        )
    return best


def read_record(file: Path) -> dict[str, Any]:
    """What a metrics.json says; MemberError where it is damaged."""
    mends = "the nas.retrain command that wrote it mends it from the checkpoint"
    try:
        record = read_object(file)
    except ValueError as error:
        raise MemberError(f"{file} is damaged ({error}): {mends}") from None
    shape = _SHAPE if record.get("status") == "complete" else {"status": str, "trainval": bool}
    wrong = misfit(record, shape)
    if not wrong and shape is _SHAPE:
        try:
            ArchSpec.from_dict(record["arch"])
        except ValueError as error:
            wrong = str(error)
    if wrong:
        raise MemberError(f"{file} is damaged ({wrong}): {mends}")
    return record


def require_members(run: Path, names: Sequence[str] = (), *, trainval: bool = False) -> list[Member]:
    """The finished runs, or those named; MemberError where there is none."""
    where = RunDir(run)
    where.read()
    members = find_members(run, trainval=trainval)
    if not members:
        kind = " on all subjects" if trainval else ""
        flag = " --trainval" if trainval else ""
        raise MemberError(
            f"{run} holds no finished retraining{kind}: run python -m nas.retrain {where.quoted}{flag} first"
        )
    if not names:
        return members
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise MemberError(f"{twice[0]} is named twice: a network counts once, and weights are chosen")
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


def kind_of(members: Sequence[Member]) -> TaskKind:
    """The task that they were trained for; ValueError where it cannot be found here."""
    from proxy_tasks.kind import find_kind

    return find_kind(members[0].record.get("task"))


def open_samples(asked: Asked, *, progress: bool = False) -> OpenSamples:
    """What their task offers to predict; ValueError where that is nothing, or where the data does not fit."""
    from proxy_tasks.kind import find_kind
    from proxy_tasks.predicting import offered

    kind = find_kind(asked.networks[0].record.get("task"))
    samples: OpenSamples = offered(kind, "open_samples", "predictions")(asked, progress=progress)
    return samples
