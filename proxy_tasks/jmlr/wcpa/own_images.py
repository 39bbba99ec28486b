"""Pictures of one's own, without labels, laid out as the test split of a data set.

A folder with NAME.jpg (or .png) and NAME.txt beside it, 68 rows "x y" in pixels. Nothing is copied, the
layout is links. tests/test_predict_own.py
"""

from __future__ import annotations

from pathlib import Path

from proxy_tasks.jmlr.wcpa.dataset import COLUMNS, DataError, list_file

PICTURES = (".jpg", ".jpeg", ".png")
SUBJECT, ACTION = "own", "images"  # what the rows of these pictures are called


def lay_out(images: Path, resources: Path, into: Path) -> int:
    """Links below `into` to the pictures and landmarks in `images` and to a data set's `resources`; how many.

    DataError where there is no picture, or where one has no landmarks.
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
    listed = list_file(into, "test")
    listed.parent.mkdir()
    listed.write_text(
        "\n".join([",".join(COLUMNS), *(f"{SUBJECT},{ACTION},{name}" for name in names)]) + "\n"
    )
    return len(found)


def _landmarks(picture: Path) -> Path:
    for name in (f"{picture.stem}.txt", f"{picture.stem}_68landmarks.txt"):
        if (picture.parent / name).is_file():
            return (picture.parent / name).resolve()
    raise DataError(
        f"{picture} has no landmarks: put 68 rows 'x y' in pixels into {picture.stem}.txt beside it"
    )
