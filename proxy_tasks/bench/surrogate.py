"""What an architecture that nobody trained would score: a model fitted to a table, with its error told.

    gp       a Gaussian process over the logarithms of depths and widths: a smooth trend (Matern 5/2, one
             length for all, so that little is fitted to few noisy runs) and noise, that of the seeds known
             for each architecture by its number of runs
    forest   extremely randomised trees over these, each stage's share of the multiply-adds, and the
             logarithms of all blocks, parameters and activations

`out_of_sample` judges either on architectures that it was not fitted to; `python -m proxy_tasks.bench
surrogate` prints that. tests/test_bench_table.py
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy_tasks.bench.table import Floats, RunTable
from space.arch import ArchSpec
from space.cost import ACTIVATIONS, MACS, PARAMS, part_costs
from space.feasible import FeasibleSet

KINDS = ("gp", "forest")
FEATURES = (
    *(f"log_d{i}" for i in range(1, 5)),
    *(f"log_w{i}" for i in range(1, 5)),
    *(f"share{i}" for i in range(1, 5)),
    "log_blocks",
    "log_params",
    "log_activations",
)
LEAST = 12  # architectures; with fewer a model says nothing


def log_sizes(rows: NDArray[np.int64]) -> Floats:
    """(n, 8) depths and widths -> their logarithms, the first of FEATURES."""
    return np.log(np.asarray(rows, dtype=np.float64))


def features(rows: NDArray[np.int64], block: str = "basic") -> Floats:
    """(n, 8) depths and widths -> (n, 15), in the order of FEATURES; some 0.3 s for 100,000."""
    rows = np.asarray(rows, dtype=np.int64)
    macs = part_costs(block, rows, MACS)
    whole = sum(macs.values(), np.zeros(len(rows)))
    stages = [cost for name, cost in macs.items() if name.startswith("layer")]
    shares = np.stack([cost / whole for cost in stages], axis=1)
    params = sum(part_costs(block, rows, PARAMS).values(), np.zeros(len(rows)))
    activations = sum(part_costs(block, rows, ACTIVATIONS).values(), np.zeros(len(rows)))
    totals = np.stack([rows[:, :4].sum(axis=1), params, activations], axis=1)
    return np.concatenate([log_sizes(rows), shares, np.log(totals)], axis=1)


@dataclass(frozen=True, slots=True)
class Surrogate:
    """Predicts the mean curve of an architecture, mm, and the seconds of its run."""

    kind: str
    curve: Any  # of scikit-learn
    seconds: Any
    block: str

    @classmethod
    def fit(cls, table: RunTable, kind: str = "gp", seed: int = 0) -> Surrogate:
        """ValueError below LEAST architectures."""
        if kind not in KINDS:
            raise ValueError(f"a surrogate is one of {', '.join(KINDS)}, not {kind!r}")
        _require_enough(table)
        block = table.archs[0].block
        everyone = np.arange(len(table.archs))
        seconds = _linear(features(table.rows, block), np.log(table.seconds))
        return cls(kind, _fitted(kind, table, table.means, everyone, seed), seconds, block)

    def curves(self, rows: NDArray[np.int64]) -> Floats:
        """(n, 8) -> (n, v) mm."""
        if self.kind == "forest":
            return self._votes(rows).mean(axis=0)
        return np.asarray(self.curve.predict(log_sizes(rows))).reshape(len(rows), -1)

    def spread(self, rows: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Final error and how unsure the model is of it, (n,) each, mm."""
        if self.kind == "gp":
            mean, sd = expected_with_sd(self.curve, log_sizes(rows))
            return mean[:, -1], sd[:, -1]
        votes = self._votes(rows)[:, :, -1]
        return votes.mean(axis=0), votes.std(axis=0)

    def _votes(self, rows: NDArray[np.int64]) -> Floats:
        """(n, 8) -> (trees, n, v) mm.

        Of the trees themselves: the forest's own `predict` spends 90 ms on checks, whatever n is.
        """
        small = np.ascontiguousarray(features(rows, self.block), dtype=np.float32)
        return np.array([t.tree_.predict(small).reshape(len(rows), -1) for t in self.curve.estimators_])

    def run_seconds(self, rows: NDArray[np.int64]) -> Floats:
        """(n, 8) -> (n,) seconds of a whole run."""
        return np.exp(self.seconds.predict(features(rows, self.block)))


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a surrogate expects the control among uniform draws, mm, each with how unsure it is."""

    draws: int
    best_mm: tuple[float, float]  # of the draw of least expected error
    control_mm: tuple[float, float]
    below: float  # share of draws that are expected to err less than the control

    @classmethod
    def of(
        cls, surrogate: Surrogate, feasible: FeasibleSet, control: ArchSpec, draws: int = 20_000
    ) -> Standing:
        """The least of many expectations is itself a little lucky: its deviation says how much."""
        rows = feasible.draw_array(draws, np.random.default_rng(0))
        mean, sd = surrogate.spread(np.concatenate([[[*control.depths, *control.widths]], rows]))
        best = 1 + int(np.argmin(mean[1:]))
        return cls(
            draws,
            (float(mean[best]), float(sd[best])),
            (float(mean[0]), float(sd[0])),
            float(np.mean(mean[1:] < mean[0])),
        )


def _require_enough(table: RunTable) -> None:
    if len(table.archs) < LEAST:
        raise ValueError(f"a surrogate needs {LEAST} architectures or more, not {len(table.archs)}")


def _inputs(kind: str, table: RunTable) -> Floats:
    return log_sizes(table.rows) if kind == "gp" else features(table.rows, table.archs[0].block)


def _fitted(kind: str, table: RunTable, y: Floats, at: NDArray[np.int64], seed: int) -> Any:
    """A model of y (n, v), one row for each architecture, fitted to those `at` alone."""
    x = _inputs(kind, table)[at]
    if kind == "forest":
        return _forest(x, y[at], seed)
    noise = np.nan_to_num(table.run_sd()[0]) ** 2 / table.counts
    return gaussian_process(x, y[at], noise[at], seed)


def gaussian_process(
    x: Floats, y: Floats, noise: Floats, seed: int = 0, restarts: int = 1, kernel: Any = None
) -> Any:
    """x (n, p), y (n, v), noise (n,) the known variance of each row. Of scikit-learn, its inputs scaled.

    The kernel is fitted to the last column, the one that is asked for, and serves all; one that is given is
    kept as it is.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    alpha = 1e-6 + noise / max(float(y[:, -1].var()), 1e-12)
    if kernel is None:
        trend = ConstantKernel(1.0, (1e-2, 1e2)) * Matern(3.0, (1.0, 30.0), nu=2.5)
        search = GaussianProcessRegressor(
            trend + WhiteKernel(0.1, (1e-4, 1.0)), alpha=alpha, normalize_y=True,
            n_restarts_optimizer=restarts, random_state=seed,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # at a bound: no trend or no noise
            kernel = search.fit(StandardScaler().fit_transform(x), y[:, -1]).kernel_
    final = GaussianProcessRegressor(kernel, alpha=alpha, normalize_y=True, optimizer=None)
    return make_pipeline(StandardScaler(), final).fit(x, y)


def expected_with_sd(model: Any, x: Floats) -> tuple[Floats, Floats]:
    """x (n, p) -> (n, v) what a Gaussian process expects, and how unsure it is of that, seed noise left out.

    scikit-learn's deviation is that of one more noisy run.
    """
    mean, sd = (np.reshape(each, (len(x), -1)) for each in model.predict(x, return_std=True))
    process = model[-1]
    white = getattr(process.kernel_, "k2", None)
    noise = getattr(white, "noise_level", 0.0) * np.square(np.ravel(process._y_train_std))
    return mean, np.sqrt(np.maximum(np.square(sd) - noise, 0.0))


def _forest(x: Floats, y: Floats, seed: int) -> Any:
    from sklearn.ensemble import ExtraTreesRegressor

    y = y[:, 0] if y.shape[1] == 1 else y
    return ExtraTreesRegressor(200, min_samples_leaf=2, max_features=0.5, random_state=seed).fit(x, y)


def _linear(x: Floats, y: Floats) -> Any:
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), Ridge(1.0)).fit(x, y)


@dataclass(frozen=True, slots=True)
class OutOfSample:
    """How far a surrogate is off on architectures that it was not fitted to."""

    kind: str
    n: int
    rmse_mm: float
    constant_mm: float  # the same of the mean of all, which knows no architecture
    tau: float  # Kendall's, of predicted against recorded means, both from the mean of what was fitted to
    seconds_error: float  # median relative error of the seconds


def out_of_sample(
    table: RunTable, kind: str, folds: int = 10, seed: int = 0, validations: int = 0
) -> OutOfSample:
    """By cross-validation over architectures.

    With `validations` the first ones of its own run are known too: a model is then of what a straight line
    through them leaves.
    """
    from scipy.stats import kendalltau
    from sklearn.model_selection import KFold

    _require_enough(table)
    y, early, sizes = table.means[:, -1:], table.means[:, :validations], _inputs("forest", table)
    predicted, seconds, constant = np.empty(len(y)), np.empty(len(y)), np.empty(len(y))  # constant: of a fold
    for fit, held in KFold(min(folds, len(y)), shuffle=True, random_state=seed).split(y):
        line = _linear(early[fit], y[fit, 0]).predict(early)[:, None] if validations else y[fit].mean()
        model = _fitted(kind, table, y - line, fit, seed)
        found = np.reshape(model.predict(_inputs(kind, table)), (-1, 1)) + line
        predicted[held] = found[held, 0]
        seconds[held] = np.exp(_linear(sizes[fit], np.log(table.seconds[fit])).predict(sizes[held]))
        constant[held] = y[fit].mean()
    return OutOfSample(
        kind=kind,
        n=len(y),
        rmse_mm=float(np.sqrt(np.mean((predicted - y[:, 0]) ** 2))),
        constant_mm=float(np.sqrt(np.mean((constant - y[:, 0]) ** 2))),
        # a fold's mean is high where what it holds out is low: with it, no skill at all has a tau of -0.3
        tau=float(kendalltau(predicted - constant, y[:, 0] - constant).statistic),
        seconds_error=float(np.median(np.abs(seconds / table.seconds - 1))),
    )


def part(table: RunTable, at: NDArray[np.int64]) -> RunTable:
    """Some of a table's architectures."""
    archs = tuple(table.archs[i] for i in at)
    return RunTable(
        table.proxy, table.data, table.length, archs, tuple(table.roles[i] for i in at),
        {a.id: table.curves[a.id] for a in archs}, table.chosen_by, table.epochs, table.seconds[at],
    )  # fmt: skip


def better_kind(table: RunTable, seed: int = 0) -> OutOfSample:
    """The kind of the lower error out of sample."""
    return min((out_of_sample(table, kind, seed=seed) for kind in KINDS), key=lambda found: found.rmse_mm)
