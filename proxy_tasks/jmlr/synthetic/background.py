"""Rooms out of focus: soft gradients, furniture-like shapes, lights; drawn small and enlarged."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_SIDE = 100


def draw_background(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A room (100, 100, 3) BGR, to be enlarged."""
    tint = rng.normal(0.0, 8.0, 3)
    level = rng.uniform(25.0, 205.0)
    slope = rng.normal(0.0, 25.0, 2)
    along = np.linspace(-1.0, 1.0, _SIDE)
    flat = level + slope[0] * along + (slope[1] * along)[:, None]
    canvas = np.asarray(cv2.merge([(flat + shift).astype(np.float32) for shift in tint]), np.float32)
    for _ in range(rng.integers(0, 9)):
        _shape(canvas, level, rng)
    soft = np.asarray(cv2.GaussianBlur(canvas, (0, 0), float(rng.uniform(0.7, 4.5))))
    texture = rng.normal(0.0, rng.uniform(0.0, 5.0), (34, 34)).astype(np.float32)
    rough = cv2.resize(texture, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.add(soft, cv2.merge([rough] * 3), dtype=cv2.CV_8U), np.uint8)


def _shape(canvas: NDArray[np.float32], level: float, rng: np.random.Generator) -> None:
    grey = np.clip(level + rng.normal(0.0, 55.0), 5.0, 245.0)
    colour = np.clip(grey + rng.normal(0.0, 15.0, 3), 0.0, 255.0).tolist()
    a = rng.integers(-20, _SIDE, 2)
    size = rng.integers(6, 60, 2)
    kind = rng.random()
    if kind < 0.55:
        cv2.rectangle(canvas, a.tolist(), (a + size).tolist(), colour, -1)
    elif kind < 0.8:
        cv2.ellipse(
            canvas,
            (a + size // 2).tolist(),
            (size // 2).tolist(),
            float(rng.uniform(0, 180)),
            0,
            360,
            colour,
            -1,
        )
    else:
        end = a + rng.integers(-80, 80, 2)
        cv2.line(canvas, a.tolist(), end.tolist(), colour, int(rng.integers(1, 5)), cv2.LINE_AA)
