"""What is told of a table's architectures without training them: scores of untrained networks, latency.

They lie in a file beside the table's rows, one JSON line for each architecture and kind. A score depends on
the batch alone, so it is kept under the data's fingerprint. A time is one machine's on one occasion: all
architectures are timed in one sitting, times are kept under it and their conditions, and the last sitting
counts. The two halves beside each time say how quiet the machine was. tests/test_bench_scoring.py
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from proxy_tasks.bench.rows import Row
from proxy_tasks.bench.views import LATENCY, SECONDS
from space.arch import ArchSpec

if TYPE_CHECKING:
    from space.latency import Conditions

ZERO_COST = ("grad_norm", "naswot", "log_synflow")  # of proxy_tasks/zero_cost.py, those that are no counts
IMAGES = 32  # of a batch, at 64 pixels


def archs_of(rows: Iterable[Row]) -> list[ArchSpec]:
    """Each architecture of the rows once, in their order; those of ensembles' rows are the first members."""
    return list(dict.fromkeys(ArchSpec.from_dict(row["arch"]) for row in rows))


class ZeroCost:
    """Scores untrained networks on a batch of the images of `data`."""

    def __init__(self, data: Path) -> None:
        from proxy_tasks.jmlr.task import JmlrTask
        from proxy_tasks.proxy import PROXIES
        from proxy_tasks.zero_cost import Batch

        task = JmlrTask.open(data, PROXIES["mini"])
        self.data = task.fingerprint
        self._batch = Batch.of(task, IMAGES)

    def __call__(self, arch: ArchSpec) -> dict[str, float]:
        """The scores of ZERO_COST, of which higher is taken for better, and the seconds that they took."""
        from proxy_tasks.zero_cost import zero_cost_scores

        start = time.perf_counter()
        found = zero_cost_scores(arch, self._batch)
        kept = {name: found[name] for name in ZERO_COST}
        return {**kept, SECONDS: round(time.perf_counter() - start, 2)}

    def key(self, arch: ArchSpec) -> str:
        """Names a row."""
        return f"{arch.id}|zero-cost|{self.data}"

    def row(self, arch: ArchSpec) -> Row:
        """As kept in a file."""
        return {"key": self.key(arch), "arch": arch.to_dict(), "data": self.data, **self(arch)}


def latency_key(arch: ArchSpec, conditions: Conditions, sitting: int) -> str:
    """Names a row."""
    return f"{arch.id}|latency|{conditions}|{sitting}"


def latency_rows(archs: Sequence[ArchSpec], conditions: Conditions, sitting: int = 1) -> Iterator[Row]:
    """Forward passes of all of them timed together here, so that a disturbance falls on none alone."""
    from proxy_tasks.latency.calibrate import measure

    for timed in measure(conditions, list(archs)):
        yield {
            "key": latency_key(timed.arch, conditions, sitting),
            "arch": timed.arch.to_dict(),
            LATENCY: round(timed.milliseconds, 3),
            "halves_ms": [round(each, 3) for each in timed.halves or ()],
            "conditions": str(conditions),
            "sitting": sitting,
            "software": conditions.software,
        }


def missing(
    archs: Sequence[ArchSpec], there: Iterable[str], data: Path | None, conditions: Conditions | None
) -> Iterator[Row]:
    """The rows that a file with the keys `there` lacks, as they are found."""
    known = set(there)
    if data is not None:
        score = ZeroCost(data)
        yield from (score.row(arch) for arch in archs if score.key(arch) not in known)
    if conditions is not None:
        sittings = [int(key.rpartition("|")[2]) for key in known if f"|latency|{conditions}|" in key]
        last = max(sittings, default=0)
        if any(latency_key(arch, conditions, last) not in known for arch in archs):
            yield from latency_rows(archs, conditions, last + 1)


def by_architecture(rows: Iterable[Row]) -> Callable[[ArchSpec], Mapping[str, float]]:
    """What the rows of a file tell of an architecture: its scores, and its latency where it was timed last.

    ValueError where scores are of two batches, or times of two machines.
    """
    rows = list(rows)
    found: dict[str, dict[str, float]] = {}
    sources: dict[str, str] = {}
    last = max((row["sitting"] for row in rows if LATENCY in row), default=0)
    for row in rows:
        if row.get("sitting", last) != last:
            continue
        kind = "conditions" if LATENCY in row else "data"
        if sources.setdefault(kind, row[kind]) != row[kind]:
            raise ValueError(f"the scores mix different {kind}: {sources[kind]} and {row[kind]}")
        names = (LATENCY,) if LATENCY in row else (*ZERO_COST, SECONDS)
        kept = {name: float(row[name]) for name in names}
        found.setdefault(ArchSpec.from_dict(row["arch"]).id, {}).update(kept)
    return lambda arch: found.get(arch.id, {})
