"""Where the rungs of --scheduler asha lie, in validations of a run.

Rungs fit the learning-rate schedule because they do not touch it: every run
follows the poly schedule of its full length from the first step, so at a rung
all runs stand at the same point of the same schedule and are compared there and
nowhere else. A shorter schedule for each rung would anneal, and rank, twice, and
a run that goes on would need a warm restart. The price is that a rung sees
errors at a high learning rate, which is why a pruned run's curve is kept as a
curve and never read as a result.

That is also why the rungs lie late and are mild: at a third and two thirds of a
run, passed by the better half. A ninth and a third passed by one in three, the
textbook choice, stopped so many good ones that TPE paid 40 full runs for one of
the best 1 %, against 22 (14 searches each, tests/bench/bench_search_cost.py).
"""

from __future__ import annotations

REDUCTION = 2  # one in two passes a rung


def first_rung(intervals: int) -> int:
    """Validations before a run may be stopped: a third of it, so that a second rung fits before its end."""
    return max(1, intervals // 3)


def asha_share(intervals: int) -> float:
    """Expected share of a run that a proposal trains for, if one in two passes each rung."""
    rung, before, share, alive = first_rung(intervals), 0, 0.0, 1.0
    while rung < intervals:
        share += alive * (rung - before) / intervals
        before, rung, alive = rung, rung * REDUCTION, alive / REDUCTION
    return share + alive * (intervals - before) / intervals
