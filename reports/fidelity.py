"""Does a cheap measurement rank architectures as an expensive one does?

The cheap one may be an earlier epoch of the same run, a smaller proxy, or a score that trains nothing.
Agreement is Kendall's tau-b between the two, with the regret: what is lost in the expensive measure by
trusting the cheap one's favourite. tests/test_reports_fidelity.py checks tau against its definition and its
interval by simulation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from proxy_tasks.bench import rows as table_rows
from proxy_tasks.bench.scoring import by_architecture
from proxy_tasks.bench.views import KEPT, Study, study
from proxy_tasks.kind import Score
from reports.run import Run, one_score
from reports.tables import Column, Table, Value

if TYPE_CHECKING:
    from nas.record.store import TrialRecord
    from proxy_tasks.zero_cost import Batch

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Agreement:
    """Rank agreement of two measurements of n architectures; the regret is in the second one's unit."""

    n: int
    tau: float
    low: float | None  # none where four or fewer architectures, or a constant, leave no interval
    high: float | None
    regret: float


def agreement(cheap: ArrayLike, dear: ArrayLike, level: float = LEVEL) -> Agreement:
    """cheap, dear (n,): lower is better in both.

    tau-b (Kendall 1945) with the interval of Fieller, Hartley and Pearson (Biometrika 1957):
    atanh(tau) +- z sqrt(0.437 / (n - 4)).
    """
    cheap, dear = np.asarray(cheap, dtype=np.float64), np.asarray(dear, dtype=np.float64)
    n = cheap.size
    regret = float(dear[np.argmin(cheap)] - dear.min())
    if n < 2 or np.ptp(cheap) == 0 or np.ptp(dear) == 0:
        return Agreement(n, math.nan, None, None, regret)
    tau = float(stats.kendalltau(cheap, dear).statistic)
    if n <= 4:
        return Agreement(n, tau, None, None, regret)
    reach = stats.norm.ppf((1 + level) / 2) * math.sqrt(0.437 / (n - 4))
    middle = math.atanh(np.clip(tau, -1 + 1e-12, 1 - 1e-12))
    return Agreement(n, tau, math.tanh(middle - reach), math.tanh(middle + reach), regret)


def by_epoch(run: Run) -> Table:
    """How soon the learning curves of the complete proposals stand in their final order."""
    records = [r for r in run.complete if r.curve]
    epochs = sorted({epoch for r in records for epoch, _ in r.curve})
    rows = []
    for epoch in epochs:
        known = [(dict(r.curve)[epoch], r.l_error_mm) for r in records if epoch in dict(r.curve)]
        early, final = np.array(known, dtype=float).T
        rows.append({"epochs": epoch, **_row(agreement(early, final))})
    return Table.make("agreement_by_epoch", (Column("epochs", "Epochs", ".3g"), *_columns(_unit(run))), rows)


def between(cheap: Run, dear: Run) -> tuple[Table, NDArray[np.float64]]:
    """Architectures that two runs share: their agreement, and (n, 2) mean errors of each, mm.

    Each run at the proxy of its own proposals; ValueError where no architecture is shared.
    """
    own = [[r for r in run.records if r.fidelity == run.fidelity] for run in (cheap, dear)]
    score = one_score((cheap, dear))
    return _between((cheap.name, mean_errors(own[0])), (dear.name, mean_errors(own[1])), score.unit)


def between_fidelities(run: Run) -> tuple[Table, NDArray[np.float64]] | None:
    """The same of one search that raced its best at a second proxy; None where it has one proxy only."""
    fidelities = list(dict.fromkeys(r.fidelity for r in run.records if r.state == "complete"))
    if len(fidelities) < 2:
        return None
    kinds = [
        (name, [r for r in run.records if r.fidelity == name]) for name in (fidelities[0], fidelities[-1])
    ]
    first, second = ((name, mean_errors(records)) for name, records in kinds)
    return _between(first, second, _unit(run))


def _between(
    first: tuple[str, Mapping[str, float]], second: tuple[str, Mapping[str, float]], unit: str
) -> tuple[Table, NDArray[np.float64]]:
    (cheap_name, cheap), (dear_name, dear) = first, second
    shared = [arch for arch in cheap if arch in dear]
    if not shared:
        raise ValueError(f"{cheap_name} and {dear_name} have no finished architecture in common")
    pairs = np.array([(cheap[arch], dear[arch]) for arch in shared])
    row = {"cheap": cheap_name, "dear": dear_name, **_row(agreement(*pairs.T))}
    columns = (Column("cheap", "Cheap"), Column("dear", "Dear"), *_columns(unit))
    return Table.make("agreement_between", columns, [row]), pairs


def mean_errors(records: Sequence[TrialRecord]) -> dict[str, float]:
    """Mean error of the complete runs of each architecture, mm, by its id."""
    groups: dict[str, list[float]] = {}
    for record in records:
        if record.l_error_mm is not None:
            groups.setdefault(record.arch.id, []).append(record.l_error_mm)
    return {arch: float(np.mean(errors)) for arch, errors in groups.items()}


def zero_cost(run: Run, batch: Batch | None = None, most: int = 64) -> Table:
    """Scores that train nothing against the final error, higher taken for better; `batch` adds a network's.

    At most `most` architectures, evenly spread over the ranking, as each costs a few forward passes.
    """
    ranked = sorted(run.complete, key=lambda r: (r.l_error_mm, r.arch.id))
    at = np.unique(np.linspace(0, len(ranked) - 1, min(most, len(ranked))).round().astype(int))
    chosen = [ranked[i] for i in at]
    counted: dict[str, Callable[[TrialRecord], float]] = {
        "macs": lambda r: r.macs,
        "params": lambda r: r.params,
        "activations": lambda r: r.activations,
        "depth": lambda r: sum(r.arch.depths),
    }
    scores = {name: np.array([get(r) for r in chosen], dtype=float) for name, get in counted.items()}
    if batch is not None:
        from proxy_tasks.zero_cost import zero_cost_scores

        found = [zero_cost_scores(r.arch, batch) for r in chosen]
        scores |= {
            name: np.array([each[name] for each in found]) for name in ("grad_norm", "naswot", "log_synflow")
        }
    final = np.array([r.l_error_mm for r in chosen])
    rows = [{"score": name, **_row(agreement(-values, final))} for name, values in scores.items()]
    return Table.make("agreement_zero_cost", (Column("score", "Score"), *_columns(_unit(run))), rows)


def of_table(*files: str, scores: str | None = None) -> tuple[Table, Study]:
    """Every cheap view of a table of trained networks: `python -m proxy_tasks.fidelity`, as a table.

    files, scores  what `build` and `score` of proxy_tasks.bench wrote
    """
    read = table_rows.read(*map(Path, files))
    told = by_architecture(table_rows.read(Path(scores))) if scores else None
    found, unit = study(read, told), Score.of(read[0]).unit
    rows = [
        {
            "view": each.view.name + (" *" if each.view.same_run else ""),
            "cost": 100 * each.view.seconds / found.seconds,
            "n": each.n,
            **dict(zip(("tau", "low", "high"), each.tau, strict=True)),
            **{f"regret{k}": one[0] for k, one in zip(KEPT, each.regrets, strict=True)},
            **{f"to{k}": one[2] for k, one in zip(KEPT, each.regrets, strict=True)},
        }
        for each in found.judged
    ]
    kept = [
        column
        for k in KEPT
        for column in (
            Column(f"regret{k}", _with_unit(f"Regret@{k}", unit), ".2f"),
            Column(f"to{k}", "to", ".2f"),
        )
    ]
    columns = (Column("view", "View"), Column("cost", "Cost (%)", ".1f"), *_columns(unit)[:4], *kept)
    return Table.make("agreement_of_views", columns, rows), found


def first_batch(run: Run, size: int = 32) -> Batch:
    """The first training images of the search's own data under its own proxy, for `zero_cost`."""
    from proxy_tasks.kind import find_kind
    from proxy_tasks.proxy import Proxy
    from proxy_tasks.zero_cost import Batch

    where = run.info.get("data", {}).get("path")
    if not where:
        raise ValueError(f"{run.path} names no data folder to take images from")
    kind = find_kind((run.info.get("config") or {}).get("task"))
    return Batch.of(kind.open(where, Proxy.from_dict(run.info["proxy"])), size)


def _unit(run: Run) -> str:
    """Of the run's errors; '' for a plain number."""
    return Score.of(run.info).unit


def _with_unit(words: str, unit: str) -> str:
    return f"{words} ({unit})" if unit else words


def _columns(unit: str) -> tuple[Column, ...]:
    return (
        Column("n", "n", "d"),
        Column("tau", "Kendall's tau", "+.2f"),
        Column("low", "from", "+.2f"),
        Column("high", "to", "+.2f"),
        Column("regret", _with_unit("Regret", unit), ".2f"),
    )


def _row(found: Agreement) -> dict[str, Value]:
    return {"n": found.n, "tau": found.tau, "low": found.low, "high": found.high, "regret": found.regret}
