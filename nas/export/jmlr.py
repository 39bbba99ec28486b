"""jmlr: what insightface's JMLR trainer needs to train or run this architecture.

Its `resnet_jmlr` fixes layers and channels, so the export writes a replacement
of that one function (jmlr_network.py with the architecture filled in) and, where
the network was trained, backbone.pth: {"model": state dict}, the form that the
trainer's resume and its inference both read, with the `net.` that its wrapper
puts before every name. Proved by loading it strictly into a wrapper of the same
shape around the written function, and comparing outputs.
"""

from __future__ import annotations

import re
import types
from importlib import resources
from pathlib import Path

import torch
from torch import Tensor, nn

from nas.export.source import Source, Written
from nas.export.staging import ExportError, outputs_of, probe, require_equal, staged
from proxy_tasks.checkpoint import write_file

FUNCTION_FILE, WEIGHTS_FILE = "resnet_jmlr.py", "backbone.pth"
PREFIX = "net."


class OneNetwork(nn.Module):
    """The part of the trainer's wrapper that gives parameters their names."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images)


def function_source(source: Source) -> str:
    """jmlr_network.py with the architecture filled in."""
    text = resources.files("nas.export").joinpath("jmlr_network.py").read_text()
    values = {
        "BLOCK": f'"{source.arch.block}"',
        "DEPTHS": repr(source.arch.depths),
        "WIDTHS": repr(source.arch.widths),
    }
    for name, value in values.items():
        text, count = re.subn(rf"^{name} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
        assert count == 1, f"jmlr_network.py defines {name} {count} times"
    return text.replace("num_classes: int = 6100", f"num_classes: int = {source.outputs}")


def load_function(file: Path) -> types.ModuleType:
    """The written module, run from its text so that nothing is cached beside it."""
    module = types.ModuleType(file.stem)
    exec(compile(file.read_text(), str(file), "exec"), module.__dict__)
    return module


def write(source: Source, destination: Path) -> Written:
    """resnet_jmlr.py and, where there are weights, backbone.pth."""
    model = source.model()
    state = {PREFIX + name: value.contiguous() for name, value in model.state_dict().items()}
    with staged(destination) as folder:
        (folder / FUNCTION_FILE).write_text(function_source(source))
        if source.state is not None:
            write_file(folder / WEIGHTS_FILE, {"model": state})
            state = torch.load(folder / WEIGHTS_FILE, weights_only=True)["model"]
        wrapper = OneNetwork(
            load_function(folder / FUNCTION_FILE).resnet_jmlr(num_classes=source.outputs, base_width=64)
        )
        try:
            wrapper.load_state_dict(state, strict=True)
        except RuntimeError as error:
            raise ExportError(f"the JMLR wrapper does not load the weights strictly: {error}") from error
        images = probe()
        difference = require_equal("the JMLR network", outputs_of(model, images), outputs_of(wrapper, images))
        files = tuple(destination / file.name for file in sorted(folder.iterdir()))
    loaded = (
        "trained weights" if source.state is not None else "weights of an untrained network, not written,"
    )
    return Written(files, f"{loaded} load strictly under `net.`; outputs differ by at most {difference:.1g}")
