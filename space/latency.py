"""Time of a forward pass, from a table of blocks that was measured once on a device.

A plan's parts run one after another, so a network's time is taken to be additive:

    t = stem + sum_i [ first_i(w_(i-1), w_i) + (d_i - 1) further_i(w_i) ] + head(w_4)

with all times in milliseconds for one forward pass of `batch` images. `first_i` is the first block of
stage i (it changes channels and, but in C2, strides), `further_i` one of the identical blocks behind it,
and `head` the pooling and the linear layer. proxy_tasks/latency measures them; here they are only read,
at over a million networks a second, and kept as plain JSON values.

Widths 8..512 in steps of 8 have 2,080 pairs, too many to measure. A table holds a grid of them, of the
measurer's choice, and reads between its points: square roots of the times run straight along a block's own
width, where a block costs a + b w^2 (launch, and channels in times channels out), and times run straight
along the width before it, where it costs a + b w_in. A step of 2 between neighbours then misses such costs by
under 3 %, a finer one by its square. Nothing is read beyond the grid: ValueError.

In C2 the first block's input is the stem (64 channels). Where it keeps them, it has no shortcut and is the
same as the blocks behind it, so its time is read from `further`.

Notation   w_0  channels of the stem     widths are a spec's: a bottleneck block takes 4 w_(i-1)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from space.arch import ArchSpec
from space.arrays import Floats, Ints
from space.cost import INPUT_SIZE
from space.grid import Between, grid_of
from space.plan import EXPANSION, OUTPUTS, STAGES, STEM_OUT

FORMAT = "jmlr-nas/latency"
VERSION = 1


class LatencyModel(Protocol):
    """What a cap on latency needs: a name that changes with the predictions, and the predictions."""

    @property
    def id(self) -> str:
        """Short and stable; models that predict otherwise have another."""

    def __call__(self, block: str, rows: Ints) -> Floats:
        """(n,) milliseconds of a forward pass of architectures of `block` blocks.

        rows  (n, 8) integers: d_1..d_4, w_1..w_4
        """


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a time was taken under; times under others say little about it."""

    device: str  # with the number of threads on a CPU: "Intel Xeon Gold 6338, 2 threads"
    precision: str = "float32"
    batch: int = 1
    mode: str = "eager"  # or compiled, onnxruntime
    software: str = ""  # "torch 2.13.0"
    block: str = "basic"
    input_size: int = INPUT_SIZE
    outputs: int = OUTPUTS

    def __post_init__(self) -> None:
        if not self.device or not self.precision or not self.mode:
            raise ValueError("a latency table names its device, precision and mode, and one of them is empty")
        if self.block not in EXPANSION:
            raise ValueError(f"a latency table's block is one of {', '.join(EXPANSION)}, not {self.block!r}")
        for name in ("batch", "input_size", "outputs"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ValueError(f"a latency table's {name} is a whole number of at least 1, not {value!r}")

    def __str__(self) -> str:
        return f"{self.device}, {self.precision}, batch {self.batch}, {self.mode}"


@dataclass(frozen=True, eq=False)
class LatencyTable:
    """Milliseconds of a network's parts on a grid of widths, read at any widths inside the grid.

    stem     the deep stem with its max-pool, and what every forward pass pays once
    widths   four increasing grids, one for each stage, of k_1..k_4 widths
    before   four grids of the widths before a stage's first block, of j_1..j_4; the first is (64,)
    first    four (j_i, k_i): the first block of stage i at (width before, width)
    further  four (k_i,): one further block of stage i
    head     (k_4,) pooling and linear layer

    A pair that cannot occur (a width below the one before it, in a tied space) may be NaN; a network whose
    time would need it is refused.
    """

    conditions: Conditions
    stem: float
    widths: tuple[Ints, ...]
    before: tuple[Ints, ...]
    first: tuple[Floats, ...]
    further: tuple[Floats, ...]
    head: Floats

    def __post_init__(self) -> None:
        for name in ("widths", "before"):
            object.__setattr__(
                self, name, tuple(grid_of(name, each) for each in _four(name, getattr(self, name)))
            )
        for name in ("first", "further"):
            object.__setattr__(
                self, name, tuple(np.array(t, np.float64) for t in _four(name, getattr(self, name)))
            )
        object.__setattr__(self, "head", np.array(self.head, np.float64))
        if self.before[0].tolist() != [STEM_OUT]:
            raise ValueError(
                f"the width before stage 1 is the stem's {STEM_OUT}, not {self.before[0].tolist()}"
            )
        for stage in range(STAGES):
            shape = len(self.before[stage]), len(self.widths[stage])
            _times(f"first, stage {stage + 1}", self.first[stage], shape, holes=True)
            _times(f"further, stage {stage + 1}", self.further[stage], shape[1:])
        _times("head", self.head, (len(self.widths[-1]),))
        _times("stem", np.array(self.stem), ())

    @cached_property
    def id(self) -> str:
        """Short and stable: tables of the same times under the same conditions, and only they, share it."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LatencyTable) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __call__(self, block: str, rows: Ints) -> Floats:
        """Milliseconds of a forward pass of each architecture, (n, 8) -> (n,).

        ValueError for other blocks, and for widths outside the grid.
        """
        if block != self.conditions.block:
            raise ValueError(f"the latency table is of {self.conditions.block} blocks, not of {block} blocks")
        rows = np.asarray(rows)
        total: Floats = np.full(len(rows), float(self.stem))
        before: Ints = np.full(len(rows), STEM_OUT)
        for stage in range(STAGES):
            depth, width = rows[:, stage], rows[:, STAGES + stage]
            at = Between(self.widths[stage], width)
            further = at.roots(self._roots_further[stage])
            first = self._first(stage, before, at)
            if stage == 0:
                first = np.where(width * EXPANSION[block] == STEM_OUT, further, first)
            total += first + (depth - 1) * further
            before = width
        total += at.straight(self.head)
        if np.isnan(total).any():
            row = rows[np.isnan(total)][0].tolist()
            arch = ArchSpec(tuple(row[:STAGES]), tuple(row[STAGES:]), block)
            raise ValueError(f"the latency table holds no time for a pair of widths of {arch.id}")
        return total

    def of(self, spec: ArchSpec) -> float:
        """Milliseconds of a forward pass of one architecture."""
        return float(self(spec.block, np.array([[*spec.depths, *spec.widths]]))[0])

    def require(self, **wanted: Any) -> None:
        """ValueError, one sentence, where the table was taken under other conditions than `wanted`."""
        for name, value in wanted.items():
            found = getattr(self.conditions, name)
            if found != value:
                raise ValueError(
                    f"the latency table was measured at {name.replace('_', ' ')} {found}, not {value}: "
                    "measure one with python -m proxy_tasks.latency calibrate"
                )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; a pair without a time is null."""
        tables = {
            "stem": float(self.stem),
            "widths": [each.tolist() for each in self.widths],
            "before": [each.tolist() for each in self.before],
            "first": [_with_nulls(each) for each in self.first],
            "further": [each.tolist() for each in self.further],
            "head": self.head.tolist(),
        }
        return {"format": FORMAT, "version": VERSION, "conditions": asdict(self.conditions)} | tables

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LatencyTable:
        """Inverse of to_dict; ValueError, one sentence, for what is no table of this version."""
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            raise ValueError(
                "this is no latency table: measure one with python -m proxy_tasks.latency calibrate"
            )
        if data.get("version") != VERSION:
            raise ValueError(
                f"the latency table is of version {data.get('version')!r}, and this program reads "
                f"{VERSION}: measure it again with python -m proxy_tasks.latency calibrate"
            )
        parts: dict[str, Any] = {field.name: data.get(field.name) for field in fields(cls)}
        if missing := [name for name, part in parts.items() if part is None]:
            raise ValueError(f"the latency table lacks {', '.join(missing)}: measure it again")
        try:
            parts["conditions"] = Conditions(**parts["conditions"])
            return cls(**parts)
        except TypeError as error:
            raise ValueError(f"the latency table is damaged ({error}): measure it again") from None

    @classmethod
    def load(cls, file: Path) -> LatencyTable:
        """The table in a JSON file; ValueError, one sentence, where there is none."""
        try:
            data = json.loads(file.read_text())
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ValueError(f"{file} is no readable latency table ({error})") from None
        return cls.from_dict(data)

    @cached_property
    def _roots_first(self) -> tuple[Floats, ...]:
        return tuple(np.sqrt(each) for each in self.first)

    @cached_property
    def _roots_further(self) -> tuple[Floats, ...]:
        return tuple(np.sqrt(each) for each in self.further)

    def _first(self, stage: int, before: Ints, at: Between) -> Floats:
        """(n,) times of a stage's first block."""
        roots = self._roots_first[stage]
        if len(self.before[stage]) == 1 and (before == self.before[stage][0]).all():
            return at.roots(roots[0])
        entry = Between(self.before[stage], before)
        below, above = at.roots(roots, entry.low), at.roots(roots, entry.high)
        # Two zero weights keep a point of the grid apart from neighbours that may be NaN.
        return np.where(entry.share == 0, below, (1 - entry.share) * below + entry.share * above)


def _four(name: str, parts: Any) -> Sequence[Any]:
    if not isinstance(parts, list | tuple) or len(parts) != STAGES:
        raise ValueError(f"a latency table's {name} are {STAGES}, one for each stage")
    return parts


def _times(name: str, times: Floats, shape: tuple[int, ...], *, holes: bool = False) -> None:
    if times.shape != shape:
        raise ValueError(f"a latency table's {name} has shape {times.shape}, and its grids ask for {shape}")
    known = times[~np.isnan(times)] if holes else times
    if not (np.isfinite(known) & (known >= 0)).all():
        raise ValueError(
            f"a latency table's {name} holds a time that is no number of milliseconds of at least 0"
        )


def _with_nulls(times: Floats) -> list[list[float | None]]:
    return [[None if np.isnan(time) else time for time in row] for row in times.tolist()]
