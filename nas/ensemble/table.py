"""The paper's Table 1 for a run: network, compute, L_error and its parts, with intervals.

Images of one person resemble each other, so the bootstrap draws people: each
resample takes as many subjects as there are, with replacement, and the mean over
all their images (a ratio estimator; Efron and Tibshirani 1993, ch. 8). The
interval is the central 95 % of the resamples. Differences are paired: both rows
are read on the same resample.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy_tasks.kind import Score
from proxy_tasks.predicting import SampleScores

RESAMPLES = 4000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class TableRow:
    """A network or an average of networks; macs of its distinct members, one forward pass each."""

    network: str
    macs: int
    scores: SampleScores
    interval: tuple[float, float] | None  # None where there is one subject, who cannot be resampled
    subjects: int
    parts: Mapping[str, str] = field(default_factory=dict)  # of the score: key in its summary -> heading

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        summary = self.scores.summary()
        low, high = self.interval or (None, None)
        return {
            "network": self.network,
            "gflops": self.macs / 1e9,
            "l_error_mm": summary["l_error_mm"],
            "low_mm": low,
            "high_mm": high,
            **{part: summary[part] for part in self.parts},
            "images": len(self.scores.l_error_mm),
            "subjects": self.subjects,
        }


def table_row(
    network: str,
    macs: int,
    scores: SampleScores,
    subjects: ArrayLike,
    seed: int = 0,
    parts: Mapping[str, str] | None = None,
) -> TableRow:
    """A row from per-image scores (N,) and the subject of each image (N,)."""
    interval = subject_interval(scores.l_error_mm, subjects, seed=seed)
    return TableRow(network, macs, scores, interval, len(np.unique(np.asarray(subjects))), parts or {})


def subject_interval(
    values: ArrayLike, subjects: ArrayLike, *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> tuple[float, float] | None:
    """Bootstrap interval of the mean of values (N,) over images, by subject (N,); None for one subject."""
    if len(np.unique(np.asarray(subjects))) < 2:
        return None
    means = subject_resamples(values, subjects, seed=seed, resamples=resamples)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def subject_resamples(
    values: ArrayLike, subjects: ArrayLike, *, seed: int = 0, resamples: int = RESAMPLES
) -> NDArray[np.float64]:
    """(resamples,) means over the images of people drawn with replacement; equal seeds draw alike."""
    names, index = np.unique(np.asarray(subjects), return_inverse=True)
    sums = np.bincount(index, weights=np.asarray(values, dtype=np.float64))
    counts = np.bincount(index)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    return (drawn @ sums) / (drawn @ counts)


def to_csv(rows: list[TableRow]) -> str:
    """The rows as CSV with a heading, in full precision; an empty cell where there is no interval."""
    text = io.StringIO()
    values = [row.to_dict() for row in rows]
    writer = csv.DictWriter(text, list(values[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(values)
    return text.getvalue()


def to_markdown(rows: list[TableRow], notes: str, score: Score) -> str:
    """The table for a person, best last as in the paper, with `notes` below."""
    parts = rows[0].parts
    error = f"{score.label} ({score.unit})" if score.unit else score.label
    headings = ("Network", "GFLOPs", error, "95 % interval", *parts.values())
    lines = [_line(headings), "|---|---:|---:|:---:|" + "---:|" * len(parts)]
    for row in rows:
        v = row.to_dict()
        interval = f"{row.interval[0]:.2f} to {row.interval[1]:.2f}" if row.interval else "one subject"
        numbers = (f"{v[key]:.2f}" for key in parts)
        lines.append(
            _line((v["network"], f"{v['gflops']:.2f}", f"{v['l_error_mm']:.2f}", interval, *numbers))
        )
    return "\n".join([*lines, "", score.words(notes), ""])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
