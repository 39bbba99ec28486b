"""Small spaces, and every architecture of a space one by one: the slow second method of the space tests."""

from __future__ import annotations

from itertools import product

import numpy as np

from space import ArchSpec, Space

SMALL = {
    "tied": Space(max_depth=3, min_width=32, max_width=128, width_step=32),
    "free": Space(max_depth=2, min_width=32, max_width=96, width_step=32, free_widths=True),
    "bottleneck": Space("bottleneck", max_depth=2, min_width=16, max_width=64, width_step=16),
    "bottleneck, free": Space("bottleneck", max_depth=2, max_width=24, free_widths=True),
    "one width": Space(max_depth=4, min_width=64, max_width=64),
    "one depth": Space(max_depth=1, max_width=64),
    "one architecture": Space(min_depth=3, max_depth=3, min_width=40, max_width=40),
    "ranges by stage": Space(
        min_depth=(1, 2, 1, 3), max_depth=(2, 4, 3, 3), min_width=(8, 40, 8, 64), max_width=(24, 56, 96, 80)
    ),
    "step of one": Space("bottleneck", max_depth=2, min_width=14, max_width=18, width_step=1),
}


def every_spec(space: Space) -> list[ArchSpec]:
    widths = [w for w in product(*space.width_choices) if space.free_widths or list(w) == sorted(w)]
    return [ArchSpec(d, w, space.block) for d in product(*space.depth_choices) for w in widths]


def table(specs: list[ArchSpec]) -> np.ndarray:
    """(n, 8): d_1..d_4, w_1..w_4."""
    return np.array([[*spec.depths, *spec.widths] for spec in specs])
