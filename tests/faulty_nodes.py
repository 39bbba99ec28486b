"""A stand-in for training that fails as nodes do, by a setting of the node, and notes where it trained.

DRILL_NODE is the node's name and DRILL_FAULT what is wrong with it: `cuda` (a context that is lost), `data`
(no data set there), `gpu` (torch without CUDA), or nothing.
"""

import json
import os
from pathlib import Path

import ray

from nas.trials.standin import Standin


class Faulty(Standin):
    """Notes [what, architecture, seed, node, GPU] for "begun" and for every validation."""

    def __init__(self, notes, **settings):
        super().__init__(**settings)
        self.notes = Path(notes)

    def run(self, spec, seed, proxy, checkpoint, report):
        self._note("begun", spec, seed)
        fault = os.environ.get("DRILL_FAULT")
        if fault == "cuda":
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        if fault == "data":
            raise FileNotFoundError(2, "No such file or directory", "/data/wcpa/list")
        if fault == "gpu":
            from nas.trials.training import require_device

            require_device("cuda")

        def noted(epoch):
            self._note(epoch.number, spec, seed)
            return report(epoch)

        return super().run(spec, seed, proxy, checkpoint, noted)

    def _note(self, what, spec, seed):
        device = ",".join(map(str, ray.get_gpu_ids())) or "cpu"
        cache = os.environ.get("JMLR_NAS_CACHE", "")
        with open(self.notes, "a") as file:
            file.write(json.dumps([what, spec.id, seed, os.environ.get("DRILL_NODE"), device, cache]) + "\n")
