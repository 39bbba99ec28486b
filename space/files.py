"""Files that appear whole or not at all, and JSON that may be damaged.

A file is written beside its place, waited for, and renamed over what was there, so that a reader, a kill or a
full disk finds the old file or the new one and never a part. tests/test_space_files.py
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

_LONGEST = 200  # letters of a name that its temporary twin repeats: file systems allow 255 bytes


@contextlib.contextmanager
def replacing(path: Path, *, wait: bool = True) -> Iterator[IO[bytes]]:
    """A file to write, which takes the place of `path` when the block ends without an exception.

    `wait` until the disk has it: without that a kill loses nothing, but the machine's power may.
    """
    fresh = path.with_name(f".{path.name[:_LONGEST]}.{os.getpid()}-{threading.get_ident():x}")
    try:
        with open(fresh, "wb") as file:
            yield file
            if wait:
                file.flush()
                os.fsync(file.fileno())
        os.replace(fresh, path)
    except OSError as error:
        if error.filename == str(fresh):  # a person knows the file by its own name
            error.filename = str(path)
        raise
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink()


def write_whole(path: Path, contents: str | bytes, *, wait: bool = True) -> None:
    """Replace the file at `path`; text is UTF-8."""
    with replacing(path, wait=wait) as file:
        file.write(contents.encode() if isinstance(contents, str) else contents)


def write_json(path: Path, contents: Any, *, wait: bool = True) -> None:
    """Replace the file at `path` by `contents` as JSON; TypeError for what JSON has no word for."""
    write_whole(path, json.dumps(contents, indent=2) + "\n", wait=wait)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; ValueError says what is wrong with it, OSError that it cannot be read."""
    return parse_object(path.read_bytes())


def parse_object(text: bytes) -> dict[str, Any]:
    """The JSON object in a text; ValueError says what is wrong with it."""
    try:
        contents = json.loads(text)
    except RecursionError:
        raise ValueError("its brackets are nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("it is no text") from None
    if not isinstance(contents, dict):
        raise ValueError("no JSON object")
    return contents
