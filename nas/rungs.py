"""Where the rungs of --scheduler asha lie, in validations of a run.

Rungs fit the learning-rate schedule because they do not touch it: every run
follows the poly schedule of its full length from the first step, so at a rung
all runs stand at the same point of the same schedule and are compared there and
nowhere else. A shorter schedule for each rung would anneal, and rank, twice, and
a run that goes on would need a warm restart. The price is that a rung sees
errors at a high learning rate, which is why a pruned run's curve is kept as a
curve and never read as a result.
"""

from __future__ import annotations

import math

REDUCTION = 3  # one in three passes a rung


def first_rung(intervals: int) -> int:
    """Validations before a run may be stopped: a ninth of it, so that two rungs fit."""
    return max(1, math.ceil(intervals / REDUCTION**2))
