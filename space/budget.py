"""Budget: "5.1GFLOPs" <-> an inclusive window of whole multiply-adds.

One FLOP is one multiply-add of the whole network at 3 x 256 x 256 input and 6,100 outputs
(space/cost.py), whatever a proxy trains at and however many vertices its data have.
The window is exact: 5.1 GFLOPs with a tolerance of 2 % is [4,998,000,000, 5,202,000,000],
because target and tolerance are taken as the decimals that were written, never as the
binary fractions nearest to them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

TOLERANCE = 0.02
_PREFIXES = {"": 0, "k": 3, "m": 6, "g": 9, "t": 12}
_NUMBER = re.compile(r"([0-9]+\.?[0-9]*(?:e[+-]?[0-9]{1,2})?|\.[0-9]+(?:e[+-]?[0-9]{1,2})?)\s*([a-z/]*)")
_UNIT = re.compile(r"([kmgt]?)(?:flops?|macs?)?")
_BYTES = re.compile(r"[kmgt]?i?b(?:ytes?)?")
_LARGEST = 10**15  # costs stay exact in float64, with room to add a few


@dataclass(frozen=True, slots=True)
class Budget:
    """Multiply-adds aimed at, and the share by which an architecture may miss it either way."""

    target: int
    tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        if type(self.target) is not int or not 1 <= self.target <= _LARGEST:
            raise ValueError(f"a budget is a whole number of FLOPs from 1 to 1e15, not {self.target!r}")
        if isinstance(self.tolerance, bool) or not isinstance(self.tolerance, int | float):
            raise ValueError(f"a tolerance is a number such as 0.02 (2 %), not {self.tolerance!r}")
        if not 0 <= self.tolerance < 1:
            raise ValueError(
                f"a tolerance is a share of the budget, at least 0 and below 1 (0.02 is 2 %), "
                f"not {self.tolerance!r}"
            )
        object.__setattr__(self, "tolerance", float(self.tolerance))  # numpy's prints otherwise

    @classmethod
    def parse(cls, text: str, tolerance: float = TOLERANCE) -> Budget:
        """Read "5.1GFLOPs", "5100 MFLOPs", "5.1G" or "5.1e9" (case does not matter)."""
        match = _NUMBER.fullmatch(text.strip().lower())
        unit = _UNIT.fullmatch(match[2]) if match else None
        if match and _BYTES.fullmatch(match[2]):
            raise ValueError(
                f"a budget counts multiply-adds and {text!r} counts bytes; write for example 5.1GFLOPs"
            )
        if match is None or unit is None:
            raise ValueError(f"{text!r} is no budget; write for example 5.1GFLOPs, 5100MFLOPs or 5.1e9")
        target = Fraction(match[1]) * 10 ** _PREFIXES[unit[1]]
        if not 1 <= target <= _LARGEST:
            raise ValueError(f"a budget lies between 1 and 1e15 FLOPs, but {text!r} does not")
        return cls(round(target), tolerance)

    @property
    def low(self) -> int:
        """Least number of multiply-adds inside the window."""
        return math.ceil(self.target * (1 - Fraction(repr(self.tolerance))))

    @property
    def high(self) -> int:
        """Greatest number of multiply-adds inside the window."""
        return math.floor(self.target * (1 + Fraction(repr(self.tolerance))))

    def __contains__(self, macs: int) -> bool:
        return self.low <= macs <= self.high

    def __str__(self) -> str:
        percent = Decimal(repr(self.tolerance)).scaleb(2).normalize()
        return f"{exact_flops(self.target)} ± {percent:f} %"

    def to_dict(self) -> dict[str, Any]:
        return {"target": self.target, "tolerance": self.tolerance}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Budget:
        return cls(data["target"], data["tolerance"])


def exact_flops(macs: int) -> str:
    """Every digit, in the largest unit that leaves at least 1: 5100775424 -> "5.100775424 GFLOPs"."""
    for unit, power in (("TFLOPs", 12), ("GFLOPs", 9), ("MFLOPs", 6), ("kFLOPs", 3)):
        if macs >= 10**power:
            return f"{Decimal(macs).scaleb(-power).normalize():f} {unit}"
    return f"{macs} FLOPs"


def rounded_flops(macs: float) -> str:
    """Four significant digits: 5100775424 -> "5.101 GFLOPs"."""
    for unit, scale in (("TFLOPs", 1e12), ("GFLOPs", 1e9), ("MFLOPs", 1e6), ("kFLOPs", 1e3)):
        if macs >= scale:
            return f"{macs / scale:.4g} {unit}"
    return f"{macs:.4g} FLOPs"
