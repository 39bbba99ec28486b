"""What came of the winners: full training runs, the ensemble, and the Table-1-like comparison."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reports.figures import final as figure
from reports.run import Run
from reports.sections.answer import title_of
from reports.tables import Column, Drawing, Fact, Section, Table, Value
from space import ArchSpec
from space.files import read_object
from space.shape import misfit

_PARTS = (
    Column("v1_v2_mm", "V1−V2 (mm)", ".2f"),
    Column("v1_v3_mm", "V1−V3 (mm)", ".2f"),
    Column("v1_v4_x10_mm", "10 (V1−V4) (mm)", ".2f"),
)
_RETRAINED = (
    Column("network", "Network"),
    Column("seed", "Seed", "d"),
    Column("gflops", "FLOPs (G)", ".2f"),
    Column("l_error_mm", "L_error (mm)", ".2f"),
    *_PARTS,
    Column("epochs", "Epochs", ".3g"),
    Column("best_epoch", "Best after", ".3g"),
    Column("minutes", "Time (min)", ",.1f"),
    Column("subjects", "Subjects"),
    Column("status", "Status"),
    Column("hardware", "Hardware", hidden=True),
    Column("folder", "Folder", hidden=True),
)
_ENSEMBLE = (
    Column("network", "Network"),
    Column("gflops", "FLOPs (G)", ".2f"),
    Column("l_error_mm", "L_error (mm)", ".2f"),
    Column("low_mm", "from", ".2f"),
    Column("high_mm", "to", ".2f"),
    *_PARTS,
    Column("images", "Images", "d"),
    Column("subjects", "Subjects", "d"),
)


def section(run: Run) -> Section | None:
    """None where nothing was retrained."""
    retrained = _retrained(run.path)
    if not retrained:
        return None
    rows = [_row(folder, about) for folder, about in retrained]
    tables = [Table.make("retrained", _without_parts(_RETRAINED, rows), rows)]
    facts = {
        "networks": Fact(len(retrained), "d"),
        "hardware": Fact(
            ", ".join(sorted({str(about.get("hardware", "unknown")) for _, about in retrained}))
        ),
        "ensemble": Fact("no"),
    }
    ensemble = _read_table(run.path / "ensemble" / "table.csv")
    if ensemble:
        tables.append(Table.make("ensemble", _without_parts(_ENSEMBLE, ensemble), ensemble))
        facts |= {"ensemble": Fact("yes")} | _ensemble_facts(run.path / "ensemble")
    curves = _curves(retrained)
    drawings = []
    if curves:
        drawings.append(
            Drawing("retrain", "Learning curves of the full training runs", figure.draw_curves(curves))
        )
    return Section("final", "Full training", facts, tables, drawings)


def _curves(retrained: Sequence[tuple[Path, dict[str, Any]]]) -> dict[str, list[tuple[float, float]]]:
    """Of those that were validated; one that was trained on everybody only knows its training people."""
    found = [(folder, about, _curve(folder)) for folder, about in retrained if not about["trainval"]]
    names = [f"{_name(about)}, seed {about['seed']}" for _, about, curve in found if curve]
    named: dict[str, list[tuple[float, float]]] = {}
    for folder, about, curve in found:
        name = f"{_name(about)}, seed {about['seed']}"
        if curve:
            named[name if names.count(name) == 1 else f"{name} ({about.get('settings_id', folder.name)})"] = (
                curve
            )
    return named


def _retrained(run: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Folder and metrics of each full training run, best first; those that cannot be read are left out."""
    found = []
    for file in sorted((run / "retrain").glob("*/metrics.json")):
        try:
            about = read_object(file)
            if not misfit(about, {"arch": dict, "seed": int, "trainval": bool, "best?": (None, dict)}):
                found.append((file.parent, about | {"arch": ArchSpec.from_dict(about["arch"])}))
        except (OSError, ValueError):
            continue  # being written, or not ours
    return sorted(
        found, key=lambda each: (each[1]["trainval"], _best(each[1]).get("l_error_mm", float("inf")))
    )


def _best(about: dict[str, Any]) -> dict[str, Any]:
    return about.get("best") or {}


def _name(about: dict[str, Any]) -> str:
    return title_of(about["arch"], about.get("name", ""))


def _row(folder: Path, about: dict[str, Any]) -> dict[str, Value]:
    best = _best(about)
    whole = about.get("trainval", False)  # no validation, so no error
    return {
        "network": _name(about),
        "seed": about["seed"],
        "gflops": about.get("macs", about["arch"].macs()) / 1e9,
        "status": about.get("status"),
        "epochs": (about.get("final") or {}).get("epochs_trained"),
        "best_epoch": best.get("epochs_trained"),
        **{key: None if whole else best.get(key) for key in ("l_error_mm", *_parts_in(best))},
        "minutes": about.get("seconds", 0.0) / 60,
        "subjects": "all" if whole else "training",
        "hardware": about.get("hardware"),
        "folder": folder.name,
    }


def _parts_in(values: Mapping[str, Any]) -> list[str]:
    return [part.key for part in _PARTS if part.key in values]


def _without_parts(columns: Sequence[Column], rows: Sequence[Mapping[str, Value]]) -> list[Column]:
    """The columns but those parts of the score that no row tells: they are the default task's."""
    told = {key for row in rows for key in _parts_in(row)}
    return [column for column in columns if column not in _PARTS or column.key in told]


def _curve(folder: Path) -> list[tuple[float, float]]:
    """(epochs trained, L_error mm) of history.csv; [] where there is no validation."""
    rows = _read_csv(folder / "history.csv")
    return [(float(r["epochs_trained"]), float(r["l_error_mm"])) for r in rows if r.get("l_error_mm")]


def _read_csv(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _read_table(path: Path) -> list[dict[str, Value]]:
    """The ensemble's table as numbers; an empty cell stays empty."""
    numbers = {c.key for c in _ENSEMBLE if c.digits}
    return [
        {c.key: (float(r[c.key]) if r[c.key] else None) if c.key in numbers else r[c.key] for c in _known(r)}
        for r in _read_csv(path)
    ]


def _known(row: dict[str, str]) -> list[Column]:
    """The columns that this task's table has; only JMLR's score has its parts."""
    return [column for column in _ENSEMBLE if column.key in row]


def _ensemble_facts(folder: Path) -> dict[str, Fact]:
    """The gain over the best single member, where the ensemble is more than that."""
    metrics, chosen = folder / "metrics.json", folder / "members.json"
    try:
        gain = read_object(metrics).get("gain_over_best_member") or {}
        members = read_object(chosen)["members"]
    except (OSError, ValueError, KeyError):
        return {}  # being written, or damaged: nas.predict names it
    if gain.get("gain_mm") is None:
        return {}
    if len(members) == 1:
        return {"alone": Fact("yes")}
    facts = {"gain_mm": Fact(gain["gain_mm"], "+.2f", "mm"), "best_member": Fact(gain["best_member"])}
    if gain.get("low_mm") is not None:
        facts |= {
            "gain_low_mm": Fact(gain["low_mm"], "+.2f", "mm"),
            "gain_high_mm": Fact(gain["high_mm"], "+.2f", "mm"),
        }
    return facts
