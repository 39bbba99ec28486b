"""What one full training run leaves on disk, kept right through kills.

    checkpoint.pt   the state to resume from (engine; the one before as .previous)
    best.pt         weights of the epoch with the least validation L_error, and their hash
    history.csv     one row an epoch
    metrics.json    what was trained, how far, and how well; the hash of the weights that scored so
    tensorboard/    the same curves

The engine writes the checkpoint first and reports the epoch after it, so a kill
between the two leaves an epoch that only the checkpoint knows: `catch_up` adds
it before the run goes on. Rows behind the checkpoint are written again.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nas.record.run_dir import RunError
from proxy_tasks import checkpoint as checkpoints
from proxy_tasks.engine import Epoch
from proxy_tasks.locks import HeldError, locked
from space.files import write_json, write_whole

Row = dict[str, float]


@dataclass(frozen=True, slots=True)
class RetrainFolder:
    """Paths and files of one run; `trainval` runs have no validation, so their best epoch is the last."""

    path: Path
    trainval: bool = False

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint.pt"

    @property
    def best(self) -> Path:
        return self.path / "best.pt"

    @property
    def history(self) -> Path:
        return self.path / "history.csv"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.json"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one to train here; RunError where another process does."""
        self.path.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(self.path / "lock"))
            except HeldError as error:
                raise RunError(
                    f"{self.path} is being trained by another process ({error.holder}): wait for it to end"
                ) from None
            yield

    def rows(self) -> list[Row]:
        """history.csv as numbers, in order; empty where there is none."""
        if not self.history.exists():
            return []
        with self.history.open(newline="") as file:
            rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
        return [{**row, "epoch": int(row["epoch"])} for row in rows]

    def add(self, epoch: Epoch, state: dict[str, Tensor], about: dict[str, Any]) -> None:
        """Record an epoch: its row, the curves, and the weights where it is the best so far."""
        rows = [row for row in self.rows() if row["epoch"] < epoch.number] + [as_row(epoch)]
        if self.best_row(rows) is rows[-1]:
            contents = {"about": about, "epoch": epoch.number, "metrics": epoch.metrics, "model": state}
            checkpoints.save(self.best, {**contents, "sha256": weights_hash(state)})
        self._write_rows(rows)
        self._plot(epoch)

    def catch_up(self, about: dict[str, Any]) -> int:
        """Record what the checkpoint knows and the history does not; the number of epochs done."""
        state = checkpoints.load(self.checkpoint)
        if state is None:
            return 0
        epochs = [Epoch(**values) for values in state["history"]]
        known = {row["epoch"] for row in self.rows()}
        for epoch in epochs[:-1]:
            if epoch.number not in known:
                self._write_rows(sorted([*self.rows(), as_row(epoch)], key=lambda row: row["epoch"]))
        if epochs and (epochs[-1].number not in known or not self.best.exists()):
            self.add(epochs[-1], _scored_weights(state), about)
        return len(epochs)

    def best_row(self, rows: list[Row]) -> Row | None:
        """The first row of least validation L_error, or the last row of a run without validation."""
        if self.trainval or not rows:
            return rows[-1] if rows else None
        return min(rows, key=lambda row: row["l_error_mm"])

    def summarise(self, about: dict[str, Any], status: str, reason: str = "") -> dict[str, Any]:
        """Write metrics.json from the history; returns it."""
        rows = self.rows()
        best, final = self.best_row(rows), rows[-1] if rows else None
        seconds = sum(row["seconds"] for row in rows)
        summary = {**about, "status": status, "reason": reason, "epochs": len(rows), "seconds": seconds}
        summary |= {"best": best and dict(best) | self._weights_of(best), "final": final}
        write_json(self.metrics, summary)
        return summary

    def _weights_of(self, best: Row) -> dict[str, Any]:
        """The hash of the weights that best.pt holds, where they are those of this epoch."""
        try:
            saved = torch.load(self.best, map_location="cpu", weights_only=True, mmap=True)
        except Exception:  # absent or damaged in any way: their reader will say so
            return {}
        return {"weights_sha256": saved["sha256"]} if saved.get("epoch") == best["epoch"] else {}

    def _write_rows(self, rows: list[Row]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[-1]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_whole(self.history, text.getvalue())

    def _plot(self, epoch: Epoch) -> None:
        from tensorboardX import SummaryWriter

        with SummaryWriter(str(self.path / "tensorboard"), purge_step=epoch.number) as writer:
            for name, value in epoch.metrics.items():
                writer.add_scalar(name, value, epoch.number)


def _scored_weights(state: dict[str, Any]) -> dict[str, Tensor]:
    """Of a checkpoint: the average of a run that scores that, else the weights that are trained."""
    averaged = state.get("average")
    if averaged is None:
        return dict(state["model"])
    inside = "module."  # where torch's average keeps the network
    return {name.removeprefix(inside): t for name, t in averaged.items() if name.startswith(inside)}


def weights_hash(state: dict[str, Tensor]) -> str:
    """SHA-256 of names and values, whatever file they lie in."""
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        digest.update(name.encode() + value.contiguous().numpy().tobytes())
    return digest.hexdigest()


def as_row(epoch: Epoch) -> Row:
    """A row of history.csv: number, passes over the images so far, metrics, seconds."""
    return {"epoch": epoch.number, "epochs_trained": epoch.epochs, **epoch.metrics, "seconds": epoch.seconds}
