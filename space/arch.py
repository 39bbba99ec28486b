"""ArchSpec: what a backbone is, and nothing about how it is built or found.

Four stages C2..C5 of identical residual blocks on a fixed deep stem (ResNet-D).
`depths` counts a stage's blocks. `widths` is the width of a stage's 3x3
convolutions; basic blocks put out as many channels, bottleneck blocks four
times as many. space/plan.py turns a spec into layers.

The references are He et al. 2016 (ResNet-18/34/50, here with the ResNet-D stem
and shortcuts) and the network that Guo et al. 2022 (JMLR) searched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from space import cost
from space.plan import EXPANSION, OUTPUTS, STAGES, Plan, build_plan


@dataclass(frozen=True, slots=True)
class ArchSpec:
    """Depths and widths of the four stages; hashable, comparable, JSON through to_dict."""

    depths: tuple[int, int, int, int]
    widths: tuple[int, int, int, int]
    block: str = "basic"

    def __post_init__(self) -> None:
        if not isinstance(self.block, str) or self.block not in EXPANSION:
            raise ValueError(f"a spec's block is one of {', '.join(EXPANSION)}, not {self.block!r}")
        object.__setattr__(self, "depths", _four_counts("depths", self.depths))
        object.__setattr__(self, "widths", _four_counts("widths", self.widths))

    @property
    def id(self) -> str:
        """Short, stable and safe in a file name: d5-3-4-2_w64-160-272-512."""
        depths, widths = ("-".join(map(str, each)) for each in (self.depths, self.widths))
        return f"d{depths}_w{widths}" + ("" if self.block == "basic" else f"_{self.block}")

    def to_dict(self) -> dict[str, Any]:
        return {"block": self.block, "depths": list(self.depths), "widths": list(self.widths)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ArchSpec:
        """Inverse of to_dict; a missing block means basic, an unknown key is an error."""
        if not isinstance(data, Mapping) or not {"depths", "widths"} <= set(data):
            raise ValueError(f"a spec needs depths and widths, as in {_EXAMPLE}, but got {data!r}")
        if unknown := set(data) - {"block", "depths", "widths"}:
            raise ValueError(f"a spec has depths, widths and block, but got {sorted(unknown)} too")
        return cls(**data)

    def plan(self, outputs: int = OUTPUTS) -> Plan:
        """The layers that space/cost.py counts and proxy_tasks/backbone.py builds."""
        return build_plan(self.block, self.depths, self.widths, outputs)

    def macs(self, input_size: int = 256, outputs: int = OUTPUTS) -> int:
        """Multiply-adds of the whole network on one 3 x input_size x input_size image."""
        return cost.macs(self.plan(outputs), input_size)

    def stage_macs(self, input_size: int = 256, outputs: int = OUTPUTS) -> dict[str, int]:
        """The same by part: stem, layer1..layer4, fc."""
        return cost.stage_costs(self.plan(outputs), cost.MACS, input_size)

    def params(self, outputs: int = OUTPUTS) -> int:
        """Learnable parameters: convolutions, batch norms' scales and shifts, the linear layer."""
        return cost.params(self.plan(outputs))

    def activations(self, input_size: int = 256, outputs: int = OUTPUTS) -> int:
        """Elements in the outputs of all convolutions, for one image (Radosavovic et al. 2020)."""
        return cost.activations(self.plan(outputs), input_size)


_EXAMPLE = '{"depths": [3, 4, 6, 3], "widths": [64, 128, 256, 512]}'


def _four_counts(name: str, values: Iterable[Any]) -> tuple[int, ...]:
    """Four positive Python ints out of whatever holds them (a list, a row of an array)."""
    try:
        numbers = tuple(values)
        counts = tuple(int(number) for number in numbers)
    except (TypeError, ValueError):
        raise ValueError(f"{name} are {STAGES} whole numbers, not {values!r}") from None
    if isinstance(values, str) or len(counts) != STAGES or counts != numbers or min(counts) < 1:
        raise ValueError(f"{name} are {STAGES} whole numbers of at least 1, not {values!r}")
    return counts


REFERENCES: dict[str, ArchSpec] = {
    "resnet18": ArchSpec((2, 2, 2, 2), (64, 128, 256, 512)),
    "resnet34": ArchSpec((3, 4, 6, 3), (64, 128, 256, 512)),
    "resnet50": ArchSpec((3, 4, 6, 3), (64, 128, 256, 512), block="bottleneck"),
    "jmlr-searched": ArchSpec((5, 3, 4, 2), (64, 160, 272, 512)),
}
