"""run.json: what was asked, what was decided, and with which versions of what."""

from __future__ import annotations

import importlib.metadata
import platform
import shlex
import subprocess
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nas.record.run_dir import RunDir
from nas.record.storage import from_anywhere, without_password
from nas.search.config import SearchConfig
from nas.search.plan import Plan

PACKAGES = ("torch", "optuna", "ray", "numpy", "scipy", "opencv-python-headless")


def describe(config: SearchConfig, plan: Plan, run: RunDir, argv: Sequence[str]) -> dict[str, Any]:
    """The contents of a new run.json; data, hardware and baseline follow once the data is ready."""
    prefix = f"{run.path.name}-{uuid.uuid4().hex[:8]}/" if config.storage else ""
    return {
        "format": 1,
        "command": shlex.join(["python", "-m", "nas.search", *map(without_password, argv)]),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": config.to_dict(),
        "seed": plan.seed,
        "budget": plan.budget.to_dict(),
        "space": plan.space.to_dict(),
        "feasible": {"id": plan.feasible.id, "count": plan.feasible.count, "left": plan.feasible.left},
        "caps": plan.feasible.caps.to_dict(),
        "control": {"arch": plan.control.to_dict(), "name": plan.control_name},
        "seed_archs": [arch.to_dict() for arch in plan.seed_archs],
        "proxy": plan.proxy.to_dict(),
        "proxy_id": plan.proxy.id,
        "race_proxy": plan.race_proxy.to_dict(),
        "demonstration": plan.demonstration,
        "store": {"url": from_anywhere(config.storage), "prefix": prefix},
        "versions": versions(),
        "commit": commit(),
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The commit of this code, with '+' where it has been edited since; None outside a repository."""
    here = Path(__file__).resolve().parent
    try:
        head = _git(here, "rev-parse", "HEAD")
        return head + ("+" if _git(here, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=5
    )
    return done.stdout.strip()
