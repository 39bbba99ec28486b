"""A table for this device, from networks of a feasible set; and its check on others of the same set."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import torch

from proxy_tasks.latency.check import Score, scores
from proxy_tasks.latency.fit import fit
from proxy_tasks.latency.kept import Kept
from proxy_tasks.latency.networks import Networks
from proxy_tasks.latency.stopwatch import Timed, timed, timed_in_groups
from proxy_tasks.precision import full_float32
from space.arch import ArchSpec
from space.feasible import FeasibleSet
from space.latency import Conditions

MOST = 400  # networks of a table: more change it by less than the noise of a time
PASSES = 5  # readings a network, of a table that averages over many
CHECK_PASSES = 9  # of a network whose own time is the truth
GROUP = 6  # compiled networks at a time: torch.compile keeps 8 variants of one forward pass at most


def calibrate(
    feasible: FeasibleSet,
    conditions: Conditions,
    *,
    seconds: float,
    seed: int = 0,
    tick: Callable[[int], None] = lambda done: None,
) -> Kept:
    """Time networks of the set for `seconds` and make a table of them; ValueError where that is too short."""
    if not 0 < seconds < float("inf"):
        raise ValueError(f"--seconds is a positive number, not {seconds}")
    start = time.perf_counter()
    specs = _draw(feasible, MOST, seed)
    found = _timed(Networks(conditions), specs, PASSES, seconds, tick)
    rows = np.array([[*t.arch.depths, *t.arch.widths] for t in found])
    made = fit(feasible.space, conditions, rows, np.array([t.milliseconds for t in found]))
    about = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "budget": str(feasible.budget),
        "networks": len(found),
        "seconds": time.perf_counter() - start,
        "left_out_error": made.left_out_error,
        "dropped": made.dropped,
        "pad": made.pad,
    }
    return Kept(made.table, about, tuple(found))


def validate(
    kept: Kept,
    feasible: FeasibleSet,
    count: int,
    *,
    seed: int = 1,
    tick: Callable[[int], None] = lambda done: None,
) -> tuple[list[Timed], list[Score], Kept]:
    """Time `count` networks that the table did not see; them, their scores, and the table with its check."""
    known = {t.arch for t in kept.measured}
    specs = [spec for spec in _draw(feasible, count + len(known), seed) if spec not in known][:count]
    if len(specs) < 2:
        raise ValueError("the set holds no two networks that the table was not made of: widen it")
    networks = _timed(Networks(kept.table.conditions), specs, CHECK_PASSES, None, tick)
    found = scores(kept.table, networks)
    check = {
        "networks": len(networks),
        **{s.name: {"error": s.error, "worst": s.worst, "tau": s.tau} for s in found},
        "measured": [{"arch": t.arch.to_dict(), "ms": t.milliseconds} for t in networks],
    }
    return networks, found, Kept(kept.table, kept.about, kept.measured, check)


def measure(conditions: Conditions, specs: list[ArchSpec], passes: int = CHECK_PASSES) -> list[Timed]:
    """The times of given architectures on this machine."""
    return _timed(Networks(conditions), specs, passes, None, lambda done: None)


def _timed(
    networks: Networks,
    specs: list[ArchSpec],
    passes: int,
    seconds: float | None,
    tick: Callable[[int], None],
) -> list[Timed]:
    with full_float32():  # what fp32 says, and what predictions are computed in
        if networks.conditions.mode != "compiled":
            return timed(specs, networks.forward, passes=passes, seconds=seconds, tick=tick)
        eager = Networks(replace(networks.conditions, mode="eager"))
        return timed_in_groups(
            specs,
            networks.forward,
            passes=passes,
            group=GROUP,
            clear=torch.compiler.reset,
            reference=lambda: eager.forward(specs[0]),
            seconds=seconds,
            tick=tick,
        )


def _draw(feasible: FeasibleSet, count: int, seed: int) -> list[ArchSpec]:
    """Up to `count` different networks of the set."""
    return list(dict.fromkeys(feasible.draw(count, np.random.default_rng(seed))))
