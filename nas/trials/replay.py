"""A training run read from a table of trained networks: a search in seconds, on results that are real.

    python -m nas.search --budget 1.2GFLOPs --proxy cpu-1.2G --trials 48 --launcher inprocess \
        --objective nas.trials.replay:Replay --objective-args '{"rows": ["docs/evidence/cpu-1.2G.jsonl"]}'

An architecture of the table gives the recorded curve of that seed, or for another seed its mean with what
seeds do to all architectures alike and with the deviations of a recorded run (proxy_tasks/bench/table.py);
any other the surrogate's curve (proxy_tasks/bench/surrogate.py) with the same two. With `simulated` the
surrogate's curve is the truth of all of them, so that what a search answers can be judged by it. All are
whole curves, from the first validation to the last. Seconds are recorded ones or those of a cost model, and
nothing waits for them. A surrogate is smoother than the truth: what a search finds here is as good as
`python -m proxy_tasks.bench surrogate` says, and no result of its own.
tests/test_trials_replay.py
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from nas.trials.trial import Facts
from proxy_tasks.bench import rows as table_rows
from proxy_tasks.bench.surrogate import Surrogate
from proxy_tasks.bench.table import Floats, RunTable
from proxy_tasks.engine import Epoch, Outcome
from proxy_tasks.proxy import Proxy
from space import ArchSpec


class Replay:
    """The objective of nas/trials/trial.py without training. `rows`: the table's files."""

    def __init__(self, rows: str | Sequence[str], kind: str = "gp", simulated: bool = False) -> None:
        self._files = (rows,) if isinstance(rows, str) else tuple(rows)
        self._kind, self._simulated = kind, simulated
        for file in self._files:
            if not Path(file).is_file():
                raise ValueError(
                    f"there is no table of runs at {file}: give the files of proxy_tasks.bench build"
                )

    def facts(self, proxy: Proxy, *, progress: bool = False) -> Facts:
        """Of the data that the table was trained on; ValueError where it holds no runs of this length."""
        table, _ = self._at(proxy)
        return Facts(", ".join(self._files), table.data, 0, 0, 6100, {})

    def hardware(self) -> str:
        """What the record calls the device."""
        return "replayed"

    def run(
        self,
        spec: ArchSpec,
        seed: int,
        proxy: Proxy,
        checkpoint: Path,
        report: Callable[[Epoch], bool],
    ) -> Outcome:
        """Report the curve of `spec`, validation by validation; there is nothing to take up again."""
        curve, seconds = self.curve(spec, seed, proxy)
        epochs: list[Epoch] = []
        for number, value in enumerate(curve, start=1):
            done = number * proxy.epochs / len(curve)
            epochs.append(Epoch(number, done, {"l_error_mm": float(value)}, seconds / len(curve)))
            if not report(epochs[-1]) and number < len(curve):
                return Outcome("stopped", f"stopped after {number} of {len(curve)} intervals", tuple(epochs))
        return Outcome("complete", "", tuple(epochs))

    def curve(self, spec: ArchSpec, seed: int, proxy: Proxy) -> tuple[Floats, float]:
        """(validations,) mm of a run of `spec`, and the seconds of the whole."""
        table, surrogate = self._at(proxy)
        _require_block(spec, surrogate)
        row = np.array([[*spec.depths, *spec.widths]])
        place = next((i for i, arch in enumerate(table.archs) if arch.id == spec.id), None)
        known = {} if self._simulated else table.curves.get(spec.id, {})
        if seed in known:
            found = known[seed]
        else:
            mean = surrogate.curves(row)[0] if place is None or self._simulated else table.means[place]
            found = mean + _effect(table, seed) + _deviation(table, spec, seed)
        seconds = float(surrogate.run_seconds(row)[0] if place is None else table.seconds[place])
        at = np.arange(1, proxy.validations + 1) / proxy.validations
        return np.interp(at, table.epochs / table.epochs[-1], found), seconds

    def expected_mm(self, spec: ArchSpec, proxy: Proxy) -> float:
        """The final error without seed noise, by the surrogate: the truth of a `simulated` replay."""
        _, surrogate = self._at(proxy)
        _require_block(spec, surrogate)
        return float(surrogate.curves(np.array([[*spec.depths, *spec.widths]]))[0, -1])

    def _at(self, proxy: Proxy) -> tuple[RunTable, Surrogate]:
        return _read(self._files, self._kind, proxy.epochs)


def _effect(table: RunTable, seed: int) -> Floats:
    """What a seed adds to all curves: its own where the table knows it, else another's, of either sign."""
    pool = table.seed_effects()
    if not len(pool):
        return np.zeros_like(table.epochs)
    known = table.blocks.effects if table.blocks else {}
    return table.effect(seed) if seed in known else _picked(pool, f"{seed}")


def _deviation(table: RunTable, spec: ArchSpec, seed: int) -> Floats:
    """What is a run's own: that of a recorded one, of either sign."""
    pool = table.deviations()
    return _picked(pool, f"{spec.id}/{seed}") if len(pool) else np.zeros_like(table.epochs)


def _picked(pool: Floats, name: str) -> Floats:
    """A row of the pool, by a hash of the name, so that every process picks the same."""
    digest = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    found: Floats = pool[digest % len(pool)] * (1 if digest >> 32 & 1 else -1)
    return found


def _require_block(spec: ArchSpec, surrogate: Surrogate) -> None:
    if spec.block != surrogate.block:
        raise ValueError(f"the table is of {surrogate.block} blocks and tells nothing of {spec.block} ones")


@lru_cache(maxsize=8)
def _read(files: tuple[str, ...], kind: str, epochs: int) -> tuple[RunTable, Surrogate]:
    """The runs of so many epochs, and the model of them; once a process."""
    rows = [r for r in table_rows.read(*map(Path, files)) if r["curve"]]
    lengths = sorted({float(r["length"]) for r in rows if round(r["curve"][-1]["epochs"]) == epochs})
    if not lengths:
        there = ", ".join(str(n) for n in sorted({round(r["curve"][-1]["epochs"]) for r in rows})) or "no"
        raise ValueError(
            f"the table holds runs of {there} epochs and the proxy has {epochs}: give --proxy the one that "
            "the table was trained with"
        )
    table = RunTable.of(rows, lengths[0])
    return table, Surrogate.fit(table, kind)
