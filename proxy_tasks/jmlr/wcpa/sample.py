"""One sample's files, read with care: image bytes, landmarks, labels.

What is wrong with a file is raised as `DamagedSample`, whose message names it, so that a cache can
count it and go on and a check can report it. Missing files stay FileNotFoundError.
"""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# What reading an npz file from memory raises on flipped, cut or zeroed bytes.
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    OSError,
    ValueError,
    EOFError,
    OverflowError,
    RuntimeError,
    SyntaxError,
)


LEAST_WIDTH, GREATEST_WIDTH = 0.02, 2.0  # metres that a face's vertices span at most in a direction


class DamagedSample(ValueError):
    """A file of one sample that cannot be used, and why."""


def read_landmarks(path: Path) -> NDArray[np.float64]:
    """(68, 2) pixels."""
    try:
        values = np.array(path.read_bytes().split(), dtype=np.float64)
    except ValueError as error:
        raise DamagedSample(f"{path.name} holds something other than numbers") from error
    if values.size != 136:
        raise DamagedSample(f"{path.name} holds {values.size} numbers instead of 68 x 2")
    if not np.isfinite(values).all():
        raise DamagedSample(f"{path.name} holds landmarks that are not finite")
    return values.reshape(68, 2)


def read_info(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """verts (V, 3) float32 metres, R (3, 3) and T (3,) metres in float64."""
    data = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            verts, pose = (_array(archive.read(f"{name}.npy")) for name in ("verts", "R_t"))
    except KeyError as error:
        raise DamagedSample(f"{path.name} lacks verts or R_t") from error
    except UNREADABLE as error:
        raise DamagedSample(f"{path.name} is not a readable npz file") from error
    if verts.ndim != 2 or verts.shape[1] != 3 or pose.shape != (4, 4):
        raise DamagedSample(f"{path.name} has verts of shape {verts.shape} and R_t of shape {pose.shape}")
    if not np.isfinite(verts).all() or not np.isfinite(pose).all():
        raise DamagedSample(f"{path.name} holds vertices or a pose that are not finite")
    pose = pose.astype(np.float64)
    return verts.astype(np.float32), pose[:3, :3], pose[3, :3]


def strange_size(verts: NDArray[np.floating]) -> str:
    """Why verts (V, 3) are no face in metres, or "": a face is about 0.2 wide in no other unit."""
    width = float(np.ptp(verts, axis=0).max())
    if LEAST_WIDTH <= width <= GREATEST_WIDTH:
        return ""
    units = "millimetres" if LEAST_WIDTH <= width / 1000 <= GREATEST_WIDTH else "another unit"
    return f"its vertices span {width:.4g}, which is no face in metres: are they in {units}?"


def off_the_picture(landmarks: NDArray[np.floating], size: NDArray[np.integer]) -> str:
    """Why landmarks (68, 2) are not of a picture of size (width, height), or "": most lie outside it."""
    outside = ((landmarks < -1) | (landmarks > size)).any(axis=1)
    if outside.mean() <= 0.5:
        return ""
    return f"{int(outside.sum())} of its {len(landmarks)} landmarks lie off the picture: are they of another?"


@lru_cache(maxsize=64)
def _header(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, Fortran order and dtype of an npy header; a data set has a handful of different ones."""
    stream = io.BytesIO(header)
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(stream)


def _array(npy: bytes) -> NDArray:
    """Array of the bytes of an npy file, read-only; several times faster than np.load on small files."""
    wide = npy[6:7] != b"\x01"
    start = (12 if wide else 10) + int.from_bytes(npy[8 : 12 if wide else 10], "little")
    shape, fortran, dtype = _header(npy[:start])
    if dtype.kind not in "fiu":
        raise ValueError(f"{dtype} is not a number")
    values = np.frombuffer(npy, dtype, offset=start, count=int(np.prod(shape)))
    return values.reshape(shape, order="F" if fortran else "C")


def image_size(data: bytes) -> tuple[int, int]:
    """Width and height that a JPEG's frame header states; DamagedSample if there is none."""
    position = 2
    if data[:2] == b"\xff\xd8":
        while position + 9 <= len(data) and data[position] == 0xFF:
            marker = data[position + 1]
            if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
                height = int.from_bytes(data[position + 5 : position + 7], "big")
                width = int.from_bytes(data[position + 7 : position + 9], "big")
                return width, height
            position += 1 if marker == 0xFF else 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    raise DamagedSample("the image is not a whole JPEG file")


def decode(data: bytes, reduction: int = 1) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of JPEG bytes, at 1, 1/2, 1/4 or 1/8 of its size (rounded up)."""
    import cv2

    sizes = {
        1: cv2.IMREAD_COLOR,
        2: cv2.IMREAD_REDUCED_COLOR_2,
        4: cv2.IMREAD_REDUCED_COLOR_4,
        8: cv2.IMREAD_REDUCED_COLOR_8,
    }
    # libjpeg may fill a cut image with grey and say nothing: ask for an end marker after the last scan.
    if data.find(b"\xff\xd9", data.rfind(b"\xff\xda") + 2) < 0:
        raise DamagedSample("the image is cut short")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), sizes[reduction] | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:  # a header that states more pixels than OpenCV will make
        image = None
    if image is None:
        raise DamagedSample("the image cannot be decoded")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
