"""The one table behind every axis and heading: key, label, unit, how to read it off a trial and print it.

A property of a trial is described once, here; figures take their axis labels from it and tables their
headings and digits. After pycls's `metrics_info`, where one row (key, label, transform) drives every plot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from space import ArchSpec
from space.plan import OUTPUTS

STAGES = ("C2", "C3", "C4", "C5")
PARTS = ("stem", *STAGES, "head")
_SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


@dataclass(frozen=True, slots=True)
class Axis:
    """One property of a trial. `digits` is the format of a printed value; `get` gives it in `unit`."""

    key: str
    symbol: str
    meaning: str
    unit: str
    digits: str
    get: Callable[[Any], float | None]  # of a TrialRecord; what an architecture is, of an Estimate too

    @property
    def label(self) -> str:
        """For an axis: "d₁ of C2 (blocks)"."""
        return f"{self.symbol}{self.meaning} ({self.unit})"

    @property
    def name(self) -> str:
        """For a row of a table: "d₁, depth of C2"."""
        return self.symbol + self.meaning


@lru_cache(maxsize=65_536)
def shares(arch: ArchSpec, outputs: int = OUTPUTS) -> tuple[float, ...]:
    """Percent of the network's multiply-adds in stem, C2, C3, C4, C5 and head; sums to 100."""
    macs = list(arch.stage_macs(outputs=outputs).values())
    return tuple(100 * part / sum(macs) for part in macs)


@lru_cache(maxsize=65_536)
def outputs_counted(arch: ArchSpec, macs: int) -> int:
    """With how many outputs an architecture has so many multiply-adds in all."""
    body = arch.macs(outputs=0)
    return max(0, macs - body) // (arch.macs(outputs=1) - body)


def _depth(stage: int) -> Axis:
    symbol = f"d{stage + 1}".translate(_SUBSCRIPT)
    get = lambda r: r.arch.depths[stage]  # noqa: E731
    return Axis(f"d{stage + 1}", symbol, f", depth of {STAGES[stage]}", "blocks", ".0f", get)


def _width(stage: int) -> Axis:
    symbol = f"w{stage + 1}".translate(_SUBSCRIPT)
    get = lambda r: r.arch.widths[stage]  # noqa: E731
    return Axis(f"w{stage + 1}", symbol, f", width of {STAGES[stage]}", "channels", ".0f", get)


def _share(stage: int) -> Axis:
    get = lambda r: shares(r.arch, outputs_counted(r.arch, r.macs))[stage + 1]  # noqa: E731
    return Axis(f"share_{STAGES[stage].lower()}", STAGES[stage], ", share of the FLOPs", "%", ".1f", get)


_ALL = (
    Axis("l_error_mm", "L_error", "", "mm", ".2f", lambda r: r.l_error_mm),
    *(_depth(stage) for stage in range(4)),
    *(_width(stage) for stage in range(4)),
    Axis("depth", "d", ", total depth", "blocks", ".0f", lambda r: sum(r.arch.depths)),
    *(_share(stage) for stage in range(4)),
    Axis("gmacs", "FLOPs", " of the network", "G", ".3f", lambda r: r.macs / 1e9),
    Axis("mparams", "Parameters", "", "M", ".2f", lambda r: r.params / 1e6),
    Axis("mactivations", "Activations", "", "M", ".2f", lambda r: r.activations / 1e6),
    Axis("latency_ms", "Latency", ", one image", "ms", ".1f", lambda r: None),  # measured, see latency.py
    Axis("seconds", "Time", " of a trial", "s", ".1f", lambda r: r.seconds),
)
AXES: dict[str, Axis] = {axis.key: axis for axis in _ALL}

DEPTHS = ("d1", "d2", "d3", "d4")
WIDTHS = ("w1", "w2", "w3", "w4")
SHARES = ("share_c2", "share_c3", "share_c4", "share_c5")
COSTS = ("gmacs", "mparams", "mactivations", "latency_ms")
