"""What a report is made of: tables, facts and figures, the numbers apart from their printing.

A number reaches a page only through a `Table` or a `Fact`, and both are written as CSV beside the page with
their full precision, so that whatever is read there can be checked, plotted or quoted from the tables. The
page marks each printed number with the cell that it came from; tests/test_reports_page.py follows every
mark back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from proxy_tasks.kind import Score
from reports.axes import AXES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Value = float | int | str | None
MISSING = "–"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: key in the CSV, heading and format ("" for text) on the page; hidden ones are not shown."""

    key: str
    heading: str
    digits: str = ""
    hidden: bool = False

    @classmethod
    def of(cls, axis: str, heading: str | None = None) -> Column:
        """The column of a trial's property, with the axis's own label and digits."""
        return cls(axis, heading or AXES[axis].label, AXES[axis].digits)


def show(value: Any, digits: str = "") -> str:
    """A value as it is printed; a dash where there is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, str) or not digits:
        return str(value)
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return format(int(value) if digits.endswith("d") else value, digits).replace("-", "−")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns. `name` is the stem of its CSV file."""

    name: str
    columns: tuple[Column, ...]
    rows: tuple[Mapping[str, Any], ...]  # of Values

    @classmethod
    def make(cls, name: str, columns: Iterable[Column], rows: Iterable[Mapping[str, Any]]) -> Table:
        """A table of rows that hold values by column key; a missing one is an empty cell."""
        columns, rows = tuple(columns), tuple(rows)
        known = {column.key for column in columns}
        assert all(set(row) <= known for row in rows), f"table {name} has a row with a key that no column has"
        return cls(name, columns, rows)

    def in_words(self, score: Score) -> Table:
        """The same with headings that speak of this score, where it is not L_error in millimetres."""
        columns = (replace(column, heading=score.words(column.heading)) for column in self.columns)
        return replace(self, columns=tuple(columns))

    def _repr_html_(self) -> str:
        """So that a notebook shows it as the page does."""
        return str(html_table(self))

    def frame(self) -> pd.DataFrame:
        """As a data frame, every column included, in full precision."""
        import pandas as pd

        keys = [column.key for column in self.columns]
        return pd.DataFrame([[row.get(key) for key in keys] for row in self.rows], columns=keys)

    def write(self, folder: Path) -> Path:
        """The table as CSV in `folder`, named after it; returns the file."""
        path = folder / f"{self.name}.csv"
        self.frame().to_csv(path, index=False, lineterminator="\n")
        return path


@dataclass(frozen=True, slots=True)
class Fact:
    """One number or text that prose quotes."""

    value: Value
    digits: str = ""
    unit: str = ""

    def in_words(self, score: Score) -> Fact:
        """The same in the words of this score, and in its unit."""
        value = score.words(self.value) if isinstance(self.value, str) else self.value
        return Fact(value, self.digits, score.unit if self.unit == "mm" else self.unit)


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure: `wide` for a page, `narrow` for a phone where the panels must be stacked otherwise."""

    name: str
    alt: str
    wide: Figure
    narrow: Figure | None = None

    def in_words(self, score: Score) -> Drawing:
        """The same with texts that speak of this score, where it is not L_error in millimetres."""
        if score != Score():
            from reports.figures.style import rename

            for figure in filter(None, (self.wide, self.narrow)):
                rename(figure, score.words)
        return replace(self, alt=score.words(self.alt))

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """So that a notebook shows it, at the width that it has on the page."""
        from reports.figures.style import png

        return png(self.wide), {"width": self.pixels}

    def write(self, folder: Path) -> None:
        """PNG and SVG in `folder`, named after it; of the narrow arrangement, PNG alone."""
        from reports.figures import style

        style.write(self.wide, folder, self.name)
        if self.narrow is not None:
            style.write(self.narrow, folder, f"{self.name}_narrow", kinds=("png",))

    @property
    def pixels(self) -> int:
        """Width on a page, CSS pixels: text of 8 points becomes 9."""
        return round(self.wide.get_figwidth() * 96 * 1.12)


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a report: `key` names its template, which places the facts, tables and drawings."""

    key: str
    title: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    drawings: Sequence[Drawing] = ()

    def in_words(self, score: Score) -> Section:
        """The same in the words of this score, and in its unit; keys and numbers stay as they are."""
        if score == Score():
            return self
        facts = {key: fact.in_words(score) for key, fact in self.facts.items()}
        tables = tuple(table.in_words(score) for table in self.tables)
        drawings = tuple(drawing.in_words(score) for drawing in self.drawings)
        return replace(self, facts=facts, tables=tables, drawings=drawings)

    def table(self, name: str) -> Table:
        """Its table of that name; StopIteration where there is none."""
        return next(table for table in self.tables if table.name == name)

    def drawing(self, name: str) -> Drawing:
        """Its drawing of that name; StopIteration where there is none."""
        return next(drawing for drawing in self.drawings if drawing.name == name)


def facts_table(sections: Iterable[Section]) -> Table:
    """Every fact of every section as one table, keyed "section.fact"."""
    columns = (
        Column("key", "fact"),
        Column("value", "value"),
        Column("unit", "unit"),
        Column("digits", "as"),
    )
    rows = [
        {"key": f"{section.key}.{key}", "value": fact.value, "unit": fact.unit, "digits": fact.digits}
        for section in sections
        for key, fact in section.facts.items()
    ]
    return Table.make("facts", columns, rows)


def cell(
    table: str, row: str | int, column: str, value: Any, digits: str = "", unit: str = "", tag: str = "span"
) -> Markup:
    """A printed value that says where it stands: data-cell is "table/row/column", data-digits its format."""
    text = show(value, digits) + (f"\u202f{unit}" if unit else "")  # narrow space, never broken
    number = ' class="number"' if digits else ""
    where = f"{table}/{row}/{column}"
    return Markup('<{0}{1} data-cell="{2}" data-digits="{3}">{4}</{0}>').format(
        Markup(tag), Markup(number), where, digits, text
    )


def html_table(table: Table, wraps: bool = False) -> Markup:
    """Rows with numbers flush right; cells that `wraps` break their lines, others make the table scroll."""
    columns = [column for column in table.columns if not column.hidden]
    head = Markup("").join(
        Markup("<th{}>{}</th>").format(Markup(' class="number"') if c.digits else "", c.heading)
        for c in columns
    )
    body = Markup("\n").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(cell(table.name, i, c.key, row.get(c.key), c.digits, tag="td") for c in columns)
        )
        for i, row in enumerate(table.rows)
    )
    return Markup(
        '<div class="scroll"><table{}>\n<thead><tr>{}</tr></thead>\n<tbody>\n{}\n</tbody></table></div>'
    ).format(Markup(' class="settings"') if wraps else "", head, body)
