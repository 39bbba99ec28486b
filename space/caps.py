"""Caps beside the budget: the most parameters, activations or milliseconds that an architecture may have.

Equal FLOPs are not equal networks: of uniform architectures at 5.1 GFLOPs, 98 % have from 6.5 to 68 million
parameters and from 4.4 to 12.2 million activations. Both are counted from the same plan as FLOPs
(space/cost.py), at 256x256 and with the space's number of outputs; an activation is an element of a
convolution's output (Radosavovic et al. 2020, section 3).
Latency is what a model of one device predicts (space/latency.py).

A cap is written as a number with its unit, or relative to the control of the search: "30M", "12ms", "1.2x".
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from space.additive import NANOSECONDS, latency_parts
from space.arch import ArchSpec
from space.cost import ACTIVATIONS, PARAMS, Tables, tables, total
from space.design import Space
from space.latency import LatencyModel
from space.plan import OUTPUTS

NAMES = ("params", "activations", "latency")
_NUMBER = re.compile(r"([0-9]+\.?[0-9]*(?:e[+-]?[0-9]{1,2})?|\.[0-9]+(?:e[+-]?[0-9]{1,2})?)\s*([a-zµ]*)")
_COUNTS = {"": 0, "k": 3, "m": 6, "g": 9}
_SECONDS = {"us": -3, "µs": -3, "ms": 0, "s": 3}
EXAMPLES = {"params": "30M", "activations": "6M", "latency": "12ms"}
_MEASURES = {"params": PARAMS, "activations": ACTIVATIONS}


@dataclass(frozen=True, slots=True)
class Caps:
    """The most of each that an architecture may have, inclusive; None where nothing is asked."""

    params: int | None = None
    activations: int | None = None
    latency: float | None = None  # milliseconds of a forward pass, as `model` predicts
    model: LatencyModel | None = None

    def __post_init__(self) -> None:
        for name, most in self.asked.items():
            if isinstance(most, bool) or not isinstance(most, int | float) or not 0 < most < math.inf:
                raise ValueError(f"{flag(name)} is a number above 0, not {most!r}")
            if name != "latency" and not isinstance(most, int):
                raise ValueError(f"{flag(name)} is a whole number, not {most!r}")
        if self.latency is not None and self.model is None:
            raise ValueError(
                "--max-latency needs a latency table of the device that it is meant for: give one with "
                "--latency-table FILE, made by python -m proxy_tasks.latency calibrate"
            )

    @classmethod
    def parse(
        cls,
        texts: Mapping[str, str | None],
        control: ArchSpec,
        model: LatencyModel | None = None,
        outputs: int = OUTPUTS,
    ) -> Caps:
        """Caps from what a person wrote for each of NAMES; "1.2x" is 1.2 times what `control` has.

        outputs: of the networks
        """
        given = {name: text for name in NAMES if (text := texts.get(name)) is not None}
        if "latency" not in given:
            model = None
        elif model is None:
            cls(latency=1.0)  # which says what is missing
        values: dict[str, Any] = {
            name: _read(name, text, control, model, outputs) for name, text in given.items()
        }
        return cls(**values, model=model)

    @property
    def asked(self) -> dict[str, int | float]:
        """The caps that were asked for, by name."""
        values = ((name, getattr(self, name)) for name in NAMES)
        return {name: most for name, most in values if most is not None}

    @property
    def id(self) -> str:
        """Short and stable: caps that keep the same architectures, and only they, share it."""
        model = "" if self.latency is None or self.model is None else self.model.id
        text = f"{sorted(self.asked.items())} {model}"
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def __bool__(self) -> bool:
        return bool(self.asked)

    def __str__(self) -> str:
        return ", ".join(f"at most {shown(name, most)}" for name, most in self.asked.items())

    def parts(self, space: Space) -> Iterator[tuple[Tables, int]]:
        """Each cap in the order of `asked`: the parts that add up to what it counts, and the most allowed.

        Parameters, activations, or whole nanoseconds.
        """
        for name, most in self.asked.items():
            if name == "latency":
                assert self.model is not None, "a cap on latency has a model"
                yield latency_parts(self.model, space), max(1, math.floor(most * NANOSECONDS))
            else:
                yield tables(space.block, space.width_choices, _MEASURES[name], space.outputs), int(most)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], model: LatencyModel | None = None) -> Caps:
        """Inverse of to_dict, given the latency model; ValueError where it is another."""
        caps = cls(**{name: data[name] for name in NAMES if name in data}, model=model)
        if (wanted := data.get("latency_model")) is not None and caps.to_dict().get(
            "latency_model"
        ) != wanted:
            raise ValueError(f"the caps are of the latency model {wanted}, and another was given")
        return caps

    def to_dict(self) -> dict[str, Any]:
        """What was asked for, with the id of the latency model."""
        model = {"latency_model": self.model.id} if "latency" in self.asked and self.model else {}
        return {**self.asked, **model}


def flag(name: str) -> str:
    return f"--max-{name}"


def shown(name: str, value: float) -> str:
    """Four digits and the unit: "24.42 M parameters", "12.3 ms"."""
    if name == "latency":
        return f"{value:.4g} ms"
    return f"{value / 1e6:.4g} M {'parameters' if name == 'params' else name}"


def in_units(name: str, cost: int) -> float:
    """From what Caps.parts counts to what a person reads: milliseconds of nanoseconds."""
    return cost / NANOSECONDS if name == "latency" else cost


def most_of(name: str, value: float, *, up: bool = False) -> str:
    """A cap as a person would write it, to four digits; `up` where it must not become smaller."""
    unit, scale = ("ms", 1.0) if name == "latency" else ("M", 1e6)
    number = value / scale
    if up:
        step = 10.0 ** (math.floor(math.log10(number)) - 3)
        number = math.ceil(number / step - 1e-9) * step
        while float(f"{number:.4g}") * scale < value:
            number += step
    return f"{number:.4g}{unit}"


def _read(name: str, text: str, control: ArchSpec, model: LatencyModel | None, outputs: int) -> int | float:
    """One cap, absolute; ValueError, one sentence, for what is none."""
    match = _NUMBER.fullmatch(text.strip().lower())
    units = _SECONDS if name == "latency" else _COUNTS
    if match is None or match[2] not in {*units, "x"}:
        raise ValueError(f"{flag(name)} {text!r} is no cap: {_wanted(name)}")
    number = Fraction(match[1])
    if number <= 0:
        raise ValueError(f"{flag(name)} is above 0, not {text!r}: {_wanted(name)}")
    if match[2] != "x":
        most = number * Fraction(10) ** units[match[2]]
        return float(most) if name == "latency" else math.floor(most)
    if name != "latency":
        return math.floor(number * total(control.plan(outputs), _MEASURES[name]))
    assert model is not None, "a cap on latency has a model"
    own = float(model(control.block, np.array([[*control.depths, *control.widths]]))[0])
    return math.ceil(float(number) * own * 1000) / 1000  # up to a microsecond, so that 1x keeps the control


def _wanted(name: str) -> str:
    return f"write for example {EXAMPLES[name]}, or 1.2x for 1.2 times the control's"
