"""How well run times are predicted: by the table, and by FLOPs or activations with a fitted line.

A line is fitted to the very times that it is judged on (least squares of relative errors), which flatters it;
the table never saw them. Kendall's tau is tau-b, over all pairs of networks.

Radosavovic et al. 2020 (RegNet) found that activations predict run time on a GPU better than FLOPs; nn-Meter
(Zhang et al. 2021) and the tables of ProxylessNAS (Cai et al. 2019) add up measured kernels or blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau

from proxy_tasks.latency.stopwatch import Timed
from space.arrays import Floats
from space.latency import LatencyTable

MOST_ERROR, LEAST_TAU = 0.05, 0.95  # what a table is expected to reach on a quiet machine


@dataclass(frozen=True, slots=True)
class Score:
    """A predictor's mean absolute and worst relative error, and Kendall's tau."""

    name: str
    error: float
    worst: float
    tau: float

    @property
    def holds(self) -> bool:
        """Whether it is as good as a table should be."""
        return self.error < MOST_ERROR and self.tau > LEAST_TAU


def scores(table: LatencyTable, networks: Sequence[Timed]) -> list[Score]:
    """The table's, FLOPs' and activations', on the same networks."""
    times = np.array([t.milliseconds for t in networks])
    rows = np.array([[*t.arch.depths, *t.arch.widths] for t in networks])
    size = table.conditions.input_size
    flops = np.array([t.arch.macs(size) for t in networks], np.float64)
    activations = np.array([t.arch.activations(size) for t in networks], np.float64)
    return [
        _score("table of blocks", table(table.conditions.block, rows), times),
        _score("FLOPs, fitted line", line(flops, times), times),
        _score("activations, fitted line", line(activations, times), times),
    ]


def line(counts: Floats, times: Floats) -> Floats:
    """(n,) a + b counts with the least sum of squared relative errors."""
    design = np.stack([np.ones_like(counts), counts / counts.mean()], axis=1)
    coefficients, *_ = np.linalg.lstsq(design / times[:, None], np.ones(len(times)), rcond=None)
    found: Floats = design @ coefficients
    return found


def _score(name: str, predicted: Floats, times: Floats) -> Score:
    errors = np.abs(predicted / times - 1)
    tau = float(kendalltau(predicted, times).statistic)
    return Score(name, float(errors.mean()), float(errors.max()), tau)


def repeatability(networks: Sequence[Timed]) -> Score | None:
    """How well one half of the passes predicts the other; None where some network was read once only.

    The least of all readings varies less than that of a half: by about the root of two.
    """
    halves = [t.halves for t in networks if t.halves]
    if len(halves) < len(networks):
        return None
    one, other = np.array(halves).T
    return _score("one half of the readings", one, other)


def text(found: Sequence[Score], networks: Sequence[Timed]) -> str:
    """For a person, with whether the table is as good as it should be."""
    times, again = [t.milliseconds for t in networks], repeatability(networks)
    lines = [
        f"{len(times)} networks that the table did not see, {min(times):.1f} to {max(times):.1f} ms, "
        f"median {np.median(times):.1f} ms",
        f"{'predictor':<26}{'mean error':>12}{'worst':>9}{'tau':>8}",
    ]
    lines += [_line(score) for score in found]
    bars = f"under {MOST_ERROR:.0%} and over {LEAST_TAU}"
    if again is not None:
        lines.append(_line(again))
    if found[0].holds:
        lines.append(f"the table is within its bars ({bars})")
    elif again is not None and again.tau < LEAST_TAU:
        lines.append(
            f"the table misses its bars ({bars}), and the machine is not quiet enough to judge it: one half "
            f"of the readings ranks as the other with a tau of {again.tau:.2f} only"
        )
    else:
        lines.append(f"the table misses its bars ({bars}): calibrate again with more --seconds")
    return "\n".join(lines)


def _line(s: Score) -> str:
    return f"{s.name:<26}{s.error:>11.1%} {s.worst:>8.1%}{s.tau:>8.3f}"
