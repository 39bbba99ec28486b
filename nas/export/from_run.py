"""The Source that a command line names: a run, a spec file, or a reference architecture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas.export.source import Source
from nas.record.run_dir import RunDir, RunError
from nas.record.select import select
from nas.record.store import Store, TrialRecord
from nas.retrain.folder import weights_hash
from nas.retrain.trained import Member, MemberError, best_of, find_members
from proxy_tasks.kind import DEFAULT, SCORE, Score, find_kind
from space.arch import ArchSpec
from space.plan import OUTPUTS
from space.specfile import outputs_in, read_spec, reference_name

PARTS = ("v1_v2_mm", "v1_v3_mm", "v1_v4_x10_mm", "median_mm", "failed_share")


def open_source(target: str, member: str | None = None) -> Source:
    """What to export. A run gives its best retrained network, or the named one, with its weights;
    where nothing was retrained, the architecture that its search found best, without weights. A folder
    under RUN/retrain gives the network that was trained there."""
    path = Path(target)
    if is_retrained(path):
        if member is not None:
            raise ValueError(f"--member picks a network of a run, and {target} is one network already")
        path, member = run_of(path), path.resolve().name
    if not path.is_dir():
        if member is not None:
            raise ValueError(f"--member picks a network of a run, and {target!r} is no run's folder")
        arch = read_spec(target)
        name = reference_name(arch)
        return Source(arch, outputs_in(target), name, taken=f"{name or arch.id}, without weights")
    facts = RunDir(path).read()
    chosen = find_member(path, member)
    if chosen is not None:
        why = "" if member else f", the best of {_counted(path)}"
        return _trained(path, facts, chosen, why)
    if everybody := find_members(path, trainval=True):
        raise MemberError(
            f"{path} has only networks that were trained on all subjects, without scores to choose by: name "
            f"one with --member ({', '.join(m.name for m in everybody)})"
        )
    records = Store.open(path).records()
    best = select(records).best
    if best is None:
        raise RunError(f"{path} has no finished trial, so there is nothing to export yet")
    scores = search_scores(records, best.arch)
    outputs = facts.get("data", {}).get("outputs", OUTPUTS)
    origin = provenance(path, facts)
    name = f"{best.arch.id}{f' ({best.name})' if best.name else ''}"
    taken = f"{name}, the search's best at {best.fidelity}; no weights, as nothing was retrained"
    return Source(best.arch, outputs, best.name, None, 256, scores, origin, taken, formats_of(facts))


def is_retrained(path: Path) -> bool:
    """Whether it is a folder that nas.retrain wrote."""
    return path.resolve().parent.name == "retrain" and (path / "metrics.json").is_file()


def run_of(folder: Path) -> Path:
    """The run that a folder of nas.retrain lies in."""
    return folder.resolve().parent.parent


def _counted(run: Path) -> str:
    count = len(find_members(run))
    return "one that was retrained" if count == 1 else f"{count} that were retrained"


def find_member(run: Path, name: str | None) -> Member | None:
    """The named network, trained on all subjects or not; by default the best that has a validation score."""
    members = find_members(run)
    if name is None:
        return best_of(members) if members else None
    members += find_members(run, trainval=True)
    for member in members:
        if member.name == name:
            return member
    known = ", ".join(m.name for m in members) or "none"
    raise MemberError(f"{run} has no finished retraining {name!r}: there are {known}")


def _trained(run: Path, facts: dict[str, Any], member: Member, why: str) -> Source:
    state, epoch = member.weights(), member.record["best"]["epoch"]
    scores = (retrain_score(member), *search_scores(Store.open(run).records(), member.arch))
    origin = provenance(run, facts)
    origin["checkpoint"] = {"folder": member.name, "epoch": epoch, "weights_sha256": weights_hash(state)}
    record = member.record
    mesh = {"topology": record["topology"]["id"]} if "topology" in record else {}
    origin["data"] = {"id": record["data_id"], **mesh}
    score = "trained on everybody" if member.trainval else Score.of(record).text(member.l_error_mm)
    taken = f"{member.name}, {score} at epoch {epoch}{why}"
    return Source(
        member.arch, record["outputs"], record["name"], state, member.resolution, scores, origin, taken,
        formats_of(facts),
    )  # fmt: skip


def formats_of(facts: dict[str, Any]) -> tuple[str, ...]:
    """The formats that mean something for networks of this run's task."""
    return find_kind(facts.get("config", {}).get("task", DEFAULT)).formats


def retrain_score(member: Member) -> dict[str, Any]:
    """Validation score of the exported epoch; of a run on all subjects there is none, and it says so."""
    record, best = member.record, member.record["best"]
    return {
        "source": "retrain",
        "fidelity": record["proxy_id"],
        "seed": record["seed"],
        "trainval": member.trainval,
        **{key: best[key] for key in (SCORE, *PARTS) if key in best},
    }


def search_scores(records: list[TrialRecord], arch: ArchSpec) -> tuple[dict[str, Any], ...]:
    """Every complete proxy run of the architecture."""
    return tuple(
        {
            "source": "search",
            "fidelity": r.fidelity,
            "seed": r.seed,
            "role": r.role,
            SCORE: r.l_error_mm,
        }
        for r in records
        if r.arch == arch and r.state == "complete"
    )


def provenance(run: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Which search found it, with what, on what data."""
    origin: dict[str, Any] = {"run": run.resolve().name}
    origin |= {key: facts[key] for key in ("command", "commit", "versions") if facts.get(key)}
    if "data" in facts:
        origin["data"] = {"id": facts["data"].get("fingerprint", "")}
    return origin
