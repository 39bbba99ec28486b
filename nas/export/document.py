"""json: the versioned description of an architecture, with provenance, scores and cost.

`spec.schema.json` beside this file is its JSON Schema (draft 2020-12). The cost
is counted twice, from the plan and by fvcore on the built network; a document
in which they differ is never written.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from nas.export.count import fvcore_macs
from nas.export.source import Source, Written
from nas.export.staging import ExportError, staged
from space.cost import INPUT_SIZE
from space.specfile import FORMAT, VERSION, spec_in


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema that every document of this version satisfies."""
    return json.loads(resources.files("nas.export").joinpath("spec.schema.json").read_text())


def document(source: Source) -> dict[str, Any]:
    """The description as plain JSON values; RuntimeError where the two counters differ."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "id": source.arch.id,
        "name": source.name,
        "architecture": source.arch.to_dict(),
        "input": {"channels": 3, "size": source.resolution, "order": "RGB", "range": [-1, 1]},
        "outputs": source.outputs,
        "cost": cost(source),
        "scores": list(source.scores),
        "provenance": dict(source.provenance),
    }


def cost(source: Source) -> dict[str, Any]:
    """Multiply-adds, parameters and activations at 256x256, by two counters."""
    arch, outputs = source.arch, source.outputs
    ours = arch.macs(outputs=outputs)
    theirs = fvcore_macs(arch, outputs)
    if ours != theirs:
        raise ExportError(f"{arch.id} has {ours:,} multiply-adds by the plan but {theirs:,} by fvcore")
    return {
        "unit": "multiply-adds of convolutions and linear layers",
        "input_size": INPUT_SIZE,
        "macs": ours,
        "macs_fvcore": theirs,
        "stage_macs": arch.stage_macs(outputs=outputs),
        "params": arch.params(outputs=outputs),
        "activations": arch.activations(outputs=outputs),
    }


def validate(value: Any) -> None:
    """ValueError with the first thing wrong and where, in one sentence."""
    import jsonschema

    errors = sorted(jsonschema.Draft202012Validator(schema()).iter_errors(value), key=lambda e: e.json_path)
    if errors:
        raise ValueError(
            f"not a {FORMAT} document of version {VERSION}: {errors[0].json_path}: {errors[0].message}"
        )


def write(source: Source, destination: Path) -> Written:
    """spec.json in `destination`, validated after a reload."""
    text = json.dumps(document(source), indent=2, allow_nan=False) + "\n"
    with staged(destination) as folder:
        file = folder / "spec.json"
        file.write_text(text)
        value = json.loads(file.read_text())
        validate(value)
        if (read := spec_in(value)) != source.arch:
            raise ExportError(f"{file.name} reads back as {read.id}, not {source.arch.id}")
    gigaflops = source.arch.macs(outputs=source.outputs) / 1e9
    return Written(
        (destination / "spec.json",),
        f"valid under the schema; {gigaflops:.4f} GFLOPs by the plan and by fvcore alike",
    )
