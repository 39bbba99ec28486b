"""One training run of a table: train, validate, score on people whom nothing was chosen by, describe.

A row holds the architecture, what was asked (role, seed, length), the whole curve, the final L_error of
every validation person and of every person of the test set (mm, to 0.01), the costs by counting, seconds,
hardware and versions. Seconds are those of a machine that may have been busy: they are no benchmark.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from proxy_tasks.backbone import build_model
from proxy_tasks.bench.rows import Row
from proxy_tasks.engine import Epoch, Outcome, fit, hardware, predictor
from proxy_tasks.jmlr.feed import Feed
from proxy_tasks.jmlr.task import SPLIT_SEED, JmlrTask
from proxy_tasks.proxy import Proxy
from proxy_tasks.split import pick_rows
from space.arch import ArchSpec

Predict = Callable[[torch.Tensor], torch.Tensor]
TEST_IMAGES = 2  # of each test person
OUTPUTS = 6100  # of the networks whose costs are counted


@dataclass(frozen=True, slots=True)
class Entry:
    """A run to be done. `key` names it in the table."""

    arch: ArchSpec
    role: str
    seed: int
    proxy: Proxy
    length: float = 1.0  # times the proxy's own
    partners: tuple[ArchSpec, ...] = ()  # of an ensemble: trained alike, outputs averaged

    @property
    def key(self) -> str:
        """Architectures, proxy, length and seed: what makes two runs the same."""
        archs = "+".join(arch.id for arch in (self.arch, *self.partners))
        return f"{archs}|{self.proxy.id}|x{self.length:g}|s{self.seed}"


def train(entry: Entry, data: Path, test: Path | None, device: str = "cpu") -> Row:
    """Train and score `entry` on `data`; the people of `test` are scored once, at the end."""
    proxy = entry.proxy if entry.length == 1 else entry.proxy.longer(entry.length)
    task = _task(data, proxy, device)
    start = time.perf_counter()
    trained = [_fitted(arch, task, entry.seed, device) for arch in (entry.arch, *entry.partners)]
    seconds = time.perf_counter() - start
    predict, outcome = trained[0]
    final, curve = outcome.final, [_point(epoch) for epoch in outcome.epochs]
    status = next((each.status for _, each in trained if each.status != "complete"), "complete")
    complete = status == "complete"
    if entry.partners:
        predict = _averaged([each for each, _ in trained])
        final, curve = task.evaluate(predict) if complete else {}, []
    row: Row = {
        "key": entry.key,
        "arch": entry.arch.to_dict(),
        "role": entry.role,
        "seed": entry.seed,
        "length": entry.length,
        "proxy": entry.proxy.id,
        "data": task.fingerprint,
        "status": status,
        "l_error_mm": final.get("l_error_mm"),
        "curve": curve,
        "people_mm": by_person(task, task.validation, predict) if complete else [],
        "seconds": round(seconds, 1),
        **_costs(entry),
        "hardware": hardware(device),
        "torch": torch.__version__,
    }
    if test is not None and complete:
        others = _everyone(test, proxy, device)
        row["test_data"] = others.fingerprint
        row["test_people_mm"] = by_person(others, others.validation, predict)
        row["test_l_error_mm"] = round(float(np.mean(row["test_people_mm"])), 4)
    return row


def _fitted(arch: ArchSpec, task: JmlrTask, seed: int, device: str) -> tuple[Predict, Outcome]:
    model = build_model(arch, task.outputs, seed=seed)
    outcome = fit(model, task, task.proxy, seed=seed, device=device)
    return predictor(model, task.device, task.proxy.precision), outcome


def _averaged(members: Sequence[Predict]) -> Predict:
    return lambda images: torch.stack([predict(images) for predict in members]).mean(0)


def _costs(entry: Entry) -> dict[str, int]:
    archs = (entry.arch, *entry.partners)
    return {
        "macs": sum(arch.macs(outputs=OUTPUTS) for arch in archs),
        "params": sum(arch.params(outputs=OUTPUTS) for arch in archs),
        "activations": sum(arch.activations(outputs=OUTPUTS) for arch in archs),
    }


def by_person(task: JmlrTask, feed: Feed, predict: Any) -> list[float]:
    """Mean L_error of each person of the feed, mm, people in the order of their names."""
    scores = task.image_scores(predict).l_error_mm
    names = np.asarray(task.cache.subjects)[feed.rows]
    return [round(float(scores[names == name].mean()), 2) for name in np.unique(names)]


def _point(epoch: Epoch) -> dict[str, float]:
    metrics = {name: round(value, 4) for name, value in epoch.metrics.items()}
    return {"epochs": epoch.epochs, "seconds": round(epoch.seconds, 2), **metrics}


@lru_cache(maxsize=4)
def _task(data: Path, proxy: Proxy, device: str) -> JmlrTask:
    return JmlrTask.open(data, proxy, device)


@lru_cache(maxsize=2)
def _everyone(data: Path, proxy: Proxy, device: str) -> JmlrTask:
    """A task that validates on all people of a data set: they took no part in training or choice."""
    task = JmlrTask.open(data, proxy, device)
    everyone = sorted(set(task.cache.subjects))
    rows = pick_rows(task.cache.subjects, everyone, SPLIT_SEED, max_frames=TEST_IMAGES)
    task.validation = Feed(task.cache, rows, task.device)
    return task
