"""The rows of a table: one JSON line a training run, appended as it ends, read back as plain dicts.

Several processes may append to one file: a line is written by one call, under a lock of the folder. Files of
several machines are merged by joining them; of two rows with one key the first counts. A key does not say
what a run was trained on, so rows that differ in that alone are refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from proxy_tasks.locks import locked_folder

Row = dict[str, Any]


def append(path: Path, row: Row) -> None:
    """Add one row and wait until it is on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked_folder(path.parent), open(path, "a+", encoding="utf-8") as file:
        file.write(("" if _ends_a_line(path) else "\n") + json.dumps(row, separators=(",", ":")) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read(*paths: Path) -> list[Row]:
    """All rows of the files, each key once; a last line that was cut short is left out.

    ValueError where two rows are one run on different data.
    """
    found: dict[str, Row] = {}
    for row in _lines(paths):
        first = found.setdefault(row["key"], row)
        require_same_data(first, row)
    return list(found.values())


def require_same_data(first: Row, other: Row) -> None:
    """ValueError where both say what they were trained or tested on, and not the same."""
    for name in ("data", "test_data"):
        if len(kinds := {row[name] for row in (first, other) if row.get(name)}) > 1:
            raise ValueError(
                f"{first['key']} was run on different {name} ({' and '.join(sorted(kinds))}): "
                "keep rows of each in files of their own"
            )


def _ends_a_line(path: Path) -> bool:
    """False after a line that a kill cut short."""
    with open(path, "rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _lines(paths: Iterable[Path]) -> Iterator[Row]:
    for path in paths:
        if not path.exists():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"{path} holds no rows: it is no text") from None
        for line in text.splitlines():
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue
