"""Which seeds an architecture has not been trained with: no two of its runs are alike."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from itertools import count, islice

from nas.record.store import TrialRecord
from space import ArchSpec


def free(used: Container[int], start: int) -> Iterator[int]:
    """Seeds from `start` on that are not in `used`, without end."""
    return (seed for seed in count(start) if seed not in used)


def free_seeds(
    records: Iterable[TrialRecord], fidelity: str, arch: ArchSpec, start: int, wanted: int
) -> list[int]:
    """The first `wanted` seeds from `start` on that `arch` has not been trained with at `fidelity`."""
    used = {r.seed for r in records if r.arch == arch and r.fidelity == fidelity}
    return list(islice(free(used, start), wanted))
