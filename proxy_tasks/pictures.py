"""Pictures that a command writes where a person says: whole, marked as ours, and never over somebody else's.

A PNG carries its mark as a text chunk, a JPEG as a comment; a picture without the mark is not replaced.
tests/test_proxy_pictures.py
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from space.files import write_whole

MARK = b"jmlr-nas"
KINDS = (".png", ".jpg", ".jpeg")
_LOOKED_AT = 4096  # bytes: the mark stands right behind the head
_PNG_HEAD = 33  # bytes: signature and IHDR


def require_place(path: Path, flag: str) -> None:
    """ValueError where a picture cannot be written to `path`: no picture's name, or not ours to replace."""
    if path.suffix.lower() not in KINDS:
        raise ValueError(f"{flag} {path} is no picture's name: end it in .png or .jpg")
    if path.is_dir():
        raise ValueError(f"{flag} {path} is a folder: give the name of a picture in it")
    if path.exists() and not _is_ours(path):
        raise ValueError(f"{flag} {path} exists and was not drawn by this project: name another file")


def write_picture(path: Path, image: NDArray[np.uint8], flag: str, *, quality: int = 92) -> Path:
    """Write image (H, W, 3) uint8 RGB as the kind that the name says; errors as `require_place`."""
    import cv2

    require_place(path, flag)
    kind = path.suffix.lower()
    settings = [] if kind == ".png" else [cv2.IMWRITE_JPEG_QUALITY, quality]
    done, data = cv2.imencode(kind, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), settings)
    if not done:
        raise RuntimeError(f"{path} could not be encoded: is there enough memory?")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, (_marked_png if kind == ".png" else _marked_jpeg)(data.tobytes()))
    return path


def write_png(path: Path, data: bytes, flag: str) -> Path:
    """Write a PNG that was drawn elsewhere, marked as ours; errors as `require_place`."""
    require_place(path, flag)
    if path.suffix.lower() != ".png":
        raise ValueError(f"{flag} {path} is to be a .png")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, _marked_png(data))
    return path


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return MARK in file.read(_LOOKED_AT)


def _marked_png(data: bytes) -> bytes:
    body = b"tEXtSoftware\0" + MARK
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:_PNG_HEAD] + chunk + data[_PNG_HEAD:]


def _marked_jpeg(data: bytes) -> bytes:
    return data[:2] + b"\xff\xfe" + struct.pack(">H", len(MARK) + 2) + MARK + data[2:]
