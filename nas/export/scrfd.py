"""scrfd: the backbone for insightface's SCRFD, as a config of its mmdet.

`ResNetV1d` there, with a deep stem of 64 channels, average-pool shortcuts and a
3x3 max-pool, is this network without its head. (SCRFD's own configs say
`ResNetV1e`, which differs in its 2x2 max-pool only; the same block_cfg serves.)
Where the network was trained, backbone.pth holds the weights under mmdet's
names for `pretrained=`; renamed back they must give the same outputs.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nas.export.source import Source, Written
from nas.export.staging import ExportError, outputs_of, probe, require_equal, staged
from proxy_tasks.backbone import build_model
from proxy_tasks.checkpoint import write_file
from space.arch import ArchSpec
from space.plan import EXPANSION, STEM_OUT

BLOCKS = {"basic": "BasicBlock", "bottleneck": "Bottleneck"}
CONFIG_FILE, WEIGHTS_FILE = "scrfd_backbone.py", "backbone.pth"


def backbone(arch: ArchSpec) -> dict[str, Any]:
    """The `backbone` entry of an SCRFD model's config."""
    return {
        "type": "ResNetV1d",
        "depth": 0,
        "block_cfg": {
            "block": BLOCKS[arch.block],
            "stage_blocks": arch.depths,
            "stage_planes": list(arch.widths),
        },
        "base_channels": STEM_OUT,
        "num_stages": 4,
        "out_indices": (0, 1, 2, 3),
        "norm_cfg": {"type": "BN", "requires_grad": True},
        "norm_eval": False,
        "style": "pytorch",
    }


def config_source(arch: ArchSpec) -> str:
    """A Python config with `backbone` and the channels that a neck sees."""
    channels = [width * EXPANSION[arch.block] for width in arch.widths]
    return (
        f"# {arch.id}: for the `model` of an SCRFD config\n"
        f"backbone = {_pretty(backbone(arch))}\n"
        f"neck_in_channels = {channels}\n"
    )


def read_config(text: str) -> ArchSpec:
    """The architecture of a written config, read as literals."""
    values = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    block_cfg = values["backbone"]["block_cfg"]
    block = {theirs: ours for ours, theirs in BLOCKS.items()}[block_cfg["block"]]
    return ArchSpec(tuple(block_cfg["stage_blocks"]), tuple(block_cfg["stage_planes"]), block)


def to_mmdet(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights under mmdet's names; the head is left out, which a detector does not have."""
    names = {name: mmdet_name(name) for name in state if not name.startswith("fc.")}
    return {theirs: state[ours].contiguous() for ours, theirs in names.items()}


def mmdet_name(name: str) -> str:
    """mmdet's name of one of our parameters: one `stem`, and no pool where a shortcut keeps its stride."""
    name = re.sub(r"^bn1\.", "stem.7.", re.sub(r"^conv1\.", "stem.", name))
    unpooled = re.match(r"^(layer1\.0\.downsample)\.([12])\.(.*)$", name)
    return f"{unpooled[1]}.{int(unpooled[2]) - 1}.{unpooled[3]}" if unpooled else name


def from_mmdet(state: dict[str, Tensor], arch: ArchSpec, head: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of to_mmdet, by name, over a network that has the names."""
    ours = build_model(arch, head["fc.weight"].shape[0]).state_dict()
    return {name: state[mmdet_name(name)] for name in ours if not name.startswith("fc.")} | head


def write(source: Source, destination: Path) -> Written:
    """scrfd_backbone.py and, where there are weights, backbone.pth."""
    model = source.model()
    state = model.state_dict()
    head = {name: value for name, value in state.items() if name.startswith("fc.")}
    theirs = to_mmdet(state)
    with staged(destination) as folder:
        (folder / CONFIG_FILE).write_text(config_source(source.arch))
        arch = read_config((folder / CONFIG_FILE).read_text())
        if arch != source.arch:
            raise ExportError(f"{CONFIG_FILE} reads back as {arch.id}, not {source.arch.id}")
        if source.state is not None:
            write_file(folder / WEIGHTS_FILE, {"state_dict": theirs})
            theirs = torch.load(folder / WEIGHTS_FILE, weights_only=True)["state_dict"]
        reloaded = build_model(arch, source.outputs)
        reloaded.load_state_dict(from_mmdet(theirs, arch, head), strict=True)
        images = probe()
        difference = require_equal(
            "the SCRFD export", outputs_of(model, images), outputs_of(reloaded, images)
        )
        files = tuple(destination / file.name for file in sorted(folder.iterdir()))
    return Written(files, f"block_cfg reads back; renamed weights give outputs within {difference:.1g}")


def _pretty(value: dict[str, Any], indent: int = 0) -> str:
    """A nested dict(...) as the configs there write it."""
    pad = " " * (indent + 4)
    rows = []
    for key, item in value.items():
        text = _pretty(item, indent + 4) if isinstance(item, dict) else repr(item)
        rows.append(f"{pad}{key!r}: {text},\n")
    return "{\n" + "".join(rows) + " " * indent + "}"
