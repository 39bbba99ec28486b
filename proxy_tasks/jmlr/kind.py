"""JMLR by name: faces in the challenge's layout, or synthetic ones; L_error in millimetres."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from proxy_tasks.kind import Samples, Score
from proxy_tasks.proxy import Proxy
from space.machine import cache_root
from space.plan import OUTPUTS

if TYPE_CHECKING:
    import torch

    from proxy_tasks.jmlr.judging import Scored
    from proxy_tasks.jmlr.predicting import MeshSamples
    from proxy_tasks.jmlr.task import JmlrTask
    from proxy_tasks.predicting import Asked

VALUES = OUTPUTS // 5 * (3 + 2)  # float32 labels of a sample, of the challenge's mesh


class Jmlr:
    """Mesh and landmarks of a face (Guo et al. 2022)."""

    name = "jmlr"
    score = Score("L_error", "mm", "mean face for every image")
    outputs = OUTPUTS  # of the challenge's mesh
    formats = ("json", "jmlr", "timm", "scrfd", "onnx")

    def look(self, data: str | None, proxy: Proxy) -> Samples:
        """A data set in the WCPA layout, its files found, its people enough to split; or faces to come."""
        if data is None:
            s = proxy.synthetic
            return Samples(str(synthetic_folder(proxy).resolve()), "", s.subjects, s.subjects * s.frames)
        from proxy_tasks.jmlr.wcpa.dataset import WcpaDataset
        from proxy_tasks.split import divide

        dataset = WcpaDataset.open(Path(data).resolve())
        people = dataset.subjects()
        divide(people, proxy.validation_people)
        return Samples(str(dataset.path), dataset.id, len(people), len(dataset.rows["train"]))

    def make(self, proxy: Proxy, say: Callable[[str], None], *, progress: bool = False) -> str:
        """The proxy's synthetic faces, made once and kept in the cache."""
        folder = synthetic_folder(proxy).resolve()
        if (folder / "list").exists():
            return str(folder)
        from proxy_tasks.jmlr.synthetic.dataset import synthesize

        s = proxy.synthetic
        say(f"no --data: synthesising {s.subjects * s.frames:,} faces in {folder}")
        try:
            synthesize(
                folder, subjects=s.subjects, frames=s.frames, size=s.size, seed=s.seed, progress=progress
            )
        except (ValueError, OSError):
            if not (folder / "list").exists():  # another search may have been first
                raise
        return str(folder)

    def open(
        self,
        data: str,
        proxy: Proxy,
        device: torch.device | str = "auto",
        *,
        progress: bool = False,
        trainval: bool = False,
    ) -> JmlrTask:
        """The task on a data set; builds the crop cache where it is not there yet."""
        from proxy_tasks.jmlr.task import JmlrTask

        return JmlrTask.open(Path(data), proxy, device, progress=progress, trainval=trainval)

    def fingerprint(self, data: str, proxy: Proxy) -> str:
        """Of the crops, without reading a picture."""
        from proxy_tasks.jmlr.task import fingerprint_of
        from proxy_tasks.jmlr.wcpa.dataset import WcpaDataset

        return fingerprint_of(WcpaDataset.open(data), proxy)

    def kept_bytes(self, proxy: Proxy) -> int:
        """A crop and its labels."""
        return int(3 * proxy.resolution**2 + VALUES * 4)

    def open_samples(self, asked: Asked, *, progress: bool = False) -> MeshSamples:
        """The images of a split, for networks that predict."""
        from proxy_tasks.jmlr.predicting import open_samples

        return open_samples(asked, progress=progress)

    def lay_out(self, images: Path, data: str, into: Path) -> None:
        """A person's own pictures with landmarks as the test split of a data set, by links below `into`."""
        from proxy_tasks.jmlr.wcpa.own_images import lay_out

        lay_out(images, Path(data) / "resources", into)

    def judge(self, file: Path, data: str) -> Scored:
        """Errors of a file of predictions, by yaw, pitch, distance and facial action."""
        from proxy_tasks.jmlr.judging import judge

        return judge(file, data)


def synthetic_folder(proxy: Proxy) -> Path:
    """Where the faces of a proxy without a data set are kept."""
    from proxy_tasks.jmlr.synthetic import VERSION

    s = proxy.synthetic
    return cache_root() / "synthetic" / f"{s.subjects}x{s.frames}_{s.size}px_seed{s.seed}_v{VERSION}"


KIND = Jmlr()
