"""Peak memory of a search: the driver, a worker, Ray's own processes, and all together.

    python tests/bench/bench_memory.py [--trials 12] [-- any flags of nas.search]

Runs `python -m nas.search` and looks at its processes every quarter second. A process counts with its
proportional set size: a page that several share is divided among them, so that the sum is what the machine
must have. Pages of the data's memory maps can be dropped by the system at any time and are told apart.

Ctrl-C ends it early. Results are in docs/gpu.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

PERIOD = 0.25  # seconds


def descendants(root: int) -> list[int]:
    """`root` and the processes below it."""
    parents: dict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(fields[1])].append(int(folder.name))
    found, todo = [], [root]
    while todo:
        found.append(todo.pop())
        todo += parents[found[-1]]
    return found


def role(pid: int, root: int) -> str:
    """driver, worker (it has run a trial), synthesis (a worker of the data's making) or Ray."""
    if pid == root:
        return "driver"
    words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    if words.startswith("ray::") and "IDLE" not in words:
        return "worker"
    return "synthesis" if "multiprocessing" in words else "Ray"


def sizes(pid: int) -> tuple[int, int]:
    """(proportional bytes, of them mapped from files) of a process."""
    values = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        values[name] = int(rest.split()[0]) * 1024
    return values["Pss"], values.get("Pss_File", 0)


@dataclass
class Peaks:
    """Bytes: of a process by role, its part that is no mapped file, and of all together."""

    whole: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    own: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    together: int = 0
    workers: set[int] = field(default_factory=set)

    def look(self, root: int) -> None:
        """Take in what the processes below `root` hold now."""
        total = 0
        for pid in descendants(root):
            try:
                kind, (size, mapped) = role(pid, root), sizes(pid)
            except (OSError, ValueError, KeyError):
                continue  # it has ended
            if kind == "worker":
                self.workers.add(pid)
            kind = "worker" if pid in self.workers else kind
            self.whole[kind] = max(self.whole[kind], size)
            self.own[kind] = max(self.own[kind], size - mapped)
            total += size
        self.together = max(self.together, total)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--budget", default="5.1GFLOPs")
    parser.add_argument("flags", nargs="*", help="of nas.search, after --")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "nas.search", "--budget", args.budget, "--out", f"{folder}/run"]
        command += ["--trials", str(args.trials), *args.flags]
        process, peaks = subprocess.Popen(command, stdout=subprocess.DEVNULL), Peaks()
        try:
            while process.poll() is None:
                peaks.look(process.pid)
                time.sleep(PERIOD)
        except KeyboardInterrupt:  # which the search has heard too
            process.wait()
    print(f"{' '.join(command[1:])}: exit status {process.returncode}")
    for kind, size in sorted(peaks.whole.items()):
        print(f"{kind:10s} {size / 1e9:6.2f} GB at most each, of them {peaks.own[kind] / 1e9:.2f} GB its own")
    print(f"{'all':10s} {peaks.together / 1e9:6.2f} GB at once")
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
