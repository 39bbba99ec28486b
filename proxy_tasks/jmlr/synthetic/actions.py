"""The challenge's 33 facial actions: an expression held or spoken while the head sweeps one way.

Actions 1 to 16 sweep left to right, 17 to 33 up and down. Weights are by ARKit blend-shape name;
names that a face model lacks are passed over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def _both(name: str, weight: float) -> dict[str, float]:
    return {f"{name}_L": weight, f"{name}_R": weight}


EXPRESSIONS: dict[str, dict[str, float]] = {
    "Neutral": {},
    "JawOpen": {"jawOpen": 1.0},
    "JawLeft": {"jawLeft": 1.0, "mouthLeft": 0.3},
    "JawRight": {"jawRight": 1.0, "mouthRight": 0.3},
    "Smile": {**_both("mouthSmile", 1.0), **_both("eyeSquint", 0.3), **_both("mouthUpperUp", 0.2)},
    "Frown": {**_both("mouthFrown", 1.0), "mouthShrugLower": 0.4},
    "Pucker": {"mouthPucker": 1.0},
    "Funnel": {"mouthFunnel": 1.0, "jawOpen": 0.12},
    "Dimple": {**_both("mouthDimple", 1.0), **_both("mouthPress", 0.4)},
    "BrowUp": {**_both("browInnerUp", 0.6), **_both("browOuterUp", 1.0)},
    "BrowDown": {**_both("browDown", 1.0), **_both("eyeSquint", 0.2)},
    "EyeBlink": _both("eyeBlink", 1.0),
    "EyeWide": {**_both("eyeWide", 1.0), **_both("browOuterUp", 0.3)},
    "CheekPuff": _both("cheekPuff", 1.0),
    "NoseSneer": {**_both("noseSneer", 1.0), **_both("mouthUpperUp", 0.3)},
    "MouthStretch": {**_both("mouthStretch", 1.0), **_both("mouthLowerDown", 0.5), "jawOpen": 0.08},
}
_LEFT_TO_RIGHT = tuple(EXPRESSIONS)
_UP_TO_DOWN = (*_LEFT_TO_RIGHT[1:], "Neutral", "Talk")
_SPOKEN = (
    "jawOpen",
    "mouthFunnel",
    "mouthPucker",
    "mouthStretch",
    "mouthSmile",
    "mouthLowerDown",
    "mouthUpperUp",
)


@dataclass(frozen=True, slots=True)
class Action:
    """One of the 33: folder name, the axis that the head sweeps, the expression."""

    name: str
    sweep: str  # "LeftToRight" or "UpToDown"
    expression: str

    def weights(self, rng: np.random.Generator) -> dict[str, float]:
        """Blend-shape weights of one frame: how far a person goes varies, and so do the two sides."""
        if self.expression == "Talk":
            sound = _SPOKEN[rng.integers(len(_SPOKEN))]
            strength = float(rng.uniform(0.15, 0.7))
            chosen = {"jawOpen": float(rng.uniform(0.02, 0.35))}
            for name in (sound, f"{sound}_L", f"{sound}_R"):
                chosen[name] = max(chosen.get(name, 0.0), strength)
            return chosen
        reach = float(rng.uniform(0.55, 1.0))
        return {
            k: float(np.clip(v * reach * rng.uniform(0.85, 1.15), 0.0, 1.0))
            for k, v in EXPRESSIONS[self.expression].items()
        }


def _actions() -> tuple[Action, ...]:
    order = [("LeftToRight", name) for name in _LEFT_TO_RIGHT] + [("UpToDown", name) for name in _UP_TO_DOWN]
    return tuple(Action(f"{n:02d}_{sweep}_{name}", sweep, name) for n, (sweep, name) in enumerate(order, 1))


ACTIONS = _actions()


def coefficients(weights: dict[str, float], names: tuple[str, ...]) -> NDArray[np.float32]:
    """Weights in the order of a model's expression names (E,), zero where an action says nothing."""
    return np.array([weights.get(name, 0.0) for name in names], np.float32)
