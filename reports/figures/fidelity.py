"""Rank agreement of cheap measurements with expensive ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from proxy_tasks.bench.views import Study
from proxy_tasks.kind import Score
from reports.figures.style import ALL, few_ticks, panels, styled
from reports.tables import Drawing, Table


def draw_by_epoch(table: Table) -> Drawing:
    """Kendall's tau with the final error by epoch, from `reports.fidelity.by_epoch`."""
    with styled():
        figure, (axes,) = panels(1, 1, width=4.4, height=2.9)
        rows = [row for row in table.rows if row["tau"] == row["tau"]]  # a constant has no tau
        at, tau = np.array([[row["epochs"], row["tau"]] for row in rows], dtype=float).reshape(-1, 2).T
        axes.plot(at, tau, color=ALL, marker="o", ms=3.5, label="tau, all complete proposals")
        known = [row for row in rows if row["low"] is not None]
        if known:
            ends = np.array([[row["epochs"], row["low"], row["high"]] for row in known], dtype=float).T
            axes.fill_between(ends[0], ends[1], ends[2], color=ALL, alpha=0.16, lw=0)
        axes.axhline(0, color="#555555", lw=0.7)
        axes.set_ylim(-1.05, 1.05)
        axes.set_xlabel("epochs")
        axes.set_ylabel("rank agreement with the end (tau)")
        few_ticks(axes, 6, 5)
    return Drawing("agreement_by_epoch", "Rank agreement of early errors with the final ones", figure)


def draw_views(study: Study) -> Drawing:
    """Kendall's tau of each view with the longest training against its cost, and the seeds' ceiling."""
    with styled():
        figure, (axes,) = panels(1, 1, width=4.4, height=2.9)
        trained = [each for each in study.judged if each.view.seconds > 0]
        for same, marker, label in ((False, "o", "of another run"), (True, "^", "of the same run")):
            points = [each for each in trained if each.view.same_run == same]
            if not points:
                continue
            at = [100 * each.view.seconds / study.seconds for each in points]
            tau, low, high = np.array([each.tau for each in points]).T
            ends = [np.maximum(tau - low, 0), np.maximum(high - tau, 0)]
            axes.errorbar(at, tau, ends, fmt=marker, color=ALL, ms=3.5, lw=0.8, alpha=0.6 + 0.4 * (not same),
                          label=label)  # fmt: skip
        if np.isfinite(study.ceiling):
            axes.axhline(study.ceiling, color="#555555", lw=0.9, ls="--", label="a view without noise")
            axes.axhline(study.again, color="#555555", lw=0.9, ls=":", label="another run of the longest")
        axes.axhline(0, color="#555555", lw=0.7)
        axes.set_xlabel("device time (% of the longest training)")
        axes.set_ylabel("rank agreement with it (tau)")
        axes.legend(loc="lower right")
        few_ticks(axes, 6, 5)
    return Drawing("agreement_of_views", "Rank agreement of cheap views with the longest training", figure)


def draw_between(
    pairs: NDArray[np.float64],
    cheap: str,
    dear: str,
    score: Score = Score(),  # noqa: B008  frozen
) -> Drawing:
    """Errors (n, 2) of the same architectures under two measurements, in the score's unit."""
    unit = f" ({score.unit})" if score.unit else ""
    with styled():
        figure, (axes,) = panels(1, 1, width=3.4, height=3.0)
        axes.scatter(pairs[:, 0], pairs[:, 1], s=14, c=ALL, alpha=0.75, lw=0)
        axes.set_xlabel(f"{score.label}, {cheap}{unit}")
        axes.set_ylabel(f"{score.label}, {dear}{unit}")
        few_ticks(axes, 5, 5)
    return Drawing("agreement_between", f"Errors under {dear} against those under {cheap}", figure)
