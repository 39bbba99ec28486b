"""Files that appear whole and checked, or not at all.

An export writes into a folder beside its destination, is reloaded and compared
there, and only then moves file by file over what was there before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from nas.files import remade
from space.outputs import OwnFolder

TOLERANCE = 1e-5  # largest difference of outputs after a reload, in units of the largest output


class ExportError(RuntimeError):
    """What was written does not read back as what was meant; nothing was kept."""


@contextmanager
def staged(destination: Path) -> Iterator[Path]:
    """A fresh folder whose files move to `destination` when the block ends without an exception."""
    with remade(claimed(destination, inside=True), keep=True) as folder:
        yield folder


def claimed(destination: Path, *, inside: bool) -> OwnFolder:
    """The folder of one format; ValueError where it holds files of others (see OwnFolder for `inside`)."""
    return OwnFolder.claim(destination, "nas.export", inside=inside)


def probe(side: int = 64, count: int = 2) -> Tensor:
    """(count, 3, side, side) images in [-1, 1], always the same, to compare two networks on."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 3, side, side, generator=generator) * 2 - 1


def outputs_of(model: nn.Module, images: Tensor) -> Tensor:
    """What the network says of images (B, 3, S, S), in evaluation mode."""
    model.eval()
    with torch.inference_mode():
        return model(images)


def require_equal(name: str, ours: Tensor, theirs: Tensor, tolerance: float = TOLERANCE) -> float:
    """The largest difference over the largest output; ExportError above `tolerance`."""
    if ours.shape != theirs.shape:
        raise ExportError(f"{name} reads back with outputs {tuple(theirs.shape)}, not {tuple(ours.shape)}")
    difference = float((ours - theirs).abs().max()) / max(float(ours.abs().max()), 1.0)
    if not difference <= tolerance:
        raise ExportError(
            f"{name} reads back with outputs that differ by {difference:.2g} of the largest, "
            f"above {tolerance:g}"
        )
    return difference
