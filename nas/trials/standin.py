"""A training run that costs nothing: a synthetic L_error with a realistic shape.

For simulations of the search itself: how many trials a strategy needs, what the
driver costs at 2,000 trials, what a kill loses. `python -m nas.search
--objective nas.trials.standin:Standin` searches with it and trains nothing.

The final error of an architecture is a smooth function of how its FLOPs and
depth are spread over the stages, with ResNet-34 a little above the best, as in
the paper (34.31 against 34.13). Everything the search has to cope with is there:

    final(a, seed) = floor + bowl(a) + texture(a) + noise(seed)
    curve(a, t)    = final + (start - final) * (1 - t)^rate(a),      t = share of the run

bowl is quadratic in the log depths and widths' ratios about an optimum, texture
a hash of the architecture that no model can predict, rate differs a little
between architectures, so that curves cross and a rung can be wrong.
tests/test_trials_standin.py
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from nas.trials.trial import Facts
from proxy_tasks.engine import Epoch, Outcome
from proxy_tasks.proxy import Proxy
from space import ArchSpec
from space.files import write_whole

START_MM = 154.0  # the mean face
FLOOR_MM = 34.0
TEXTURE_MM = 0.08
_BEST = np.log([5.0, 3.0, 4.0, 2.0, 64.0, 160.0, 272.0, 512.0])
_SCALE = np.array([1.2, 1.0, 1.0, 1.2, 1.0, 0.8, 0.8, 0.9])


def expected_mm(spec: ArchSpec) -> float:
    """The error of an architecture without seed noise: what a search is after."""
    offset = (np.log([*spec.depths, *spec.widths]) - _BEST) / _SCALE
    bowl = 0.35 * float(offset @ offset) + 0.15 * float(np.abs(offset[:4] + offset[4:]).max())
    return FLOOR_MM + 6.0 * np.tanh(bowl / 6.0) + TEXTURE_MM * float(_noise(spec.id, "texture"))


class Standin:
    """The objective of nas/trials/trial.py without training.

    seconds: pretended length of a run; noise_mm: standard deviation between seeds; fail: share of
    architectures that fail, `memory` that run out of memory, `diverge` whose error is NaN.
    """

    def __init__(
        self,
        seconds: float = 0.0,
        noise_mm: float = 0.15,
        fail: float = 0.0,
        memory: float = 0.0,
        diverge: float = 0.0,
    ) -> None:
        self.seconds, self.noise_mm = seconds, noise_mm
        self.fail, self.memory, self.diverge = fail, memory, diverge

    def facts(self, proxy: Proxy, *, progress: bool = False) -> Facts:
        """Of a data set that is not there; its mean face errs by START_MM."""
        return Facts("", "standin", 0, 0, 6100, {"l_error_mm": START_MM})

    def hardware(self) -> str:
        """What the record calls the device."""
        return "simulated"

    def latencies(self, table: Any = None) -> tuple[str, Callable[[Sequence[ArchSpec]], dict[str, float]]]:
        """What the record calls the device, and its milliseconds of a forward pass by architecture id."""
        return "a simulated device", lambda archs: {arch.id: latency_ms(arch) for arch in archs}

    def run(
        self,
        spec: ArchSpec,
        seed: int,
        proxy: Proxy,
        checkpoint: Path,
        report: Callable[[Epoch], bool],
    ) -> Outcome:
        """Pretend to train `spec`, from `checkpoint` on; raises what a broken or too large network would."""
        draw = _uniform(spec.id, "fate")
        if draw < self.fail:
            raise RuntimeError("the simulated network broke")
        if draw > 1 - self.memory:
            raise MemoryError("out of memory in the simulation")
        intervals = proxy.validations
        curve = learning_curve(spec, seed, intervals, self.noise_mm)
        epochs = _read(checkpoint)
        for number in range(len(epochs) + 1, intervals + 1):
            time.sleep(self.seconds / intervals)
            value = float("nan") if (draw + 0.5) % 1 < self.diverge else curve[number - 1]
            epochs.append(
                Epoch(number, number * proxy.epochs / intervals, _metrics(value), self.seconds / intervals)
            )
            _write(checkpoint, epochs)
            if not report(epochs[-1]) and number < intervals:
                return Outcome("stopped", f"stopped after {number} of {intervals} intervals", tuple(epochs))
        return Outcome("complete", "", tuple(epochs))


def latency_ms(spec: ArchSpec) -> float:
    """Milliseconds of a forward pass: 2 ns an activation, 4 ps a multiply-add; 29 for ResNet-34."""
    return 2e-6 * spec.activations() + 4e-9 * spec.macs()


def learning_curve(spec: ArchSpec, seed: int, intervals: int, noise_mm: float) -> list[float]:
    """L_error after each of `intervals` equal parts of a run, millimetres."""
    final = expected_mm(spec) + noise_mm * float(_noise(spec.id, f"seed{seed}"))
    rate = 2.0 + 0.04 * float(_noise(spec.id, "rate"))
    share = np.arange(1, intervals + 1) / intervals
    wobble = 2.0 * noise_mm * np.array([_noise(spec.id, f"{seed}:{i}") for i in range(intervals)])
    curve = final + (START_MM - final) * (1 - share) ** rate + wobble * (1 - share)
    return [float(v) for v in curve]


def _metrics(value: float) -> dict[str, float]:
    return {"l_error_mm": value, "median_mm": value * 0.9, "failed_share": 0.0}


def _uniform(*parts: str) -> float:
    """A number in (0, 1) that is a function of the words."""
    digest = hashlib.sha256("/".join(parts).encode()).digest()
    return (int.from_bytes(digest[:7], "big") + 0.5) / 2**56


def _noise(*parts: str) -> float:
    """A standard normal number that is a function of the words."""
    return NormalDist().inv_cdf(_uniform(*parts))


def _read(checkpoint: Path) -> list[Epoch]:
    if not checkpoint.exists():
        return []
    return [Epoch(**e) for e in json.loads(checkpoint.read_text())]


def _write(checkpoint: Path, epochs: list[Epoch]) -> None:
    rows = [
        {"number": e.number, "epochs": e.epochs, "metrics": e.metrics, "seconds": e.seconds} for e in epochs
    ]
    write_whole(checkpoint, json.dumps(rows), wait=False)
