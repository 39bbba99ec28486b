"""Hand an architecture, and its weights where it was trained, to another program.

    python -m nas.export runs/NAME --format json jmlr timm scrfd onnx --out DIR
    python -m nas.export runs/NAME/retrain/FOLDER --format onnx
    python -m nas.export resnet34 --format json --out DIR

json   spec.json: architecture, cost by two counters, scores, provenance; has a JSON Schema
jmlr   resnet_jmlr.py and backbone.pth for insightface's JMLR trainer
timm   timm.json and model.safetensors for timm.models.resnet.ResNet
scrfd  scrfd_backbone.py (block_cfg) and backbone.pth for insightface's SCRFD
onnx   model.onnx for any batch size and model-b<N>.onnx for one; needs trained weights

A run exports its best retrained network (--member picks another); before anything was
retrained, the search's best architecture without weights. Every file is reloaded and
compared before it counts as written; each format has a folder of its own under DIR.
Takes seconds a format.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from space.commandline import a_name, a_path, door, parser_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nas.export.source import Source, Written
    from space.commandline import Parser

MODULES = {"json": "document", "jmlr": "jmlr", "timm": "timm_resnet", "scrfd": "scrfd", "onnx": "onnx_file"}
FORMATS = tuple(MODULES)
NEXT = {
    "json": "search near it by nas.search --seed-arch FILE, or train it by nas.retrain RUN --spec FILE",
    "jmlr": "copy resnet_jmlr.py over reconstruction/jmlr/backbones/resnet_jmlr.py; its first lines say how",
    "timm": "timm.models.resnet.ResNet(**args) and load_state_dict; docs/final.md has the lines",
    "scrfd": "put `backbone` into the `model` of an SCRFD config, pretrained= the .pth file",
    "onnx": "onnxruntime.InferenceSession(FILE).run(None, {'images': (b, 3, S, S) float32 in [-1, 1]})",
}


def parser() -> Parser:
    """The flags of this command."""
    p = parser_of("nas.export", __doc__)
    what = p.add_argument_group("what to export")
    what.add_argument(
        "source",
        type=a_name,
        metavar="WHAT",
        help="a run, a folder under its retrain/, a spec file, or a name like resnet34",
    )
    how = p.add_argument_group("as what, and where to")
    how.add_argument("--format", nargs="+", choices=FORMATS, default=["json"], help="default json")
    how.add_argument("--out", type=a_path, metavar="DIR", help="default RUN/export, or export for a spec")
    what.add_argument("--member", metavar="NAME", help="a folder under RUN/retrain; default the best")
    how.add_argument(
        "--batch", type=int, default=1, metavar="N", help="of the ONNX file of fixed size (default 1)"
    )
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    return door(parser, _run, argv)


def _run(args: argparse.Namespace) -> int:
    from nas.export import onnx_file
    from nas.export.from_run import open_source
    from nas.export.staging import claimed
    from space.telling import doing

    if args.batch < 1:
        raise ValueError(f"--batch is a number of images, at least 1, not {args.batch}")
    source = open_source(args.source, args.member)
    out = args.out or _beside(Path(args.source))
    for name in args.format:
        if source.formats and name not in source.formats:
            raise ValueError(
                f"--format {name} means nothing for the task of {args.source}: it has "
                f"{', '.join(source.formats)}"
            )
        claimed(out / name, inside=args.out is None)
    if "onnx" in args.format:
        onnx_file.require(source, args.batch)  # before another format is written
    print(f"exporting {source.taken}")
    written: list[str] = []
    for name in dict.fromkeys(args.format):
        try:
            with doing(f"writing and checking {name}"):
                done = write(name, source, out / name, args.batch)
        except KeyboardInterrupt:
            whole = (
                f"only these formats are whole: {', '.join(written)}" if written else "nothing was written"
            )
            raise KeyboardInterrupt(whole) from None
        written.append(name)
        print(f"{name}: {', '.join(map(str, done.files))}\n  {done.proof}\n  next: {NEXT[name]}")
    return 0


def _beside(source: Path) -> Path:
    """Where exports go unless somebody says: into the run, or here for a spec."""
    from nas.export.from_run import is_retrained, run_of

    run = run_of(source) if is_retrained(source) else source
    return run / "export" if run.is_dir() else Path("export")


def write(name: str, source: Source, folder: Path, batch: int = 1) -> Written:
    """Export in one format, checked; nothing is left of an export that fails its check."""
    module = importlib.import_module(f"nas.export.{MODULES[name]}")
    return module.write(source, folder, **({"batch": batch} if name == "onnx" else {}))


if __name__ == "__main__":
    sys.exit(main())
