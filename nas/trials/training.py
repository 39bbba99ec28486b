"""The real objective: a network trained under a proxy."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nas.trials.trial import Facts
from proxy_tasks.engine import Epoch, Outcome
from proxy_tasks.kind import find_kind
from proxy_tasks.memory import give_back, limit
from proxy_tasks.proxy import Proxy
from space import ArchSpec
from space.latency import LatencyTable
from space.machine import cores

if TYPE_CHECKING:
    from proxy_tasks.task import OpenTask


class ProxyTraining:
    """The real objective: the network trained on a data set under the proxy's settings."""

    def __init__(
        self,
        data: str,
        device: str = "auto",
        threads: int = 0,
        launch: str = "auto",
        task: str | None = None,
        rows: str = "",
    ) -> None:
        """device: "cuda" is refused where there is none;  launch: see engine.fit;  rows: the hash of those
        that the driver sees, where this process must see the same."""
        self.data, self.device, self.threads = data, device, threads
        self.launch, self.rows = launch, rows
        self.kind = find_kind(task)
        self._tasks: dict[str, OpenTask] = {}

    def facts(self, proxy: Proxy, *, progress: bool = False) -> Facts:
        """Read the data and score its mean face; ValueError where a batch cannot be filled.

        On the CPU: what the driver put on a GPU would lie there for the whole search.
        """
        from proxy_tasks.engine import Length, resolve_device

        task = self.kind.open(self.data, proxy, "cpu", progress=progress)
        if resolve_device(self.device).type == "cpu":
            self._tasks[proxy.id] = task
        Length.of(proxy, task.train_size)  # data too small for a batch is a wrong request, not failed trials
        baseline = {k: float(v) for k, v in task.baseline().items()}
        found = task.samples
        return Facts(
            found.path, task.fingerprint, found.subjects, found.images,
            task.outputs, baseline, task.left_out, self.kind.score, getattr(task, "rows_id", ""),
        )  # fmt: skip

    def latencies(
        self, table: LatencyTable | None = None
    ) -> tuple[str, Callable[[Sequence[ArchSpec]], dict[str, float]]]:
        """What latency is measured on here, and its measurement: milliseconds by architecture id.

        Under the conditions of `table` where they are this machine's, which a resumed search may have left,
        and else of one image in float32 on all cores or a GPU.
        """
        import torch

        from proxy_tasks.latency.calibrate import measure
        from proxy_tasks.latency.device import conditions_here, is_here

        device = self.device if self.device == "cpu" or torch.cuda.is_available() else "cpu"
        here = conditions_here(device, threads=cores(), outputs=self.kind.outputs)
        if table is not None and is_here(table.conditions):
            here = table.conditions

        def measured(archs: Sequence[ArchSpec]) -> dict[str, float]:
            return {timed.arch.id: timed.milliseconds for timed in measure(here, list(archs))}

        return f"{here}, {here.software}", measured

    def run(
        self,
        spec: ArchSpec,
        seed: int,
        proxy: Proxy,
        checkpoint: Path,
        report: Callable[[Epoch], bool],
    ) -> Outcome:
        """Train `spec` from `checkpoint` on, where that exists."""
        import torch

        from proxy_tasks.backbone import build_model
        from proxy_tasks.engine import fit, resolve_device

        require_device(self.device)
        if self.threads:
            torch.set_num_threads(self.threads)
        limit(resolve_device(self.device))
        task = self._task(proxy)
        try:
            return fit(
                build_model(spec, task.outputs, seed=seed), task, proxy, seed=seed, device=self.device,
                checkpoint=checkpoint, on_epoch=report, launch=self.launch,
            )  # fmt: skip
        finally:
            give_back()  # or the next network's layers find the allocator cut for this one's

    def hardware(self) -> str:
        from proxy_tasks.engine import hardware

        require_device(self.device)
        return hardware(self.device)

    def _task(self, proxy: Proxy, *, progress: bool = False) -> OpenTask:
        """One open data set a process and proxy, kept for the next job."""
        if proxy.id not in self._tasks:
            task = self.kind.open(self.data, proxy, self.device, progress=progress)
            own = getattr(task, "rows_id", "")
            if self.rows and own != self.rows:
                raise RuntimeError(
                    f"{self.data} is read otherwise here than by the search: rows {own}, not {self.rows}; "
                    "give this node the same files, or remove its crop cache to have it built anew"
                )
            self._tasks[proxy.id] = task
        return self._tasks[proxy.id]


def require_device(device: str) -> None:
    """RuntimeError where a run that holds a GPU would have to train on the CPU."""
    import torch

    if device.startswith("cuda") and not torch.cuda.is_available():
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "not set")
        raise RuntimeError(
            f"this run holds a GPU and torch {torch.__version__} sees none here (CUDA_VISIBLE_DEVICES is "
            f"{visible}): install torch for CUDA and NVIDIA's driver, or let this machine's Ray offer no GPU"
        )
