"""timm: arguments for timm.models.resnet.ResNet and a state dict that loads strictly.

    args = json.load(open("timm.json"))
    block = getattr(timm.models.resnet, args.pop("block"))
    model = timm.models.resnet.ResNet(block=block, **args)
    model.load_state_dict(safetensors.torch.load_file("model.safetensors"))

`channels` is an argument since timm 1.0. The project's own modules bear timm's
names (tests/timm_keys.json is timm 1.0.31's list, and there the outputs were
equal bit for bit), so the reload is compared with those, and with timm itself
where it is installed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nas.export.source import Source, Written
from nas.export.staging import ExportError, outputs_of, probe, require_equal, staged
from proxy_tasks.backbone import build_model
from space.arch import ArchSpec
from space.plan import STEM_CHANNELS

BLOCKS = {"basic": "BasicBlock", "bottleneck": "Bottleneck"}
ARGS_FILE, WEIGHTS_FILE = "timm.json", "model.safetensors"


def arguments(source: Source) -> dict[str, Any]:
    """Arguments of timm's ResNet; `block` is the name of its class."""
    return {
        "block": BLOCKS[source.arch.block],
        "layers": list(source.arch.depths),
        "channels": list(source.arch.widths),
        "num_classes": source.outputs,
        "stem_width": STEM_CHANNELS,
        "stem_type": "deep",
        "avg_down": True,
    }


def arch_of(args: dict[str, Any]) -> ArchSpec:
    """The architecture that the arguments describe."""
    block = {theirs: ours for ours, theirs in BLOCKS.items()}[args["block"]]
    return ArchSpec(tuple(args["layers"]), tuple(args["channels"]), block)


def write(source: Source, destination: Path) -> Written:
    """timm.json and, where there are weights, model.safetensors."""
    from safetensors.torch import load_file, save

    model = source.model()
    state = model.state_dict()
    with staged(destination) as folder:
        (folder / ARGS_FILE).write_text(json.dumps(arguments(source), indent=2) + "\n")
        args = json.loads((folder / ARGS_FILE).read_text())
        if source.state is not None:
            contiguous = {name: value.contiguous() for name, value in state.items()}
            packed = save(contiguous, metadata={"format": "pt", "arch": source.arch.id})
            (folder / WEIGHTS_FILE).write_bytes(packed)  # save_file's is for its owner's eyes alone
            state = load_file(folder / WEIGHTS_FILE)
        reloaded = build_model(arch_of(args), args["num_classes"])
        try:
            reloaded.load_state_dict(state, strict=True)
        except RuntimeError as error:
            raise ExportError(f"{WEIGHTS_FILE} does not load strictly: {error}") from error
        images = probe()
        expected = outputs_of(model, images)
        difference = require_equal("the timm export", expected, outputs_of(reloaded, images))
        version = _compare_with_timm(args, state, images, expected)
        files = tuple(destination / file.name for file in sorted(folder.iterdir()))
    checked = f"timm {version}" if version else "timm's names (timm itself is not installed)"
    return Written(files, f"loads strictly under {checked}; outputs differ by at most {difference:.1g}")


def _compare_with_timm(args: dict[str, Any], state: Any, images: Any, expected: Any) -> str:
    """timm's version where it is installed and agrees; '' where it is not installed."""
    try:
        import timm
        from timm.models import resnet
    except ImportError:
        return ""
    args = dict(args)
    network = resnet.ResNet(block=getattr(resnet, args.pop("block")), **args)
    network.load_state_dict(state, strict=True)
    require_equal("timm's ResNet", expected, outputs_of(network, images))
    return timm.__version__
