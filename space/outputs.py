"""Folders that one command calls its own: it touches what it wrote there, and nothing else.

A manifest in the folder, `.jmlr-nas.json`, names the command and the files that it wrote. A folder that holds
anything and has no manifest is somebody else's, and refused before the work begins; files that a person puts
beside ours later stay. What is new is made elsewhere and moves in at the end, file by file, and of the files
before, those that are not made again go. tests/test_space_outputs.py
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from space.files import read_object, write_json

MANIFEST = ".jmlr-nas.json"


def require_place(path: Path, flag: str = "--out") -> None:
    """ValueError where `path` cannot be a folder: a file lies there, or on the way to it."""
    for part in (path, *path.parents):
        if part.is_symlink() and not part.exists():
            raise ValueError(f"{flag} {path} cannot be a folder: {part} is a link to nothing")
        if part.exists():
            if not part.is_dir():
                raise ValueError(f"{flag} {path} cannot be a folder: {part} is a file")
            return


def foreign(path: Path) -> list[str]:
    """Names of what lies in a folder, sorted; empty where there is no folder yet."""
    return sorted(os.listdir(path)) if path.is_dir() else []


def named(names: list[str]) -> str:
    """The first few names, for a sentence."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


@dataclass(frozen=True, slots=True)
class OwnFolder:
    """A folder that `command` may write to."""

    path: Path
    command: str

    @classmethod
    def claim(cls, path: Path, command: str, *, flag: str = "--out", inside: bool = False) -> OwnFolder:
        """The folder, which need not exist; ValueError where it is not ours. Creates nothing.

        `inside`: it is a fixed place in a run, ours by its name even without a manifest (older versions
        wrote none).
        """
        require_place(path, flag)
        folder = cls(path, command)
        names = foreign(path)
        if MANIFEST in names:
            owner = folder._manifest().get("command")
            if owner != command:
                raise ValueError(
                    f"{path} was written by {owner}, and {command} would mix with it: "
                    f"name another folder with {flag}"
                )
        elif names and not inside:
            raise ValueError(
                f"{path} holds files that {command} did not write ({named(names)}): "
                f"name a new or an empty folder with {flag}"
            )
        return folder

    def files(self) -> list[str]:
        """Paths within the folder that the command has written, as the manifest names them."""
        found = self._manifest().get("files")
        return [str(name) for name in found] if isinstance(found, list) else []

    def publish(self, fresh: Path, *, keep: bool = False) -> list[Path]:
        """Move every file below `fresh` into the folder; returns them.

        Files of before that are not among them go, unless the folder shall `keep` them. ValueError, with
        nothing moved, where a person's own file would be replaced.
        """
        known = set(self.files())
        adopts = not (self.path / MANIFEST).exists()  # see `inside`: what has our names there is ours
        names = sorted(p.relative_to(fresh).as_posix() for p in fresh.rglob("*") if p.is_file())
        names = [name for name in names if name != MANIFEST]
        for name in names:
            if (self.path / name).exists() and name not in known and not adopts:
                raise ValueError(f"{self.path / name} was not written by {self.command}: move it away first")
        self.path.mkdir(parents=True, exist_ok=True)
        self._write_manifest(sorted(known.union(names)))
        for name in names:
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(fresh / name, self.path / name)
        if not keep:
            for name in known.difference(names):
                self._remove(name)
            self._write_manifest(names)
        return [self.path / name for name in names]

    def _remove(self, name: str) -> None:
        """A file of ours and the folders that it leaves empty; a name that leads elsewhere is not ours."""
        file = self.path / name
        if os.path.isabs(name) or ".." in Path(name).parts or not file.is_file():
            return
        file.unlink()
        for folder in file.parents:
            if folder == self.path or any(folder.iterdir()):
                return
            folder.rmdir()

    def _manifest(self) -> dict[str, object]:
        try:
            return read_object(self.path / MANIFEST)
        except (OSError, ValueError):
            return {}

    def _write_manifest(self, names: list[str]) -> None:
        write_json(self.path / MANIFEST, {"command": self.command, "files": names})
