"""Measured latency of a search's finalists, once for each, kept in run.json."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from nas.record.costs import Latencies, finalists
from nas.record.run_dir import RunDir
from nas.record.select import Selection
from nas.trials.trial import Objective
from space import ArchSpec
from space.latency import LatencyTable
from space.telling import doing


def note_latencies(
    run: RunDir,
    about: dict[str, Any],
    selection: Selection,
    objective: Objective,
    table: LatencyTable | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Latencies:
    """Measure what is not yet known of the finalists and write it to run.json; all that is known then.

    An objective that trains measures on its device here; one without `latencies` has none. Times of another
    device or version, from before a resume, are taken again.
    """
    measure = getattr(objective, "latencies", None)
    wanted = finalists(selection)
    known = Latencies.of(about)
    if measure is None or not wanted:
        return known
    where, take = measure(table)
    old = dict(known.measured) if known.where == where else {}
    if missing := [arch for arch in wanted if arch.id not in old]:
        say(f"measuring the latency of {len(missing)} architectures")
        try:
            with doing(f"measuring the latency of {len(missing)} architectures"):
                old |= take(missing)
        except RuntimeError as error:  # a device that others have filled: no reason to lose the answer
            say(f"latency was not measured: {str(error).splitlines()[0]}")
            return known
    found = Latencies(where, old, _predicted(table, wanted))
    if found != known:
        about["latency"] = found.to_dict()
        run.write(about)
    return found


def _predicted(table: LatencyTable | None, archs: list[ArchSpec]) -> dict[str, float]:
    found: dict[str, float] = {}
    for arch in archs:
        with suppress(ValueError):  # one that was known before, and is wider than the table
            found |= {arch.id: table.of(arch)} if table is not None else {}
    return found
