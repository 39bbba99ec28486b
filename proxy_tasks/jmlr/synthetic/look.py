"""What one person looks like beside the shape of the face: colours, hair, ears, clothes.

Colours are BGR and display-encoded, 0 to 255; lengths are metres unless the name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

_SKIN = np.array(  # light to dark
    [
        (190, 208, 238),
        (168, 190, 227),
        (143, 170, 214),
        (114, 146, 196),
        (90, 120, 172),
        (64, 90, 138),
        (46, 63, 101),
        (35, 46, 74),
    ],
    np.float32,
)
_HAIR = np.array(  # black, dark brown, brown, light brown, blond, red, grey
    [
        (26, 26, 30),
        (32, 40, 54),
        (40, 58, 88),
        (60, 92, 136),
        (98, 142, 188),
        (42, 70, 140),
        (150, 152, 156),
    ],
    np.float32,
)
_HAIR_CHANCE = np.array([0.28, 0.24, 0.18, 0.10, 0.08, 0.05, 0.07])
_IRIS = np.array([(28, 44, 70), (36, 62, 98), (70, 98, 104), (126, 110, 78), (140, 124, 104)], np.float32)
_STYLES = ("shaved", "short", "full", "long")
_STYLE_CHANCE = (0.14, 0.44, 0.18, 0.24)


@dataclass(frozen=True, slots=True)
class Look:
    """Appearance of one person. Colours (3,); brow, beard, blush, freckles and shine in [0, 1]."""

    skin: Float
    hair: Float
    iris: Float
    lips: Float
    clothes: Float
    style: str  # "shaved", "short", "full" or "long"
    hairline_mm: float  # below the upper border of the mean face
    temples_mm: float  # how much higher the hairline is at the temples
    hair_volume: float
    hair_length: float  # of long hair, below the eyes
    ears: bool  # whether hair leaves them free
    brow: float
    brow_mm: float
    brow_arch_mm: float
    beard: float
    blush: float
    freckles: float
    shine: float
    ear_size: float  # 1 is the mean
    ear_flare: float  # radians
    collar_drop: float


def draw_look(rng: np.random.Generator) -> Look:
    """A random person's appearance."""
    tone = rng.uniform(0.0, len(_SKIN) - 1.0)
    low = int(tone)
    skin = _SKIN[low] + (tone - low) * (_SKIN[min(low + 1, len(_SKIN) - 1)] - _SKIN[low])
    skin = skin * rng.uniform(0.95, 1.05) * rng.uniform(0.975, 1.025, 3)
    dark = rng.random() < tone / len(_SKIN)
    hair = _HAIR[rng.integers(2)] if dark else _HAIR[rng.choice(len(_HAIR), p=_HAIR_CHANCE)]
    iris = _IRIS[rng.integers(2)] if dark or tone > 3.5 else _IRIS[rng.integers(len(_IRIS))]
    redness = np.array([0.72, 0.65, 0.90]) * rng.uniform(0.92, 1.06, 3)
    style = _STYLES[rng.choice(4, p=_STYLE_CHANCE)]
    bearded = style != "long" and rng.random() < 0.45
    volume = {"shaved": 0.001, "short": rng.uniform(0.004, 0.012), "full": rng.uniform(0.012, 0.024)}
    grey = rng.uniform(40.0, 215.0)
    return Look(
        skin=skin.astype(np.float32),
        hair=(hair * rng.uniform(0.85, 1.2)).astype(np.float32),
        iris=(iris * rng.uniform(0.7, 1.1) * rng.uniform(0.92, 1.08, 3)).astype(np.float32),
        lips=(skin * redness).astype(np.float32),
        clothes=np.clip(grey + rng.uniform(-50.0, 50.0, 3), 15.0, 235.0).astype(np.float32),
        style=style,
        hairline_mm=float(rng.uniform(-2.0, 14.0) if style == "shaved" else rng.uniform(2.0, 26.0)),
        temples_mm=float(rng.uniform(0.0, 14.0)),
        hair_volume=float(volume.get(style, rng.uniform(0.008, 0.016))),
        hair_length=float(rng.uniform(0.09, 0.24)),
        ears=bool(style != "long" or rng.random() < 0.45),
        brow=float(rng.uniform(0.55, 0.95)),
        brow_mm=float(rng.uniform(4.0, 8.5)),
        brow_arch_mm=float(rng.uniform(-1.5, 2.0)),
        beard=float(rng.uniform(0.15, 0.85)) if bearded else 0.0,
        blush=float(rng.uniform(0.0, 1.0)),
        freckles=float(rng.uniform(0.0, 1.0) ** 3),
        shine=float(rng.uniform(0.04, 0.22)),
        ear_size=float(rng.normal(1.0, 0.07)),
        ear_flare=float(np.clip(rng.normal(0.55, 0.14), 0.2, 0.95)),
        collar_drop=float(rng.choice([0.0, 0.012, 0.05, 0.075])),
    )
