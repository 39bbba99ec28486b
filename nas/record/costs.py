"""What architectures cost beside their error: counts of the plan, and the times that a run has measured.

Latencies are those of finalists and control, taken on one device at the end of a search (run.json,
"latency"), never a model's: what a table predicted for them is kept beside them. tests/test_record_costs.py
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from nas.record.estimates import Estimate
from nas.record.select import Selection
from space import ArchSpec

ALIKE = 0.05  # relative difference of two times that is not worth a word


@dataclass(frozen=True, slots=True)
class Latencies:
    """Milliseconds of a forward pass by architecture id.

    where      device, precision, batch and mode, in words; empty where nothing was measured
    predicted  by the latency table of the search, where it had one
    """

    where: str = ""
    measured: Mapping[str, float] = field(default_factory=dict)
    predicted: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, about: Mapping[str, Any]) -> Latencies:
        """Those of a run, from the contents of its run.json."""
        return cls(**about.get("latency", {}))

    def to_dict(self) -> dict[str, Any]:
        """What run.json holds under "latency"."""
        return asdict(self)

    def ms(self, arch: ArchSpec) -> float | None:
        """Measured; None where this one was not."""
        return self.measured.get(arch.id)

    def times_as_slow(self, arch: ArchSpec, other: ArchSpec) -> float | None:
        """The ratio of their measured times."""
        mine, others = self.ms(arch), self.ms(other)
        return None if mine is None or not others else mine / others


def bargain(selection: Selection, latencies: Latencies) -> str:
    """The best against the control in error and time: "0.40 mm better, 2.1 times as slow", with the times.

    Empty where one of them was not measured.
    """
    best, control = selection.best, selection.control
    if best is None or control is None or best.arch == control.arch:
        return ""
    ratio = latencies.times_as_slow(best.arch, control.arch)
    if ratio is None:
        return ""
    gain = control.mean - best.mean
    times = " against ".join(f"{latencies.measured[e.arch.id]:.3g} ms" for e in (best, control))
    error = f"{abs(gain):.2f} mm {'better' if gain >= 0 else 'worse'}"
    return f"{error}, {speed(ratio)} ({times})"


def speed(ratio: float) -> str:
    """A ratio of times in words."""
    if abs(ratio - 1) < ALIKE:
        return "as fast"
    return f"{ratio:.1f} times as slow" if ratio >= 1.95 else _by_share(ratio)


def _by_share(ratio: float) -> str:
    return f"{ratio - 1:.0%} slower" if ratio > 1 else f"{1 - ratio:.0%} faster"


def verdict(selection: Selection, latencies: Latencies) -> str:
    """The selection's verdict, with what the best costs in time where it is slower than the control."""
    best, control = selection.best, selection.control
    if best is None or control is None:
        return selection.verdict
    ratio = latencies.times_as_slow(best.arch, control.arch)
    if ratio is None or ratio < 1 + ALIKE:
        return selection.verdict
    return f"{selection.verdict}; {best.arch.id} is {bargain(selection, latencies)}"


def figures(e: Estimate, latencies: Latencies) -> dict[str, float | None]:
    """An architecture's costs as numbers, for JSON."""
    return {
        "gflops": e.macs / 1e9,
        "params": e.params,
        "activations": e.activations,
        "latency_ms": latencies.ms(e.arch),
    }


def finalists(selection: Selection, most: int = 12) -> list[ArchSpec]:
    """Whose latency is measured: control, best, all that were re-run; of the tied as many as make `most`."""
    chosen = [e.arch for e in (selection.control, selection.best) if e is not None]
    chosen += [e.arch for e in selection.rows if e.rerun]
    chosen = list(dict.fromkeys(chosen))
    return list(dict.fromkeys([*chosen, *selection.tied]))[: max(most, len(chosen))]
