"""Errors of the predictions by yaw, pitch, distance and facial action, and meshes drawn over images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reports import predictions
from reports.figures import final as figure
from reports.figures.style import both
from reports.run import Run
from reports.tables import Column, Drawing, Fact, Section, Table

_COLUMNS = (
    Column("by", "By"),
    Column("low", "From", ".2f"),
    Column("high", "To", ".2f"),
    Column("images", "Images", "d"),
    Column("subjects", "Subjects", "d"),
    Column("mean_mm", "L_error (mm)", ".2f"),
    Column("mean_low_mm", "from", ".2f"),
    Column("mean_high_mm", "to", ".2f"),
)
_AXES = {"Yaw (degrees)": "yaw", "Pitch (degrees)": "pitch", "Distance (m)": "distance"}


def section(run: Run, files: Sequence[Path] = ()) -> Section | None:
    """Of the first file with labels, given or found in the run; None where there is no predictions file.

    NoLabels for a given file: what was asked for is not replaced by a sentence on the page.
    """
    found = list(files) or predictions.find(run.path)
    if not found:
        return None
    reasons = []
    for file in found:
        try:
            return _scored(run, file)
        except (predictions.NoLabels, OSError) as reason:
            if files:
                raise
            reasons.append(str(reason))
    facts = {"why_not": Fact("; ".join(reasons))}
    return Section(key="errors", title="Errors by kind of image", facts=facts)


def _scored(run: Run, file: Path) -> Section:
    from proxy_tasks.jmlr.wcpa.dataset import DataError, WcpaDataset

    where = (run.info.get("data") or {}).get("path") or ""
    try:
        dataset = WcpaDataset.open(where)
    except DataError as error:
        raise predictions.NoLabels(f"{file.name} cannot be scored: {error}") from None
    scored = predictions.score(file, dataset)
    groups = {label: predictions.by_value(getattr(scored, name), scored) for label, name in _AXES.items()}
    actions = predictions.by_action(scored)
    chosen = predictions.extremes(scored)
    shown = predictions.pictures(scored, [position for _, position in chosen], dataset)
    gallery = [
        (kind, float(scored.l_error_mm[at]), picture)
        for (kind, at), picture in zip(chosen, shown, strict=True)
    ]
    return Section(
        key="errors",
        title="Errors by kind of image",
        facts={
            "file": Fact(file.name),
            "images": Fact(len(scored.rows), "d"),
            "all_images": Fact(scored.images, "d"),
            "subjects": Fact(len(set(scored.subjects.tolist())), "d"),
            "mean_mm": Fact(float(scored.l_error_mm.mean()), ".2f", "mm"),
            "level": Fact(95, "d", "%"),
        },
        tables=(_table(groups), _actions_table(actions), _gallery_table(scored, chosen)),
        drawings=_drawings(groups, actions, gallery),
    )


def _drawings(groups: dict, actions: list, gallery: list) -> tuple[Drawing, ...]:
    wide, narrow = both(lambda columns: figure.draw_errors(groups, columns), 3, 1)
    faces, faces_narrow = both(lambda columns: figure.draw_gallery(gallery, columns), 3, 2)
    return (
        Drawing("errors", "L_error by yaw, pitch and distance", wide, narrow),
        Drawing("actions", "L_error by facial action", figure.draw_actions(actions)),
        Drawing("gallery", "Predicted meshes over the images: best, median and worst", faces, faces_narrow),
    )


def _table(groups: dict[str, list[predictions.Group]]) -> Table:
    rows = [{"by": label} | _row(group) for label, found in groups.items() for group in found]
    return Table.make("errors", _COLUMNS, rows)


def _actions_table(actions: list[predictions.Group]) -> Table:
    columns = [Column("by", "Facial action"), *(c for c in _COLUMNS if c.key not in ("by", "low", "high"))]
    keep = {column.key for column in columns}
    rows = [{"by": g.name} | {k: v for k, v in _row(g).items() if k in keep} for g in actions]
    return Table.make("actions", columns, rows)


def _row(group: predictions.Group) -> dict:
    keys = ("low", "high", "images", "subjects", "mean_mm", "mean_low_mm", "mean_high_mm")
    return {key: getattr(group, key) for key in keys}


def _gallery_table(scored: predictions.Scored, chosen: Sequence[tuple[str, int]]) -> Table:
    columns = (Column("kind", "Which"), Column("image", "Image"), Column("l_error_mm", "L_error (mm)", ".2f"))
    rows = [
        {"kind": kind, "image": str(scored.rows[at]), "l_error_mm": float(scored.l_error_mm[at])}
        for kind, at in chosen
    ]
    return Table.make("gallery", columns, rows)
