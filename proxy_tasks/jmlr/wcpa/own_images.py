"""Pictures of one's own, without labels, laid out as the test split of a data set.

A folder with NAME.jpg and NAME.txt beside it, 68 rows "x y" in pixels. Nothing is copied, the
layout is links. Poses are those of the data set's camera, whose opening angles do not change with a picture's
shape, so its pixels are square for one shape alone; of another a warning is given. tests/test_predict_own.py
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

from proxy_tasks.jmlr.camera import Array, intrinsics
from proxy_tasks.jmlr.wcpa.dataset import COLUMNS, DataError, list_file, numbers_in
from proxy_tasks.jmlr.wcpa.sample import DamagedSample, image_size

PICTURES = (".jpg", ".jpeg")
HEAD = 1 << 18  # bytes of a picture that hold its size
SUBJECT, ACTION = "own", "images"  # what the rows of these pictures are called


def lay_out(images: Path, resources: Path, into: Path) -> int:
    """Links below `into` to the pictures and landmarks in `images` and to a data set's `resources`; how many.

    DataError where there is no picture, or where one has no landmarks. Warns of a shape that the camera is
    not meant for.
    """
    if not images.is_dir():
        raise DataError(f"--images {images} is no folder")
    found = sorted(file for file in images.iterdir() if file.suffix.lower() in PICTURES)
    if not found:
        raise DataError(f"--images {images} holds no picture that ends in {', '.join(PICTURES)}")
    names = [file.stem for file in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(
            f"--images {images} holds two pictures called {twice}, and their landmarks would be one file"
        )
    for part in ("image", "68landmarks"):
        (into / part / SUBJECT / ACTION).mkdir(parents=True)
    for file in found:
        (into / "image" / SUBJECT / ACTION / f"{file.stem}_ar.jpg").symlink_to(file.resolve())
        landmarks = _landmarks(file)
        (into / "68landmarks" / SUBJECT / ACTION / f"{file.stem}_68landmarks.txt").symlink_to(landmarks)
    (into / "resources").symlink_to(resources.resolve())
    if (camera := resources / "projection_matrix.txt").is_file():  # who opens the layout says what it lacks
        _heed_shapes(found, numbers_in(camera))
    listed = list_file(into, "test")
    listed.parent.mkdir()
    listed.write_text(
        "\n".join([",".join(COLUMNS), *(f"{SUBJECT},{ACTION},{name}" for name in names)]) + "\n"
    )
    return len(found)


def _heed_shapes(pictures: Iterable[Path], projection: Array) -> None:
    """Warn of the first picture for which a pixel of the camera is not as wide as high, within 1 %."""
    for picture in pictures:
        with picture.open("rb") as file:
            head = file.read(HEAD)
        try:
            width, height = image_size(head)
        except DamagedSample:
            continue  # whoever reads it will say so
        k = intrinsics(projection, (width, height))
        if abs(k[0, 0] / k[1, 1] - 1) > 0.01:
            shape = projection[1, 1] / projection[0, 0]
            warnings.warn(
                f"{picture.name} is {width} x {height}, and the camera of the data set is meant for pictures "
                f"{shape:.2f} times as wide as high: poses of other shapes are off; crop them first",
                stacklevel=3,
            )
            return


def _landmarks(picture: Path) -> Path:
    for name in (f"{picture.stem}.txt", f"{picture.stem}_68landmarks.txt"):
        if (picture.parent / name).is_file():
            return (picture.parent / name).resolve()
    raise DataError(
        f"{picture} has no landmarks: put 68 rows 'x y' in pixels into {picture.stem}.txt beside it"
    )
