"""The work behind `python -m nas.ensemble`: predict, choose, score, write."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nas.ensemble.greedy import Blend, compute, greedy, halves, require_affordable
from nas.ensemble.table import TableRow, subject_interval, table_row, to_csv, to_markdown
from nas.files import scratch_folder
from nas.predict.inference import Predictor
from nas.predict.npz_stream import mapped_array
from nas.retrain.trained import Member, open_samples, require_alike, require_members, titles
from proxy_tasks.engine import hardware, resolve_device
from proxy_tasks.kind import Score
from proxy_tasks.predicting import Asked, OpenSamples, SampleScores
from proxy_tasks.progress import bar
from proxy_tasks.split import SPLIT_SEED, pick_rows
from space.files import write_whole
from space.telling import doing

CHUNK = 1024  # images scored at once
ENSEMBLE, MEAN = "Ensemble (greedy)", "Mean of all members"


@dataclass(frozen=True, slots=True)
class Settings:
    """flip averaging; images a subject to select on (0: all); seed of the halves; most multiply-adds."""

    flip: bool = True
    frames: int = 200
    seed: int = 0
    cap: int | None = None

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"--seed is 0 or more, not {self.seed}")
        if self.frames < 0:
            raise ValueError(f"--frames is a number of images a subject, or 0 for all, not {self.frames}")


class Predictions:
    """Every member's answers to the same samples, in files mapped into memory."""

    def __init__(self, samples: OpenSamples, arrays: Sequence[np.ndarray], device: torch.device):
        """arrays (n, *shape) float32, of each member."""
        self.samples, self.arrays, self.device = samples, arrays, device
        self.subjects = samples.subjects

    def score(self, draws: Sequence[int], positions: np.ndarray) -> SampleScores:
        """Per-sample scores of the average of the drawn members on some of the samples."""
        parts: list[SampleScores] = []
        for chunk in np.array_split(positions, max(1, -(-len(positions) // CHUNK))):
            total = sum(self.arrays[i][chunk].astype(np.float64) for i in draws) / len(draws)
            parts.append(self.samples.scores(torch.from_numpy(total).to(self.device), chunk))
        return parts[0].concatenate(parts)

    def positions(self, people: Sequence[str], frames: int = 0) -> np.ndarray:
        """Positions of these people's images, at most `frames` of each, evenly spread."""
        return pick_rows(self.subjects, people, SPLIT_SEED, max_frames=frames or None)


def build(
    run: Path,
    settings: Settings,
    *,
    names: Sequence[str] = (),
    data: Path | None = None,
    device: str = "auto",
    progress: bool = True,
) -> Path:
    """Choose, score and write an ensemble of the run's members; the folder of what was written."""
    members = require_members(run, names)
    require_alike(members)
    require_affordable([member.macs for member in members], settings.cap)
    asked = Asked(str(data or members[0].record["data"]), "val", members, absent="few")
    samples = open_samples(asked, progress=progress)
    settings = replace(settings, flip=settings.flip and samples.mirrors)
    first, second = halves(samples.subjects.tolist(), settings.seed)
    folder = run / "ensemble"
    with scratch_folder(run, "predictions") as scratch:
        predictions = _predict(members, samples, scratch, settings.flip, device, progress)
        result = _choose(members, predictions, first, second, settings, progress)
        _write(folder, result)
    return folder


def _predict(
    members: Sequence[Member],
    samples: OpenSamples,
    scratch: Path,
    flip: bool,
    device: str,
    progress: bool,
) -> Predictions:
    arrays = []
    count = len(samples)
    with bar(count * len(members), "images", "predicting", show=progress) as shown:
        for i, member in enumerate(members):
            array = mapped_array(scratch / f"{i}.npy", (count, *samples.shape))
            done = 0
            for part in Predictor([member], [1], samples, device=device, flip=flip).stream(np.arange(count)):
                values = part.answers.cpu().numpy()
                array[done : done + len(values)] = values
                done += len(values)
                shown.update(len(values))
            arrays.append(array)
    return Predictions(samples, arrays, resolve_device(device))


@dataclass(frozen=True, slots=True)
class Result:
    """Everything that is written about an ensemble."""

    members: list[Member]
    blend: Blend
    settings: Settings
    table: list[TableRow]
    metrics: dict[str, Any]
    score: Score


def _choose(
    members: list[Member],
    predictions: Predictions,
    first: tuple[str, ...],
    second: tuple[str, ...],
    settings: Settings,
    progress: bool,
) -> Result:
    macs = [member.macs for member in members]
    selecting = predictions.positions(first, settings.frames)
    known: dict[tuple[int, ...], float] = {}
    score = Score.of(members[0].record)

    def error(draws: tuple[int, ...]) -> float:
        if draws not in known:
            with doing(f"scoring {_names(members, draws)}"):
                known[draws] = float(predictions.score(draws, selecting).l_error_mm.mean())
            if progress:
                print(f"  {known[draws]:9.3f} {score.unit}  {_names(members, draws)}", file=sys.stderr)
        return known[draws]

    blend = greedy(macs, error, cap=settings.cap)
    draws = tuple(i for i, weight in enumerate(blend.weights) for _ in range(weight))
    held_out = predictions.positions(second)
    people = predictions.subjects[held_out]
    everyone = tuple(range(len(members)))
    named: list[tuple[str, tuple[int, ...]]] = [(name, (i,)) for i, name in enumerate(titles(members))]
    named += [(MEAN, everyone), (ENSEMBLE, draws)]
    parts = predictions.samples.parts
    table = [
        table_row(name, compute(macs, d), predictions.score(d, held_out), people, parts=parts)
        for name, d in named
    ]
    affordable = [i for i in everyone if settings.cap is None or macs[i] <= settings.cap]
    best = min(affordable, key=lambda i: error((i,)))
    metrics = {
        "held_out": {row.network: row.to_dict() for row in table},
        "gain_over_best_member": _gain(table[best], table[-1], people),
        "validation": _summary(predictions, draws, np.arange(len(predictions.subjects))),
        "selection": {
            "l_error_mm": blend.path[-1],
            "best_member_l_error_mm": error((best,)),
            "path_mm": list(blend.path),
            "images": len(selecting),
            "subjects": list(first),
        },
        "held_out_subjects": list(second),
        "budget": settings.cap,
        "hardware": hardware(predictions.device),
    }
    return Result(members, blend, settings, table, metrics, score)


def _gain(best: TableRow, ensemble: TableRow, subjects: np.ndarray) -> dict[str, Any]:
    """Best single member (of the budget and the other half) minus ensemble, paired by resample, mm."""
    difference = best.scores.l_error_mm - ensemble.scores.l_error_mm
    low, high = subject_interval(difference, subjects) or (None, None)
    mean = float(difference.mean())
    return {"best_member": best.network, "gain_mm": mean, "low_mm": low, "high_mm": high}


def _summary(predictions: Predictions, draws: tuple[int, ...], positions: np.ndarray) -> dict[str, Any]:
    scores = predictions.score(draws, positions)
    people = np.unique(predictions.subjects[positions])
    return {**scores.summary(), "images": len(positions), "subjects": len(people)}


def _write(folder: Path, result: Result) -> None:
    """members.json last: where it exists, the rest belongs to it."""
    members, first = result.members, result.members[0].record
    document = {
        "version": 1,
        "flip": result.settings.flip,
        "data_id": first["data_id"],
        "split": first["split"]["id"],
        "topology": first.get("topology"),
        "macs": compute([m.macs for m in members], result.blend.chosen),
        "members": [
            {"folder": m.name, "network": m.title, "arch": m.arch.to_dict(), "seed": m.record["seed"],
             "weight": result.blend.weights[i], "macs": m.macs}
            for i, m in enumerate(members) if result.blend.weights[i]
        ],
    }  # fmt: skip
    texts = {
        "table.csv": to_csv(result.table),
        "table.md": to_markdown(result.table, _notes(result), result.score),
        "metrics.json": json.dumps(result.metrics, indent=2) + "\n",
        "members.json": json.dumps(document, indent=2) + "\n",
    }
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        write_whole(folder / name, text)


def _notes(result: Result) -> str:
    """What stands below the table."""
    row = result.table[-1]
    flip = (
        "averaged with the mirrored image (twice the compute shown)"
        if result.settings.flip
        else "as they are"
    )
    people = "one validation subject" if row.subjects == 1 else f"{row.subjects} validation subjects"
    return (
        f"Scored on {len(row.scores.l_error_mm):,} images of {people} that took no part in the choice; "
        f"predictions {flip}; intervals by bootstrap over subjects. GFLOPs at 256x256, each distinct member "
        f"once. {_verdict(result)}{_over_budget(result)}"
    )


def _verdict(result: Result) -> str:
    """What the greedy ensemble is, and what it gains."""
    names, gain = titles(result.members), result.metrics["gain_over_best_member"]
    if len(result.blend.chosen) == 1:
        return (
            f"The greedy ensemble is {names[result.blend.chosen[0]]} alone: no average did better on the "
            "half that it was chosen on."
        )
    chosen = [f"{result.blend.weights[i]} x {names[i]}" for i in result.blend.chosen]
    return (
        f"The greedy ensemble is {', '.join(chosen)}; against the best single member "
        f"({gain['best_member']}) it gains {gain['gain_mm']:.2f} mm {_certainty(gain)}."
    )


def _over_budget(result: Result) -> str:
    """Which rows the budget rules out; they stand there to compare with."""
    cap = result.settings.cap
    over = [row.network for row in result.table if cap is not None and row.macs > cap]
    if cap is None or not over:
        return ""
    return f" Beyond the budget of {cap / 1e9:g} GFLOPs, and shown to compare with: {', '.join(over)}."


def _certainty(gain: dict[str, Any]) -> str:
    if gain["low_mm"] is None:
        return "(one subject, so no interval)"
    interval = f"({gain['low_mm']:.2f} to {gain['high_mm']:.2f})"
    shown = gain["low_mm"] > 0 or gain["high_mm"] < 0
    return interval if shown else f"{interval}, an interval that holds 0, so a gain is not shown"


def _names(members: Sequence[Member], draws: Sequence[int]) -> str:
    names = titles(members)
    return " + ".join(names[i] for i in draws)
