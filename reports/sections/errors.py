"""Errors of the predictions by kind of sample (of faces: yaw, pitch, distance, action), and some drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reports import predictions
from reports.figures import final as figure
from reports.figures.style import both
from reports.run import Run
from reports.tables import Column, Drawing, Fact, Section, Table

if TYPE_CHECKING:
    from proxy_tasks.predicting import Judged

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


def section(run: Run, files: Sequence[Path] = ()) -> Section | None:
    """Of the first file with labels, given or found in the run; None where there is no predictions file.

    NoLabels for a given file: what was asked for is not replaced by a sentence on the page.
    """
    from proxy_tasks.predicting import NoLabels

    found = list(files) or predictions.find(run.path)
    if not found:
        return None
    reasons = []
    for file in found:
        try:
            return _scored(run, file)
        except (NoLabels, OSError) as reason:
            if files:
                raise
            reasons.append(str(reason))
    facts = {"why_not": Fact("; ".join(reasons))}
    return Section(key="errors", title="Errors by kind of image", facts=facts)


def _scored(run: Run, file: Path) -> Section:
    judged = _judge(run, file)
    groups = {label: predictions.by_value(values, judged) for label, values in judged.axes.items()}
    sort = judged.sort[0]
    sorts = predictions.by_sort(judged)
    chosen = predictions.extremes(judged)
    gallery = [(kind, float(judged.l_error_mm[at]), judged.picture(at)) for kind, at in chosen]
    return Section(
        key="errors",
        title="Errors by kind of image",
        facts={
            "file": Fact(file.name),
            "images": Fact(len(judged.names), "d"),
            "all_images": Fact(judged.images, "d"),
            "subjects": Fact(len(set(judged.subjects.tolist())), "d"),
            "by": Fact(_listed(groups)),
            "sort": Fact(sort.lower()),
            "mean_mm": Fact(float(judged.l_error_mm.mean()), ".2f", "mm"),
            "level": Fact(95, "d", "%"),
        },
        tables=(_table(groups), _sorts_table(sort, sorts), _gallery_table(judged, chosen)),
        drawings=_drawings(groups, sort, sorts, gallery),
    )


def _judge(run: Run, file: Path) -> Judged:
    """What the run's task says of the file; NoLabels where it says nothing."""
    from proxy_tasks.kind import find_kind
    from proxy_tasks.predicting import NoLabels, offered

    try:
        kind = find_kind((run.info.get("config") or {}).get("task"))
        judge = offered(kind, "judge", "errors by kind of sample")
    except ValueError as error:
        raise NoLabels(f"{file.name} cannot be scored: {error}") from None
    judged: Judged = judge(file, (run.info.get("data") or {}).get("path") or "")
    return judged


def _listed(groups: Iterable[str]) -> str:
    """Labels in a sentence, without their units: yaw, pitch and distance."""
    *most, last = (label.partition(" (")[0].lower() for label in groups)
    return f"{', '.join(most)} and {last}" if most else last


def _drawings(groups: dict, sort: str, sorts: list, gallery: list) -> tuple[Drawing, ...]:
    wide, narrow = both(lambda columns: figure.draw_errors(groups, columns), 3, 1)
    faces, faces_narrow = both(lambda columns: figure.draw_gallery(gallery, columns), 3, 2)
    return (
        Drawing("errors", f"L_error by {_listed(groups)}", wide, narrow),
        Drawing("actions", f"L_error by {sort.lower()}", figure.draw_sorts(sorts)),
        Drawing("gallery", "Predictions over the images: best, median and worst", faces, faces_narrow),
    )


def _table(groups: dict[str, list[predictions.Group]]) -> Table:
    rows = [{"by": label} | _row(group) for label, found in groups.items() for group in found]
    return Table.make("errors", _COLUMNS, rows)


def _sorts_table(sort: str, sorts: list[predictions.Group]) -> Table:
    columns = [Column("by", sort), *(c for c in _COLUMNS if c.key not in ("by", "low", "high"))]
    keep = {column.key for column in columns}
    rows = [{"by": g.name} | {k: v for k, v in _row(g).items() if k in keep} for g in sorts]
    return Table.make("actions", columns, rows)


def _row(group: predictions.Group) -> dict:
    keys = ("low", "high", "images", "subjects", "mean_mm", "mean_low_mm", "mean_high_mm")
    return {key: getattr(group, key) for key in keys}


def _gallery_table(judged: Judged, chosen: Sequence[tuple[str, int]]) -> Table:
    columns = (Column("kind", "Which"), Column("image", "Image"), Column("l_error_mm", "L_error (mm)", ".2f"))
    rows = [
        {"kind": kind, "image": judged.names[at], "l_error_mm": float(judged.l_error_mm[at])}
        for kind, at in chosen
    ]
    return Table.make("gallery", columns, rows)
