"""A contact sheet: subjects down, frames across, some with the labels drawn over them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from proxy_tasks.jmlr.synthetic.frames import Frame, Studio
from proxy_tasks.jmlr.synthetic.model import FaceModel, default_model, load_model
from proxy_tasks.pictures import KINDS, require_place, write_picture

FLAG = "--contact-sheet"
Image = NDArray[np.uint8]

_SUBJECTS, _FRAMES, _SIDE = 7, 8, 236
_REACH = 0.9  # half the crop's side, in heights of the face


def contact_sheet(file: Path, *, seed: int = 0, face_model: Path | None = None) -> Path:
    """Writes a JPEG or PNG of 7 subjects x 8 frames, cropped around the face; every fourth with its labels.

    Vertices are green, landmarks (with their detector's noise) red. Raises ValueError for another format,
    or where another picture lies.
    """
    file = Path(file)
    if file.suffix.lower() not in KINDS:
        raise ValueError(f"a contact sheet called {file.name}: name a .jpg or a .png file.")
    require_place(file, FLAG)
    model: FaceModel = default_model() if face_model is None else load_model(Path(face_model))
    studio = Studio(model, 800, seed)
    rows = []
    for index in range(_SUBJECTS):
        person = studio.subject(index)
        tiles = [_tile(person.frame(k), labels=(k + index) % 4 == 3) for k in range(_FRAMES)]
        rows.append(np.hstack(tiles))
    return write_picture(file, np.vstack(rows)[..., ::-1], FLAG, quality=88)


def _tile(frame: Frame, labels: bool) -> Image:
    low, high = frame.points.min(0), frame.points.max(0)
    middle, half = 0.5 * (low + high), _REACH * float((high - low).max())
    half = min(half, 0.5 * len(frame.image))
    middle = np.clip(middle, half, len(frame.image) - half)
    scale = _SIDE / (2.0 * half)
    warp = np.array([[scale, 0.0, scale * (half - middle[0])], [0.0, scale, scale * (half - middle[1])]])
    tile = np.asarray(cv2.warpAffine(frame.image, warp, (_SIDE, _SIDE), flags=cv2.INTER_AREA), np.uint8)
    if labels:
        for points, colour, radius in (
            (frame.points, (90, 230, 60), 0.55),
            (frame.landmarks68, (40, 40, 240), 1.6),
        ):
            for x, y in np.round((points @ warp[:, :2].T + warp[:, 2]) * 16).astype(int).tolist():
                cv2.circle(tile, (x, y), round(radius * 16), colour, -1, cv2.LINE_AA, 4)
    name = frame.action[3:].replace("LeftToRight_", "LR ").replace("UpToDown_", "UD ")
    cv2.putText(tile, name, (5, _SIDE - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (250, 250, 250), 1, cv2.LINE_AA)
    return tile
