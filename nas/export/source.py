"""What is exported: an architecture, its weights where it was trained, where both come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from proxy_tasks.backbone import ResNet, build_model
from space.arch import ArchSpec
from space.plan import OUTPUTS


@dataclass(frozen=True, slots=True)
class Source:
    """`state` has the network's own parameter names, on the CPU; None where nothing was trained."""

    arch: ArchSpec
    outputs: int = OUTPUTS
    name: str = ""  # a reference's name, such as resnet34
    state: dict[str, Tensor] | None = None
    resolution: int = 256  # pixels, the side of the crop that the weights were trained on
    scores: tuple[dict[str, Any], ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)
    taken: str = ""  # what was taken, and why this one, in words
    formats: tuple[str, ...] = ()  # that mean something for the network's task; () all

    def model(self) -> ResNet:
        """The network in evaluation mode, with the trained weights or with fresh ones of seed 0."""
        model = build_model(self.arch, self.outputs)
        if self.state is not None:
            model.load_state_dict(self.state)
        return model.eval()


@dataclass(frozen=True, slots=True)
class Written:
    """The files of one export and what was proved of them, in one sentence."""

    files: tuple[Path, ...]
    proof: str
