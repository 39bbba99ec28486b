"""What has to be measured on a GPU, part by part, as one JSON. Run it by tests/bench/gpu.sh.

    tests     the tests marked gpu
    engine    training images a second at 128 and 256 pixels, each way of launching steps, ResNet-34 and the
              deepest of many networks of its FLOPs (bench_engine.py)
    pnp       poses and scores of 4,096 faces (bench_pnp.py)
    augment   augmented images a second (bench_augment.py)
    searches  four short searches on synthetic faces, a trial with a whole GPU, a half, a quarter and an
              eighth; needs ray and optuna, and is left out with a note where they are not installed

Every part is a process of its own, so that one that breaks the device costs no other, and the file is written
anew after each, so that what was measured is kept whatever ends the run. Needs Python 3.11 and torch 2.6 or
later; the parts before the searches need no more than what trains a network. `--rehearse` runs the same
commands on a CPU, small: its numbers mean nothing. `--quick` is for a device that can be had for minutes: no
launch that compiles, 128 pixels, one search.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PARTS = ("tests", "engine", "pnp", "augment", "searches")
SLICES = ("1", "1/2", "1/4", "1/8")
TAIL = 4000  # characters of a command's output that are kept
FACES = ("--subjects", "60", "--frames", "16", "--size", "512")
FEW_FACES = ("--subjects", "20", "--frames", "2", "--size", "128")
SEARCH_PROXY = {
    "base": "mini", "resolution": 128, "batch": 256, "epochs": 8, "least_steps": 400, "evaluations": 2,
    "frames": 16, "subjects": 0, "validation_images": 192,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Command:
    """One measurement: arguments of this interpreter, at most so many seconds."""

    name: str
    arguments: tuple[str, ...]
    seconds: float
    environment: dict[str, str] = field(default_factory=dict)


def commands(part: str, folder: Path, *, rehearse: bool, quick: bool = False) -> Iterator[Command]:
    """What a part runs; `folder` holds what they share."""
    device = "cpu" if rehearse else "cuda"
    faces = str(folder / "faces")
    make = ("-m", "proxy_tasks.synthesize", *(FEW_FACES if rehearse else FACES), "--out", faces)
    if part == "tests":
        for file in sorted(path for path in ROOT.glob("tests/test_*.py") if "mark.gpu" in path.read_text()):
            pytest = ("-m", "pytest", "-q", "-m", "gpu", "-W", "default", "-p", "no:cacheprovider", str(file))
            yield Command(file.stem, pytest, 240)
    elif part == "engine":
        yield Command("faces", make, 240)
        for network, size, batch, launches, workers in REHEARSED if rehearse else ENGINE:
            if quick and size > 128:
                continue
            launches = "eager,graphs" if quick and not rehearse else launches
            arguments = ["tests/bench/bench_engine.py", "--json", "--device", device, "--data", faces]
            arguments += ["--resolution", str(size), "--batch", str(batch), "--launch", launches]
            arguments += ["--network", network, "--workers", str(workers)]
            arguments += (
                ["--steps", "2", "--rounds", "1"]
                if rehearse
                else ["--steps", "20", "--rounds", "3" if quick else "5"]
            )
            yield Command(f"{network} at {size} px", tuple(arguments), 420)
    elif part in ("pnp", "augment"):
        few = ["--faces", "64", "--rounds", "1"] if rehearse else ["--faces", "4096"]
        own = [*few, "--study", "0"] if part == "pnp" else ["--batches", "2" if rehearse else "30"]
        yield Command(part, (f"tests/bench/bench_{part}.py", "--json", "--device", device, *own), 240)
    else:
        proxy = folder / "bench.json"
        small = {"resolution": 32, "batch": 16, "epochs": 1, "least_steps": 1} if rehearse else {}
        proxy.write_text(json.dumps(SEARCH_PROXY | small))
        yield Command("faces", make, 240)
        for share in SLICES[:1] if rehearse else SLICES[2:3] if quick else SLICES:
            name = share.replace("/", "_")
            arguments = ["-m", "nas.search", "--budget", "600MFLOPs"]
            arguments += ["--data", faces, "--proxy", str(proxy), "--trials", "2" if rehearse else "16"]
            arguments += ["--out", str(folder / f"search_{name}")]
            arguments += [] if rehearse else ["--gpus-per-trial", share]
            yield Command(f"{share} of a GPU a trial", tuple(arguments), 240)
            status = ("-m", "nas.status", str(folder / f"search_{name}"), "--json")
            yield Command(f"{share} of a GPU a trial, what came of it", status, 60)


ENGINE = (
    ("resnet34", 128, 256, "eager,graphs,compiled,compiled-graphs", 12),
    ("resnet34", 256, 128, "eager,graphs,compiled,compiled-graphs", 0),
    ("deep", 128, 256, "eager,graphs", 0),
    ("deep", 256, 128, "eager,graphs", 0),
)  # network, pixels, batch, launches, workers of the reference's loader
REHEARSED = (("resnet34", 32, 4, "eager", 1),)


def left_out(part: str) -> str:
    """Why a part cannot run here, or ''."""
    wanted = {"searches": ("ray", "optuna", "pandas"), "tests": ("pytest",)}.get(part, ())
    lacking = [name for name in wanted if importlib.util.find_spec(name) is None]
    return f"left out: {' and '.join(lacking)} not installed" if lacking else ""


def run(command: Command, seconds: float) -> dict[str, Any]:
    """Its exit status (124 after `seconds`), time, the JSON that it or its last line is, and what it said."""
    start = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, *command.arguments], cwd=ROOT, env=os.environ | command.environment, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, errors="replace",
        )  # fmt: skip
        status, output = done.returncode, done.stdout
    except subprocess.TimeoutExpired as error:
        status, output = 124, (error.stdout or b"").decode(errors="replace")
    result: dict[str, Any] = {"status": status, "seconds": round(time.monotonic() - start, 1)}
    output = output.strip()
    before, _, last = output.rpartition("\n")
    for rest, text in (("", output), (before, last)):
        try:
            return {**result, "measured": json.loads(text), "output": rest[-TAIL:]}
        except ValueError:
            continue
    return {**result, "output": output[-TAIL:]}


def hardware() -> dict[str, Any]:
    """The machine and the versions, as far as they can be known."""
    import numpy
    import torch

    found: dict[str, Any] = {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if torch.cuda.is_available() else None,
        "numpy": numpy.__version__,
        "system": platform.platform(),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "commit": _said("git", "-C", str(ROOT), "rev-parse", "HEAD"),
    }
    if torch.cuda.is_available():
        about = torch.cuda.get_device_properties(0)
        found["gpu"] = {"name": about.name, "bytes": about.total_memory, "count": torch.cuda.device_count()}
        asked = "driver_version,power.limit,clocks.max.sm,mig.mode.current"
        found["gpu"]["nvidia-smi"] = _said("nvidia-smi", f"--query-gpu={asked}", "--format=csv,noheader")
    return found


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _said(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def measure(
    parts: list[str], out: Path, minutes: float, *, rehearse: bool = False, quick: bool = False
) -> int:
    """Run the parts in order until the minutes are over; 1 where a command failed, 0 otherwise."""
    end, failed = time.monotonic() + 60 * minutes, 0
    report: dict[str, Any] = {"machine": hardware(), "rehearsal": rehearse, "quick": quick, "parts": {}}
    with tempfile.TemporaryDirectory() as folder:
        for part in parts:
            results = report["parts"][part] = {}
            reason = left_out(part)
            for command in () if reason else commands(part, Path(folder), rehearse=rehearse, quick=quick):
                if command.name == "faces" and (Path(folder) / "faces").exists():
                    continue
                left = end - time.monotonic()
                if left < 10:
                    results[command.name] = {"note": f"left out: the {minutes:g} minutes were over"}
                    continue
                print(f"{part}: {command.name}", file=sys.stderr)
                result = results[command.name] = run(command, min(left, command.seconds))
                lacking = re.search(r"No module named '(\w+)", result["output"])
                if result["status"] != 0 and lacking:
                    result["note"] = f"left out: {lacking.group(1)} not installed"
                failed += result["status"] != 0 and not lacking
                _write(out, report)
            if reason:
                results["note"] = reason
                print(f"{part}: {reason}", file=sys.stderr)
            _write(out, report)
    print(out)
    return 1 if failed else 0


def _write(out: Path, report: dict[str, Any]) -> None:
    fresh = out.with_name(f"{out.name}.tmp")
    fresh.write_text(json.dumps(report, indent=1) + "\n")
    os.replace(fresh, out)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("gpu.json"), help="the file (gpu.json)")
    parser.add_argument("--minutes", type=float, default=28, help="after which nothing more is begun (28)")
    parser.add_argument("--parts", default=",".join(PARTS), help="some of them, with commas between")
    parser.add_argument("--rehearse", action="store_true", help="on a CPU, small, to see that all runs")
    parser.add_argument("--quick", action="store_true", help="nothing that compiles, 128 pixels, one search")
    args = parser.parse_args(argv)
    parts = args.parts.split(",")
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"no part {', '.join(unknown)}: there are {', '.join(PARTS)}")
    import torch

    if not args.rehearse and not torch.cuda.is_available():
        parser.error("torch sees no CUDA device here: --rehearse runs the same commands on a CPU")
    return measure(parts, args.out.resolve(), args.minutes, rehearse=args.rehearse, quick=args.quick)


if __name__ == "__main__":
    sys.exit(main())
