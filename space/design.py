"""Space: which depths and widths may be combined, before any budget.

A stage has a range of depths and a range of widths; widths are multiples of
`width_step` and, unless `free_widths`, do not decrease from stage to stage. The
default is the space of the JMLR paper's search: depths 1..24, widths 8..512 by 8,
24^4 x C(67, 4) = 254,299,668,480 architectures of basic blocks.

Bounds are given for all stages at once or one for each: `max_depth=12` or
`max_depth=(4, 8, 24, 4)`. They are kept as four, pulled in to what the step and
the tie leave possible, so that equal spaces compare equal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from itertools import accumulate
from typing import Any, TypeAlias

from space.arch import ArchSpec
from space.plan import EXPANSION, OUTPUTS, STAGES

PerStage: TypeAlias = int | tuple[int, ...]  # one bound for all four stages, or one for each

_MOST_CHOICES = 1024  # values of one width; the index's keys and its sums stay inside 64 bits
_DEEPEST, _WIDEST, _MOST_OUTPUTS = 1000, 16384, 10**6


@dataclass(frozen=True, slots=True)
class Space:
    """Ranges (inclusive) of the four stages' depths and widths, their step and their tie.

    `outputs` is the size of the last linear layer, which every architecture has and every count holds; it is
    the task's.
    """

    block: str = "basic"
    min_depth: PerStage = 1
    max_depth: PerStage = 24
    min_width: PerStage = 8
    max_width: PerStage = 512
    width_step: int = 8
    free_widths: bool = False
    outputs: int = OUTPUTS

    def __post_init__(self) -> None:
        if self.block not in EXPANSION:
            raise ValueError(f"a space's block is one of {', '.join(EXPANSION)}, not {self.block!r}")
        if not _whole(self.width_step) or not 1 <= self.width_step <= _WIDEST:
            raise ValueError(f"width_step is a whole number from 1 to {_WIDEST}, not {self.width_step!r}")
        if not _whole(self.outputs) or not 1 <= self.outputs <= _MOST_OUTPUTS:
            raise ValueError(f"outputs is a whole number from 1 to {_MOST_OUTPUTS}, not {self.outputs!r}")
        for name, most in _BOUNDS.items():
            object.__setattr__(self, name, _per_stage(name, getattr(self, name), most))
        for stage, depths in enumerate(self.depth_choices, start=1):
            if not depths:
                raise ValueError(
                    f"stage {stage} has no depth left: its min_depth {depths.start} "
                    f"lies above its max_depth {depths.stop - 1}"
                )
        self._pull_in_widths()

    def _pull_in_widths(self) -> None:
        """Move each bound to the nearest width that an architecture of the space really has."""
        given, step = (_four(self.min_width), _four(self.max_width)), self.width_step
        low = [-(-each // step) * step for each in given[0]]
        high = [each // step * step for each in given[1]]
        if not self.free_widths:
            low = list(accumulate(low, max))
            high = list(accumulate(reversed(high), min))[::-1]
        for stage in range(STAGES):
            if low[stage] > high[stage]:
                tie = "" if self.free_widths else ", not below the stage before,"
                raise ValueError(
                    f"stage {stage + 1} has no width left: no multiple of {step}{tie} "
                    f"lies in the ranges from min_width {given[0]} to max_width {given[1]}"
                )
            if (high[stage] - low[stage]) // step >= _MOST_CHOICES:
                raise ValueError(
                    f"stage {stage + 1} has more than {_MOST_CHOICES} widths: raise width_step above {step}"
                )
        object.__setattr__(self, "min_width", tuple(low))
        object.__setattr__(self, "max_width", tuple(high))

    @property
    def depth_choices(self) -> tuple[range, ...]:
        """Each stage's depths."""
        bounds = zip(_four(self.min_depth), _four(self.max_depth), strict=True)
        return tuple(range(low, high + 1) for low, high in bounds)

    @property
    def width_choices(self) -> tuple[range, ...]:
        """Each stage's widths."""
        bounds = zip(_four(self.min_width), _four(self.max_width), strict=True)
        return tuple(range(low, high + 1, self.width_step) for low, high in bounds)

    @property
    def size(self) -> int:
        """Number of architectures, exact."""
        ways = dict.fromkeys(self.width_choices[-1], 1)
        for choices in reversed(self.width_choices[:-1]):
            total = sum(ways.values())
            if self.free_widths:
                ways = dict.fromkeys(choices, total)
            else:
                ways = {w: sum(n for later, n in ways.items() if later >= w) for w in choices}
        size = sum(ways.values())
        for depths in self.depth_choices:
            size *= len(depths)
        return size

    @property
    def id(self) -> str:
        """Short and stable: equal spaces, and only they, share it."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def __contains__(self, spec: ArchSpec) -> bool:
        within = spec.block == self.block and all(
            value in choices
            for values, all_choices in ((spec.depths, self.depth_choices), (spec.widths, self.width_choices))
            for value, choices in zip(values, all_choices, strict=True)
        )
        return within and (self.free_widths or list(spec.widths) == sorted(spec.widths))

    def narrowed(
        self,
        *,
        min_depth: PerStage | None = None,
        max_depth: PerStage | None = None,
        min_width: PerStage | None = None,
        max_width: PerStage | None = None,
    ) -> Space:
        """The part of this space inside the given bounds too; ValueError where nothing is left."""
        asked = {
            "min_depth": min_depth,
            "max_depth": max_depth,
            "min_width": min_width,
            "max_width": max_width,
        }
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, bound in asked.items():
            if bound is not None:
                tighter = max if name.startswith("min") else min
                bounds = _per_stage(name, bound, _BOUNDS[name])
                kept[name] = tuple(map(tighter, kept[name], bounds))
        return Space(**kept)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; without the outputs where they are the usual ones, as spaces had them before."""
        values = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}
        if self.outputs == OUTPUTS:
            del values["outputs"]
        return values

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Space:
        """Inverse of to_dict; what is missing takes its default, an unknown key is an error."""
        known = {field.name for field in fields(cls)}
        if unknown := set(data) - known:
            raise ValueError(f"a space has {', '.join(sorted(known))}, but got {sorted(unknown)} too")
        return cls(**data)


_BOUNDS = {"min_depth": _DEEPEST, "max_depth": _DEEPEST, "min_width": _WIDEST, "max_width": _WIDEST}


def _four(bound: PerStage) -> tuple[int, ...]:
    return bound if isinstance(bound, tuple) else (bound,) * STAGES


def _per_stage(name: str, value: Any, most: int) -> tuple[int, ...]:
    bounds = _four(tuple(value) if isinstance(value, list) else value)
    if len(bounds) != STAGES or not all(_whole(each) and 1 <= each <= most for each in bounds):
        raise ValueError(f"{name} is a whole number from 1 to {most}, or four of them, not {value!r}")
    return bounds


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
