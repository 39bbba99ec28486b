"""A drill: a search on a cluster where nearly everything goes wrong, and what came of it.

    python tests/drill_cluster.py [FOLDER]        some minutes, no GPU: Ray is told of GPUs that are not there

A head without a GPU, and nodes with two each: one loses its CUDA context, one lacks the data, one is killed
half-way and one joins late. The search has a relative --out, and the cluster was started from another
folder. Training is a stand-in that fails as those nodes would (tests/faulty_nodes.py). The same search is
then run where nothing goes wrong, and must find the same. tests/test_drill_cluster.py runs it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ray_nodes import TESTS, Nodes

from nas.record.select import select
from nas.record.store import Store, TrialRecord

TRIALS = 40
SPACE = ["--max-depth", "6", "--max-width", "128", "--width-step", "16", "--tolerance", "0.1"]
JOINS, DIES = 12, 40  # notes after which the late node joins, and one is killed
PATIENCE = 900  # seconds


@dataclass
class Outcome:
    """What a drill left: the search's records, the quiet search's, notes of training, what was printed."""

    records: list[TrialRecord]
    quiet: list[TrialRecord]
    notes: list[list]
    printed: str
    log: str
    status: int

    @property
    def validations(self) -> list[list]:
        return [note for note in self.notes if note[0] != "begun"]

    @property
    def repeated(self) -> int:
        """Intervals that were trained more than once."""
        return sum(n - 1 for n in Counter((n[1], n[2], n[0]) for n in self.validations).values())

    def table(self) -> str:
        """What happened where."""
        rows = ["node      begun  validations  on a GPU"]
        for name in sorted({note[3] for note in self.notes}):
            mine = [note for note in self.notes if note[3] == name]
            begun = sum(note[0] == "begun" for note in mine)
            on_gpu = sum(note[0] != "begun" and note[4] != "cpu" for note in mine)
            rows.append(f"{name:9} {begun:5}  {len(mine) - begun:11}  {on_gpu:8}")
        states = Counter(record.state for record in self.records)
        best, quiet = select(self.records).best, select(self.quiet).best
        rows += [
            f"runs      {dict(states)}, intervals trained twice: {self.repeated}",
            f"best      {best.arch.id}; where nothing went wrong {quiet.arch.id}",
            *(f"said      {line}" for line in self.printed.splitlines() if "gets no more trials" in line),
        ]
        return "\n".join(rows)


def command(out: str, notes: Path, *more: str) -> list[str]:
    arguments = json.dumps({"notes": str(notes), "seconds": 8.0})
    proxy = notes.parent / "three.json"
    proxy.write_text(json.dumps({"epochs": 3, "evaluations": 0}))
    return [
        sys.executable, "-m", "nas.search", "--out", out, "--budget", "0.5GFLOPs", *SPACE,
        "--strategy", "random", "--trials", str(TRIALS), "--finalists", "2", "--proxy", str(proxy),
        "--objective", "faulty_nodes:Faulty", "--objective-args", arguments, *more,
    ]  # fmt: skip


def drill(root: Path) -> Outcome:
    """Run it in `root`."""
    notes, home = root / "notes", root / "driver"
    home.mkdir(parents=True)
    env = {**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}", "OMP_NUM_THREADS": "1"}
    with Nodes(root / "elsewhere") as nodes, open(root / "printed", "w") as printed:
        for name, fault in (("first", ""), ("broken", "cuda"), ("bare", "data")):
            nodes.add(name, num_gpus=2, fault=fault)
        search = subprocess.Popen(
            command("run", notes, "--ray-address", nodes.address, "--gpus-per-trial", "1"),
            cwd=home, env=env, stdout=printed, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            _wait(notes, JOINS, search)
            nodes.add("late", num_gpus=2)
            _wait(notes, DIES, search)
            nodes.kill("first")
            status = search.wait(timeout=PATIENCE)
        finally:
            search.kill()
            search.wait()
    quiet = command(str(root / "quiet"), root / "quiet_notes", "--launcher", "inprocess", "--quiet")
    quiet[quiet.index("--objective") + 1] = "nas.trials.standin:Standin"
    quiet[quiet.index("--objective-args") + 1] = "{}"
    subprocess.run(quiet, cwd=home, env=env, check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE)
    return Outcome(
        Store.open(home / "run").records(),
        Store.open(root / "quiet").records(),
        [json.loads(line) for line in notes.read_text().splitlines()],
        (root / "printed").read_text(),
        (home / "run" / "log.txt").read_text(),
        status,
    )


def _wait(notes: Path, count: int, search: subprocess.Popen) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and search.poll() is None:
        if notes.exists() and len(notes.read_text().splitlines()) >= count:
            return
        time.sleep(0.1)


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="drill-"))
    outcome = drill(folder)
    print(outcome.table())
    sys.exit(outcome.status)
