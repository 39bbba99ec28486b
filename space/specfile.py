"""An architecture by a reference's name or from a JSON file, in every form that this project writes.

    {"depths": [3, 4, 6, 3], "widths": [64, 128, 256, 512]}              ArchSpec.to_dict, "block" or not
    {"arch": {...}, ...}                                                best/*.json, a retrain's metrics.json
    {"format": "jmlr-nas/architecture", "version": 1, "architecture": {...}, ...}     spec.json of nas.export

Format and version are checked here; that a document keeps its schema in all else is the export's to say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from space.arch import REFERENCES, ArchSpec
from space.plan import OUTPUTS

FORMAT = "jmlr-nas/architecture"
VERSION = 1


def read_spec(text: str) -> ArchSpec:
    """The architecture that a person named; ValueError, one sentence, where there is none.

    text  a reference's name ("resnet34") or the path of a JSON file
    """
    if text in REFERENCES:
        return REFERENCES[text]
    try:
        value = json.loads(Path(text).read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        names = ", ".join(REFERENCES)
        why = "its brackets are nested too deeply" if isinstance(error, RecursionError) else error
        raise ValueError(f"{text!r} is neither one of {names} nor a readable spec file ({why})") from None
    try:
        return spec_in(value)
    except ValueError as error:
        raise ValueError(f"{text}: {error}") from None


def outputs_in(text: str) -> int:
    """How many outputs the file says that the network has, of one that `read_spec` reads; else JMLR's."""
    if text in REFERENCES:
        return OUTPUTS
    value = json.loads(Path(text).read_text())
    found = value.get("outputs") if isinstance(value, Mapping) else None
    return found if type(found) is int and found > 0 else OUTPUTS


def spec_in(value: Any) -> ArchSpec:
    """The architecture in what a JSON file held; ValueError, one sentence, where there is none."""
    if not isinstance(value, Mapping):
        return ArchSpec.from_dict(value)  # which says what a spec needs
    if "format" in value:
        _require_known(value)
    for key in ("architecture", "arch"):
        if key in value:
            return ArchSpec.from_dict(value[key])
    return ArchSpec.from_dict(value)


def reference_name(spec: ArchSpec) -> str:
    """The name under which `read_spec` knows this architecture, or nothing."""
    return next((name for name, known in REFERENCES.items() if known == spec), "")


def _require_known(value: Mapping[str, Any]) -> None:
    if value["format"] != FORMAT:
        raise ValueError(
            f"a file of format {value['format']!r} holds no architecture: give one of {FORMAT!r}"
        )
    if value.get("version") != VERSION:
        raise ValueError(
            f"an architecture file of version {value.get('version')!r}, and this program reads version "
            f"{VERSION}: export it again with python -m nas.export"
        )
    if "architecture" not in value:
        raise ValueError(
            f"a {FORMAT} file without its architecture: export it again with python -m nas.export"
        )
