"""One network to be trained in full: what it is, on what, how, and the folder that is its alone.

    retrain/<arch id>-<settings hash>-s<seed>/

The hash covers everything else that changes the numbers: the schedule and the
data's settings, the data set itself, and whether the validation subjects train
too. So no two different runs meet in a folder, and the same command finds its
own again to resume it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy_tasks.kind import DEFAULT
from proxy_tasks.proxy import Proxy
from space.arch import ArchSpec

NOT_SETTINGS = ("name", "synthetic")  # of a Proxy: what it is called, and faces that data_id stands for


@dataclass(frozen=True, slots=True)
class RetrainJob:
    """`data` is what the task opens, `data_id` the hash of what is in it."""

    arch: ArchSpec
    name: str  # of a reference architecture, else ""
    proxy: Proxy
    seed: int
    data: str
    data_id: str
    trainval: bool = False
    task: str = DEFAULT

    @property
    def settings_id(self) -> str:
        """Short hash of schedule, data and split."""
        settings = {k: v for k, v in self.proxy.to_dict().items() if k not in NOT_SETTINGS}
        parts: list[Any] = [settings, self.data_id, self.trainval]
        parts += [self.task] if self.task != DEFAULT else []  # folders of before tasks had names keep theirs
        text = json.dumps(parts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def folder_name(self) -> str:
        """Name of the folder that is this run's alone."""
        return f"{self.arch.id}-{self.settings_id}-s{self.seed}"

    def folder(self, run: Path) -> Path:
        """Its folder below `run`."""
        return run / "retrain" / self.folder_name

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON and for the workers."""
        return {
            "arch": self.arch.to_dict(),
            "name": self.name,
            "proxy": self.proxy.to_dict(),
            "seed": self.seed,
            "data": self.data,
            "data_id": self.data_id,
            "trainval": self.trainval,
            "task": self.task,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> RetrainJob:
        """Inverse of to_dict."""
        arch, proxy = ArchSpec.from_dict(values["arch"]), Proxy.from_dict(values["proxy"])
        return cls(**{**values, "arch": arch, "proxy": proxy})
