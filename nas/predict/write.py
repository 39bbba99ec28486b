"""The work behind `python -m nas.predict`: whose prediction, of what, streamed to an npz."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas.predict.inference import Predictor
from nas.predict.npz_stream import NpzStream
from nas.predict.pictures import Overlay
from nas.predict.request import Chosen, Request, choose
from nas.retrain.trained import kind_of, open_samples
from proxy_tasks.kind import Score
from proxy_tasks.predicting import Asked, OpenSamples
from proxy_tasks.progress import bar


@dataclass(frozen=True, slots=True)
class Done:
    """What was predicted, by whom, and how well."""

    images: int
    network: str
    score: Score
    error: float | None  # the mean score, where there are labels
    overlays: int
    folder: Path


def predict(
    request: Request, *, data: Path | None = None, device: str = "auto", progress: bool = True
) -> Done:
    """Write the npz, and the pictures where asked; at the end all of it is there or none."""
    chosen = choose(request)
    asked = Asked(
        str(data or chosen.members[0].record["data"]),
        request.split,
        chosen.members,
        "skip" if request.skip_missing else "refuse",
        request.only,
    )
    samples = open_samples(asked, progress=progress)
    if request.flip and not samples.mirrors:
        raise ValueError(
            f"answers of the task {kind_of(chosen.members).name} have no mirror: leave out --flip"
        )
    predictor = Predictor(chosen.members, chosen.weights, samples, device=device, flip=chosen.flip)
    return _stream(request, chosen, predictor, samples, progress)


def _stream(
    request: Request, chosen: Chosen, predictor: Predictor, samples: OpenSamples, progress: bool
) -> Done:
    count = len(samples)
    pictured = set(np.linspace(0, count - 1, min(request.overlay, count)).astype(int).tolist())
    errors: list[np.ndarray] = []
    shown = bar(count, "images", "predicting", show=progress)
    with (
        NpzStream(request.out, count, dict(samples.arrays_shapes)) as npz,
        Overlay(request.folder) as overlay,
        shown,
    ):
        npz.put_whole(dict(samples.names))
        for part in predictor.stream(np.arange(count)):
            arrays = samples.arrays(part.answers, part.rows)
            stored = {name: array.cpu().numpy() for name, array in arrays.items()}
            npz.put(**stored)
            found = samples.errors(arrays, part.rows)
            if found is not None:
                errors.append(found)
            for i, row in enumerate(part.rows.tolist()):
                if row in pictured:
                    overlay.add(*samples.picture(row, {name: array[i] for name, array in stored.items()}))
            shown.update(len(part.rows))
    mean = float(np.concatenate(errors).mean()) if errors else None
    score = Score.of(chosen.members[0].record)
    return Done(count, chosen.network, score, mean, len(pictured), request.folder)
