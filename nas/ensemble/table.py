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
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy_tasks.jmlr.metric import Scores

RESAMPLES = 4000
LEVEL = 0.95
COLUMNS = (
    "network",
    "gflops",
    "l_error_mm",
    "low_mm",
    "high_mm",
    "v1_v2_mm",
    "v1_v3_mm",
    "v1_v4_x10_mm",
    "images",
    "subjects",
)


@dataclass(frozen=True, slots=True)
class TableRow:
    """A network or an average of networks; macs of its distinct members, one forward pass each."""

    network: str
    macs: int
    scores: Scores
    interval: tuple[float, float] | None  # None where there is one subject, who cannot be resampled
    subjects: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        summary = self.scores.summary()
        values = (
            self.network,
            self.macs / 1e9,
            summary["l_error_mm"],
            *(self.interval or (None, None)),
            summary["v1_v2_mm"],
            summary["v1_v3_mm"],
            summary["v1_v4_x10_mm"],
            len(self.scores.l_error_mm),
            self.subjects,
        )
        return dict(zip(COLUMNS, values, strict=True))


def table_row(network: str, macs: int, scores: Scores, subjects: ArrayLike, seed: int = 0) -> TableRow:
    """A row from per-image scores (N,) and the subject of each image (N,)."""
    interval = subject_interval(scores.l_error_mm, subjects, seed=seed)
    return TableRow(network, macs, scores, interval, len(np.unique(np.asarray(subjects))))


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
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.to_dict() for row in rows)
    return text.getvalue()


def to_markdown(rows: list[TableRow], notes: str) -> str:
    """The table for a person, best last as in the paper, with `notes` below."""
    lines = [
        "| Network | GFLOPs | L_error (mm) | 95 % interval | V1-V2 | V1-V3 | 10 V1-V4 |",
        "|---|---:|---:|:---:|---:|---:|---:|",
    ]
    for row in rows:
        v = row.to_dict()
        interval = f"{row.interval[0]:.2f} to {row.interval[1]:.2f}" if row.interval else "one subject"
        lines.append(
            f"| {v['network']} | {v['gflops']:.2f} | {v['l_error_mm']:.2f} | {interval} "
            f"| {v['v1_v2_mm']:.2f} | {v['v1_v3_mm']:.2f} | {v['v1_v4_x10_mm']:.2f} |"
        )
    return "\n".join([*lines, "", notes, ""])
