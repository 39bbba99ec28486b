"""onnx: the trained network for a runtime, with a fixed and with a free batch size.

Written by torch's exporter, checked by onnx, then run by onnxruntime against
torch on the same images; outputs may differ by 1e-4 of the largest at most.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from nas.export.source import Source, Written
from nas.export.staging import outputs_of, probe, require_equal, staged

TOLERANCE = 1e-4
OPSET = 18
DYNAMIC_FILE = "model.onnx"


MOST_BYTES = 8e9  # of activations, when an exported file is run for a comparison


def fixed_file(batch: int) -> str:
    """Name of the file for exactly `batch` images."""
    return f"model-b{batch}.onnx"


def write(source: Source, destination: Path, batch: int = 1) -> Written:
    """model.onnx (any batch size) and model-b<batch>.onnx (that one)."""
    require(source, batch)
    model, side = source.model(), source.resolution
    differences = []
    with staged(destination) as folder:
        for name, sizes, dynamic in ((DYNAMIC_FILE, (1, 3), True), (fixed_file(batch), (batch,), False)):
            _export(model, probe(side, 2 if dynamic else batch), folder / name, dynamic)
            for size in sizes:
                images = probe(side, size)
                theirs = _run(folder / name, images)
                differences.append(require_equal(name, outputs_of(model, images), theirs, TOLERANCE))
    files = (destination / DYNAMIC_FILE, destination / fixed_file(batch))
    return Written(files, f"onnxruntime gives torch's outputs within {max(differences):.1g}")


def _export(model: nn.Module, images: Tensor, file: Path, dynamic: bool) -> None:
    shapes = {"images": {0: torch.export.Dim("batch")}} if dynamic else None
    chatter = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(chatter), contextlib.redirect_stderr(chatter):
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        for name in ("onnxscript", "torch.onnx"):
            logging.getLogger(name).setLevel(logging.ERROR)
        torch.onnx.export(
            model,
            (images,),
            file,
            input_names=["images"],
            output_names=["outputs"],
            opset_version=OPSET,
            dynamic_shapes=shapes,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _run(file: Path, images: Tensor) -> Tensor:
    import onnx
    import onnxruntime

    onnx.checker.check_model(str(file), full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


def require(source: Source, batch: int = 1) -> None:
    """ValueError where there is nothing to write, nothing to write it with, or no room to check it in."""
    needed = batch * source.arch.activations(outputs=source.outputs) * 4 * (source.resolution / 256) ** 2
    if needed > MOST_BYTES:
        most = int(batch * MOST_BYTES / needed)
        raise ValueError(
            f"--batch {batch} would take {needed / 1e9:.0f} GB to check: export at most {most}, or the file "
            "for any batch size, which is written as well"
        )
    if source.state is None:
        raise ValueError(
            f"{source.arch.id} has no trained weights to put into an ONNX file: retrain it first, "
            "or export json, jmlr, timm or scrfd"
        )
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f"ONNX export needs the package {error.name}: pip install -c constraints.txt -e '.[onnx]'"
        ) from error
    del onnx, onnxruntime
