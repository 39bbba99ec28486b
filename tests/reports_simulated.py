"""Searches that never trained: records with the shape of real ones, for the tests of reports.

The error of an architecture is a smooth function of where its multiply-adds go, plus seed noise; its curve
falls from the mean face's error to that value. Runs can be written through the store's own write path.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import numpy as np

from nas.record.run_dir import RunDir
from nas.record.store import REPEATS, Store, TrialRecord
from reports.run import Run
from space import REFERENCES, ArchSpec, Budget, FeasibleSet, Space

BASELINE_MM = 154.6
EPOCHS = 12
RUNGS = (3, 6)
NOISE_MM = 0.6
START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
SPACE = Space(max_depth=12, width_step=32, min_width=32)
BUDGET = Budget.parse("5.1GFLOPs")
INFO = {
    "command": "python -m nas.search --budget 5.1GFLOPs --proxy mini --out runs/simulated",
    "config": {"strategy": "random", "scheduler": "none", "trials": 64, "rounds": 1},
    "seed": 0,
    "versions": {"python": "3.11.2", "torch": "2.13.0", "optuna": "5.0.0", "ray": "2.60.0"},
    "commit": "0123abc",
    "data": {"path": "data/faces", "fingerprint": "f00d", "subjects": 240, "images": 1_440},
    "hardware": "CPU x 2",
    "baseline_l_error_mm": BASELINE_MM,
    "proxy": {"name": "mini", "resolution": 64, "epochs": EPOCHS},
    "budget": {"target": 5_100_000_000, "tolerance": 0.02},
    "space": SPACE.to_dict(),
}


@lru_cache(maxsize=1)
def feasible() -> FeasibleSet:
    return FeasibleSet(SPACE, BUDGET)


def true_error(arch: ArchSpec) -> float:
    """Smooth in the stage shares and the depth, least near a third of the FLOPs in C4; mm."""
    macs = np.array(list(arch.stage_macs().values())[1:5], dtype=float)
    share = macs / macs.sum()
    target = np.array([0.28, 0.27, 0.30, 0.15])
    return float(58 + 22 * ((share - target) ** 2).sum() + 0.02 * abs(sum(arch.depths) - 15))


def curve(final: float, rng: np.random.Generator, epochs: int = EPOCHS) -> tuple[tuple[float, float], ...]:
    """(epochs done, L_error mm): an exponential fall to `final` with small wiggles, ending on it."""
    at = np.arange(1, epochs + 1)
    fall = np.exp(-3.2 * at / epochs) - np.exp(-3.2)
    values = final + (BASELINE_MM - final) * fall + rng.normal(0, 0.8, epochs) * np.linspace(1, 0, epochs)
    return tuple((float(e), float(v)) for e, v in zip(at, values, strict=True))


def record(arch: ArchSpec, number: int, rng: np.random.Generator, **changes) -> TrialRecord:
    """One complete proposal; `changes` replace any field."""
    final = true_error(arch) + rng.normal(0, NOISE_MM)
    seconds = float(55 + 8 * rng.random())
    parts = {"v1_v2_mm": 0.26 * final, "v1_v3_mm": 0.26 * final, "v1_v4_x10_mm": 0.48 * final}
    made = TrialRecord(
        study="round1",
        number=number,
        role="proposal",
        round=1,
        arch=arch,
        name="",
        unit=None,
        feasible_id=None,
        seed=number,
        fidelity="mini-1a2b",
        macs=arch.macs(),
        params=arch.params(),
        activations=arch.activations(),
        state="complete",
        reason="",
        l_error_mm=final,
        curve=curve(final, rng),
        parts=parts | {"median_mm": 0.93 * final, "failed_share": 0.004},
        seconds=seconds,
        started=(START + timedelta(seconds=60 * number)).isoformat(),
        finished=(START + timedelta(seconds=60 * number + seconds)).isoformat(),
        hardware="CPU x 2",
    )
    return replace(made, **changes)


def ended(made: TrialRecord, how: str) -> TrialRecord:
    """The same trial stopped at a rung, failed, or still running."""
    rung = RUNGS[made.number % 2]
    kept = {"pruned": rung, "failed": made.number % 3, "running": 5}[how]
    reason = {"pruned": f"stopped at the rung of {rung} epochs", "running": ""}
    why = reason.get(how, "out of memory, also alone" if made.number % 2 else "diverged: loss is not finite")
    finished = "" if how == "running" else made.finished
    part = made.curve[:kept]
    return replace(
        made, state=how, reason=why, l_error_mm=None, curve=part, seconds=5.0 * kept, finished=finished
    )


def records(
    n: int,
    seed: int = 0,
    *,
    pruned: float = 0.0,
    failed: float = 0.0,
    running: int = 0,
    ties: bool = False,
    controls: int = 3,
    repeats: int = 3,
    better_by: float = 0.0,
) -> list[TrialRecord]:
    """`n` proposals with the given shares of endings, the control, and repeats of the three best."""
    rng = np.random.default_rng(seed)
    made = [record(arch, number, rng) for number, arch in enumerate(feasible().draw(n, rng))]
    if better_by:
        made = [shifted(each, -better_by) for each in made]
    if ties:
        made = [shifted(each, round(each.l_error_mm) - each.l_error_mm) for each in made]
    fate, middle = rng.random(n), np.median([true_error(each.arch) for each in made])
    for i in range(n):
        if fate[i] < failed:
            made[i] = ended(made[i], "failed")
        elif fate[i] < failed + pruned and made[i].l_error_mm > middle:
            made[i] = ended(made[i], "pruned")
        elif i >= n - running:
            made[i] = ended(made[i], "running")
    done = sorted((m for m in made if m.state == "complete"), key=lambda m: m.l_error_mm)
    extra = [
        record(
            REFERENCES["resnet34"], k, rng, role="control", name="resnet34", study=REPEATS, seed=k, round=0
        )
        for k in range(controls)
    ]
    for best in done[:3]:
        extra += [
            record(best.arch, len(extra) + k, rng, role="repeat", study=REPEATS, seed=100 + k, round=0)
            for k in range(repeats - 1)
        ]
    return made + [replace(each, number=i) for i, each in enumerate(extra)]


def shifted(made: TrialRecord, by: float) -> TrialRecord:
    """The same trial with another final error."""
    return replace(made, l_error_mm=made.l_error_mm + by, curve=tuple((e, v + by) for e, v in made.curve))


def run(n: int = 64, seed: int = 0, *, path: Path = Path("runs/simulated"), info=None, **endings) -> Run:
    """A run in memory."""
    return Run(path, INFO | (info or {}), tuple(records(n, seed, **endings)))


def write_run(path: Path, made: list[TrialRecord], info: dict | None = None) -> Path:
    """A run directory through the store's own write path: what a search would have left behind."""
    path.mkdir(parents=True)
    (path / "run.json").write_text(json.dumps(INFO | (info or {})))
    store = Store.connect(RunDir(path), None, write=True)
    for each in made:
        study = store.ensure_study(each.study)
        trial = store.storage.create_new_trial(study)
        store.begin(trial, job(each))
        for epoch, value in each.curve:
            store.report(trial, int(epoch), value)
        if each.state != "running":
            store.finish(
                trial,
                each.state,
                l_error_mm=each.l_error_mm,
                reason=each.reason,
                parts=each.parts,
                seconds=each.seconds,
                hardware=each.hardware,
            )
    return path


def job(made: TrialRecord) -> dict:
    """What the driver writes of a trial before it trains."""
    return {
        "role": made.role,
        "round": made.round,
        "arch": made.arch.to_dict(),
        "name": made.name,
        "unit": made.unit,
        "feasible_id": made.feasible_id,
        "seed": made.seed,
        "fidelity": made.fidelity,
        "macs": made.macs,
        "params": made.params,
        "activations": made.activations,
        "epochs": EPOCHS,
        "intervals": EPOCHS,
    }
