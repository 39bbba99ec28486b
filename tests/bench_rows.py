"""Rows of a table of trained networks, simulated by the stand-in: what proxy_tasks.bench would write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from nas.trials.standin import learning_curve
from space import ArchSpec, Budget, FeasibleSet, Space
from space.arch import REFERENCES
from space.scale import nearest

BUDGET = "1.2GFLOPs"
VALIDATIONS, EPOCHS = 6, 3


def feasible() -> FeasibleSet:
    return FeasibleSet(Space(), Budget.parse(BUDGET))


def simulated_rows(
    architectures: int = 40, *, repeated: int = 8, longer: int = 0, noise_mm: float = 0.3, seed: int = 0
) -> list[dict[str, Any]]:
    """Uniform draws, the first `repeated` with three seeds, `longer` also four times as long; the control."""
    found = feasible()
    control = nearest(found, REFERENCES["resnet34"])
    archs = found.draw(architectures, np.random.default_rng(seed))
    rows = [row(control, s, "control", noise_mm=noise_mm) for s in range(4)]
    rows += [row(a, 0, noise_mm=noise_mm) for a in archs]
    rows += [row(a, s, noise_mm=noise_mm) for a in archs[:repeated] for s in (1, 2)]
    return rows + [row(a, 0, length=4.0, noise_mm=noise_mm) for a in archs[:longer]]


def shifted(rows: list[dict[str, Any]], by: dict[int, float]) -> list[dict[str, Any]]:
    """The rows with what their seed adds to each architecture, mm."""
    for each in rows:
        for point in each["curve"]:
            point["l_error_mm"] += by[each["seed"]]
        each["l_error_mm"] += by[each["seed"]]
    return rows


def row(
    arch: ArchSpec, seed: int, role: str = "uniform", *, length: float = 1.0, noise_mm: float = 0.3
) -> dict[str, Any]:
    """One run. A longer one errs 10 mm less; seconds go with activations."""
    curve = learning_curve(arch, seed, VALIDATIONS, noise_mm)
    curve = [value - 10 * (length > 1) for value in curve]
    seconds = length * arch.activations() / 5e4
    points = [
        {"epochs": i * EPOCHS * length / VALIDATIONS, "seconds": seconds / VALIDATIONS, "l_error_mm": value}
        for i, value in enumerate(curve, 1)
    ]
    return {
        "key": f"{arch.id}|table-123456|x{length:g}|s{seed}",
        "arch": arch.to_dict(),
        "role": role,
        "seed": seed,
        "length": length,
        "proxy": "table-123456",
        "data": "simulated",
        "status": "complete",
        "l_error_mm": curve[-1],
        "curve": points,
        "people_mm": people(arch, seed, curve[-1]),
        "seconds": seconds,
        "macs": arch.macs(),
        "params": arch.params(),
        "activations": arch.activations(),
        "hardware": "simulated",
    }


def people(arch: ArchSpec, seed: int, mean: float, count: int = 60) -> list[float]:
    """Errors of `count` validation people about a run's mean; a person is as hard for every network."""
    hard = np.random.default_rng(1).normal(0, 8, count)
    own = np.random.default_rng([seed, *arch.depths, *arch.widths]).normal(0, 3, count)
    found = hard - hard.mean() + own - own.mean() + mean
    return [round(float(value), 2) for value in found]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return path
