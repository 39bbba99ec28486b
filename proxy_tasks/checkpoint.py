"""A training state on disk that a kill cannot spoil.

Written beside its place and renamed over it; the one before is kept as
`<name>.previous`, so that a file cut short by a full disk costs one interval.
Loaded with weights_only: tensors and plain containers, never code.
"""

from __future__ import annotations

import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import torch


def save(path: Path, state: dict[str, Any]) -> None:
    """Replace the state at `path`; at every moment one whole state can be loaded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with open(fresh, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            os.replace(path, previous(path))
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """The newest whole state at `path`, or None where there is none.

    Warns with the name of a damaged file before it falls back to the one before, and puts the damaged
    one aside as `<name>.damaged`, so that the next save does not put it in the good one's place.
    """
    for candidate in (path, previous(path)):
        if not candidate.exists():
            continue
        try:
            return torch.load(candidate, map_location=device, weights_only=True)
        except (RuntimeError, EOFError, OSError, pickle.UnpicklingError, ValueError) as error:
            first = str(error).splitlines()[0].split(". ")[0] if str(error) else type(error).__name__
            warnings.warn(f"checkpoint {candidate} is damaged ({first}); trying the one before", stacklevel=2)
            if candidate == path:
                os.replace(path, path.with_name(f"{path.name}.damaged"))
    return None


def previous(path: Path) -> Path:
    """Where the state before the newest one is kept."""
    return path.with_name(f"{path.name}.previous")
