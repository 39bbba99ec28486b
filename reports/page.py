"""From sections to a folder: figures as PNG and SVG, tables as CSV, and one self-contained page.

The page opens from disk without a network: style and pictures are inside it. Every number and name that the
templates print goes through `cell`, which marks it with the table, row and column that it came from.
"""

from __future__ import annotations

import base64
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from proxy_tasks.kind import Score
from reports.tables import Drawing, Section, cell, facts_table, html_table


def write_page(
    folder: Path,
    title: str,
    sections: Sequence[Section],
    template: str,
    extra: Mapping[str, Any] | None = None,
    score: Score = Score(),  # noqa: B008  frozen
) -> Path:
    """Write tables/, figures/ and index.html into `folder`, replacing what stood there; returns the page.

    `score` is what the errors are called where they are not L_error in millimetres.
    """
    sections = [section.in_words(score) for section in sections]
    folder.mkdir(parents=True, exist_ok=True)
    fresh = {name: _emptied(folder / name) for name in ("tables", "figures")}
    for section in sections:
        for table in section.tables:
            table.write(fresh["tables"])
        for drawing in section.drawings:
            drawing.write(fresh["figures"])
    facts_table(sections).write(fresh["tables"])
    html = score.words(render(title, sections, template, fresh["figures"], extra or {}))
    page = folder / "index.html"
    unfinished = folder / ".index.html"
    unfinished.write_text(html, encoding="utf-8")
    unfinished.replace(page)
    return page


def _emptied(folder: Path) -> Path:
    """A figure of an earlier build must not pass for one of this."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def render(
    title: str, sections: Sequence[Section], template: str, figures: Path, extra: Mapping[str, Any]
) -> str:
    """The page as text; `figures` holds the PNG files of the drawings."""
    environment = Environment(
        loader=PackageLoader("reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(_helpers(figures))
    return environment.get_template(template).render(title=title, sections=sections, **extra)


def _helpers(figures: Path) -> dict[str, Any]:
    """What the templates call: fact, has, table, figure."""

    def fact(section: Section, key: str) -> Markup:
        found = section.facts[key]
        return cell("facts", f"{section.key}.{key}", "value", found.value, found.digits, found.unit)

    def table(section: Section, name: str, wraps: bool = False) -> Markup:
        return html_table(section.table(name), wraps)

    def figure(section: Section, name: str) -> Markup:
        return html_figure(section.drawing(name), figures)

    return {"fact": fact, "table": table, "figure": figure}


def html_figure(drawing: Drawing, figures: Path) -> Markup:
    """The picture inside the page, in the arrangement that fits the screen."""
    wide = Markup('<img src="{}" alt="{}" style="width:{}px">').format(
        _data(figures / f"{drawing.name}.png"), drawing.alt, drawing.pixels
    )
    if drawing.narrow is None:
        return wide
    narrow = _data(figures / f"{drawing.name}_narrow.png")
    return Markup('<picture><source media="(max-width: 720px)" srcset="{}">{}</picture>').format(narrow, wide)


def _data(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
