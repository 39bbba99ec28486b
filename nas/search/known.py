"""What is known before a search begins: runs of an earlier search or of a benchmark table.

`--warm-start RUN` reads them. They enter the store in a study of their own with the role `known`: the
strategies learn from them, the seed noise is pooled over them, and the best of them can be finalists; no
device time is counted for them here. Only runs that this search could have made are taken: of the same
fidelity (the same settings, to the last), the same data, and an architecture of the same set.
tests/test_search_known.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.record.run_dir import RunDir, RunError
from nas.record.store import KNOWN, Store
from proxy_tasks.bench import rows as table_rows
from proxy_tasks.bench.rows import Row
from proxy_tasks.bench.table import FIRST, is_complete
from proxy_tasks.proxy import Proxy
from space import ArchSpec, FeasibleSet
from space.plan import OUTPUTS


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A complete run that was made elsewhere."""

    arch: ArchSpec
    name: str
    seed: int
    l_error_mm: float
    curve: tuple[float, ...]  # at each validation, mm
    source: str  # the folder or file that holds it
    first: bool = False  # one by which architectures are chosen to be run again

    def entry(self, proxy: Proxy, outputs: int) -> dict[str, Any]:
        """The `job` attribute of its trial; outputs: of the networks whose costs are counted."""
        return {
            "role": "known",
            "round": 0,
            "arch": self.arch.to_dict(),
            "name": self.name,
            "seed": self.seed,
            "fidelity": proxy.id,
            "epochs": proxy.epochs,
            "intervals": proxy.validations,
            "macs": self.arch.macs(outputs=outputs),
            "params": self.arch.params(outputs),
            "activations": self.arch.activations(),
            "by": self.source,
        }


@dataclass(frozen=True, slots=True)
class Source:
    """All that one --warm-start gives: runs at the fidelity, and the fingerprint of the data behind them."""

    path: str
    data: str
    runs: tuple[KnownRun, ...]


def read(path: str, proxy: Proxy, feasible: FeasibleSet) -> Source:
    """The runs of a run directory or of a table's file; ValueError where none is of use here."""
    if Path(path).is_dir():
        data, found, fidelities = _of_a_search(Path(path), proxy)
    elif Path(path).is_file():
        data, found, fidelities = _of_a_table(Path(path), proxy)
    else:
        raise ValueError(f"--warm-start {path}: there is neither a run directory nor a table of runs")
    if not found:
        there = ", ".join(sorted(fidelities)) or "none"
        raise ValueError(
            f"--warm-start {path} has no complete run of {proxy.id}, this search's proxy (there: {there}); "
            "only runs under the same settings compare"
        )
    inside = tuple(_fair([run for run in found if run.arch in feasible]))
    if not inside:
        raise ValueError(
            f"--warm-start {path} has no architecture of this search's set: {found[0].arch.id} has "
            f"{feasible.macs(found[0].arch) / 1e9:.3f} GFLOPs; give the same --budget and space"
        )
    return Source(path, data, inside)


def _of_a_search(path: Path, proxy: Proxy) -> tuple[str, list[KnownRun], set[str]]:
    """Its complete runs at the fidelity; what it knew before it began is among them."""
    records = [r for r in Store.open(path).records() if r.l_error_mm is not None]
    control = {r.arch.id for r in records if r.role == "control"}
    runs = [
        KnownRun(
            r.arch, r.name, r.seed, r.l_error_mm, tuple(v for _, v in r.curve), str(path),
            first=r.role == "proposal" or (r.role == "known" and r.arch.id not in control),
        )
        for r in records
        if r.fidelity == proxy.id and r.l_error_mm is not None
    ]  # fmt: skip
    data = RunDir(path).read().get("data", {}).get("fingerprint", "")
    return data, runs, {r.fidelity for r in records}


def _of_a_table(path: Path, proxy: Proxy) -> tuple[str, list[KnownRun], set[str]]:
    """A table's longer runs are those of the longer proxy; an ensemble's are no network's."""
    rows = [r for r in table_rows.read(path) if is_complete(r)]
    own = [r for r in rows if proxy.is_longer(r["proxy"], r["length"])]
    if len(kinds := sorted({r["data"] for r in own})) > 1:
        raise ValueError(f"--warm-start {path} mixes runs on different data: {', '.join(kinds)}")
    runs = [
        KnownRun(
            ArchSpec.from_dict(r["arch"]), "", r["seed"], r["l_error_mm"],
            tuple(point["l_error_mm"] for point in r["curve"]), str(path), r["role"] in FIRST,
        )
        for r in own
    ]  # fmt: skip
    return own[0]["data"] if own else "", runs, {_fidelity(r) for r in rows}


def _fidelity(row: Row) -> str:
    return row["proxy"] + (f" x{row['length']:g}" if row["length"] != 1 else "")


def _fair(runs: Sequence[KnownRun]) -> list[KnownRun]:
    """Where an architecture was run again, its first run was chosen for being low and is left out."""
    again = {run.arch.id for run in runs if not run.first}
    return [run for run in runs if not (run.first and run.arch.id in again)]


def enter(store: Store, sources: Sequence[Source], proxy: Proxy, data: str, outputs: int = OUTPUTS) -> None:
    """Write what is known into the store, once; RunError where it was trained on other data."""
    for source in sources:
        if source.data != data:
            raise RunError(
                f"--warm-start {source.path} was trained on other data ({source.data or 'not said which'}) "
                f"than this search ({data}): its errors say nothing here"
            )
    there = {(r.arch.id, r.seed) for r in store.records(KNOWN)}
    with store.batch():
        for run in _fair([run for source in sources for run in source.runs]):
            if (run.arch.id, run.seed) not in there:
                there.add((run.arch.id, run.seed))
                store.add_known(run.entry(proxy, outputs), run.l_error_mm, run.curve)
