"""A search's complete runs as rows of a benchmark table, which `proxy_tasks.bench` and `fidelity` read.

Architectures that a strategy proposed are no uniform sample, so they have the role `proposal`: only draws of
`random`, and the uniform starts of others, are `uniform`. Runs that came from elsewhere are left out.
tests/test_record_rows.py
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nas.record.store import TrialRecord

UNIFORM = ("random", "uniform start")  # who proposes exactly uniform architectures
LENGTH = 1.0  # times the proxy's own: a row of a search has the proxy that it was trained under


def rows(records: Iterable[TrialRecord], data: str = "") -> list[dict[str, Any]]:
    """Rows in the order of the records; data: the fingerprint of what they were trained on."""
    return [_row(r, data) for r in records if r.role != "known" and r.l_error_mm is not None]


def _row(record: TrialRecord, data: str) -> dict[str, Any]:
    role = record.role if record.role != "proposal" or record.by not in UNIFORM else "uniform"
    return {
        "key": f"{record.arch.id}|{record.fidelity}|x{LENGTH:g}|s{record.seed}",
        "arch": record.arch.to_dict(),
        "role": role,
        "by": record.by,
        "seed": record.seed,
        "length": LENGTH,
        "proxy": record.fidelity,
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
