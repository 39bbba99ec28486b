"""A Ray cluster of several nodes on this machine, in a process and a folder of its own.

python tests/ray_nodes.py          reads commands from stdin, one a line; answers each with a line

add NAME {"num_gpus": 2, "fault": "cuda"}     kill NAME     (the head has a core and no GPU)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent
ROOM = {"object_store_memory": 80 * 2**20}


class Nodes:
    """The cluster as a test sees it; its nodes' processes start in `folder`."""

    def __init__(self, folder: Path, head: dict | None = None, **environment: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        env = {**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), json.dumps(head or {})],
            env={**env, **environment}, cwd=folder, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.address = self._answer()

    def add(self, name: str, **settings: object) -> str:
        """Start a node; its id."""
        return self._tell(f"add {name} {json.dumps(settings)}")

    def kill(self, name: str) -> str:
        """End a node's raylet at once, as a power failure would."""
        return self._tell(f"kill {name}")

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=120)
        self._process.stdout.close()

    def __enter__(self) -> Nodes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tell(self, line: str) -> str:
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        for line in self._process.stdout:
            if line.startswith("answer "):
                return line.split(maxsplit=1)[1].strip()
        raise AssertionError("the cluster's process ended")


def main() -> None:
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "num_gpus": 0, "include_dashboard": False, **ROOM, **json.loads(sys.argv[1])}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes: dict[str, object] = {}
    print("answer", cluster.address, flush=True)
    for line in sys.stdin:
        what, name, *rest = line.split(maxsplit=2)
        if what == "add":
            settings = json.loads(rest[0])
            os.environ["DRILL_NODE"], os.environ["DRILL_FAULT"] = name, settings.pop("fault", "")
            nodes[name] = cluster.add_node(**{"num_cpus": 2, **ROOM, **settings})
            print("answer", nodes[name].node_id, flush=True)
        else:
            process = nodes[name].all_processes["raylet"][0].process
            process.kill()
            print("answer", process.pid, flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
