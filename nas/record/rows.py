"""A search's complete runs as rows of a benchmark table, which `proxy_tasks.bench` and `fidelity` read.

Architectures that a strategy proposed are no uniform sample, so they have the role `proposal`: only draws of
`random`, and the uniform starts of others, are `uniform`. Runs that came from elsewhere are left out.
tests/test_record_rows.py
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nas.record.store import TrialRecord

UNIFORM = ("random", "uniform start")  # who proposes exactly uniform architectures
Kept = tuple[str, float]  # a proxy's id, and how many times as long as it a run is


def rows(
    records: Iterable[TrialRecord], data: str = "", kept_as: Mapping[str, Kept] | None = None
) -> list[dict[str, Any]]:
    """Rows in the order of the records; data: the fingerprint of what they were trained on.

    kept_as: of fidelities that a table has as longer runs of another (proxy_tasks.bench.plan.kept_as); any
    other is a row of its own proxy, once as long.
    """
    kept_as = kept_as or {}
    return [
        _row(r, data, kept_as.get(r.fidelity, (r.fidelity, 1.0)))
        for r in records
        if r.role != "known" and r.l_error_mm is not None
    ]


def _row(record: TrialRecord, data: str, kept: Kept) -> dict[str, Any]:
    proxy, length = kept
    role = record.role if record.role != "proposal" or record.by not in UNIFORM else "uniform"
    return {
        "key": f"{record.arch.id}|{proxy}|x{length:g}|s{record.seed}",
        "arch": record.arch.to_dict(),
        "role": role,
        "by": record.by,
        "seed": record.seed,
        "length": length,
        "proxy": proxy,
        "data": data,
        "status": record.state,
        "l_error_mm": record.l_error_mm,
        "curve": [{"epochs": epochs, "l_error_mm": round(value, 4)} for epochs, value in record.curve],
        "seconds": round(record.seconds, 1),
        "macs": record.macs,
        "params": record.params,
        "activations": record.activations,
        "hardware": record.hardware,
    }
