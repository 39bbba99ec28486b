"""A search's complete runs as rows of a benchmark table, which `proxy_tasks.bench` and `fidelity` read.

Architectures that a strategy proposed are no uniform sample, so they have the role `proposal`: only draws of
`random`, and the uniform starts of others, are `uniform`, and these too only where nothing took a part of
them away: no rungs, which let the better ones live, no caps, no narrowed round. Runs that came from elsewhere
are left out.
tests/test_record_rows.py
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nas.record.store import TrialRecord

UNIFORM = ("random", "uniform start")  # who proposes exactly uniform architectures
Kept = tuple[str, float]  # a proxy's id, and how many times as long as it a run is


def rows(
    records: Iterable[TrialRecord],
    data: str = "",
    kept_as: Mapping[str, Kept] | None = None,
    config: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Rows in the order of the records; data: the fingerprint of what they were trained on.

    config: of the search (run.json), by which its uniform draws are a whole population or a part of one.
    kept_as: of fidelities that a table has as longer runs of another (proxy_tasks.bench.plan.kept_as); any
    other is a row of its own proxy, once as long.
    """
    kept_as, whole = kept_as or {}, _draws_from_all(config or {})
    return [
        _row(r, data, kept_as.get(r.fidelity, (r.fidelity, 1.0)), whole)
        for r in records
        if r.role != "known" and r.l_error_mm is not None
    ]


def _draws_from_all(config: Mapping[str, Any]) -> bool:
    capped = any(config.get(f"max_{cost}") is not None for cost in ("params", "activations", "latency"))
    return config.get("scheduler", "none") == "none" and not capped


def _row(record: TrialRecord, data: str, kept: Kept, whole: bool) -> dict[str, Any]:
    proxy, length = kept
    drawn = record.role == "proposal" and record.by in UNIFORM and record.round <= 1
    role = "uniform" if drawn and whole else record.role
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
