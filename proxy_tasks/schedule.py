"""Learning rate as a function of progress through a run.

Warm-up is linear from 0, then poly: (1 - t)^power over what is left, which is
the schedule of the paper (sec. 3.3). A run is cut in steps, so progress is
step / steps in [0, 1). tests/test_proxy_schedule.py checks both ends.
"""

from __future__ import annotations


def warmup_share(steps: int, warmup_steps: int, most: float = 0.1) -> float:
    """Share of a run that warms up: the asked steps, but at most `most` of a short run."""
    if steps <= 0:
        raise ValueError(f"a run needs at least one step, got {steps}")
    return min(warmup_steps / steps, most)


def poly(progress: float, warmup: float = 0.0, power: float = 2.0) -> float:
    """Factor on the base learning rate at `progress` in [0, 1].

    `warmup` is the share of the run spent rising linearly to 1.
    """
    if progress < warmup:
        return progress / warmup
    return (1.0 - (progress - warmup) / (1.0 - warmup)) ** power if warmup < 1.0 else 1.0


def learning_rate(step: int, steps: int, base: float, warmup_steps: int, power: float) -> float:
    """Learning rate of 0-based `step` in a run of `steps`; the first step is never 0."""
    return base * poly((step + 0.5) / steps, warmup_share(steps, warmup_steps), power)
