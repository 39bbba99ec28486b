"""A second task, outside the packages: how far has a handwritten digit been turned?

    python -m nas.search --task examples.digits:KIND --budget 0.5GFLOPs --proxy examples/digits.json
    python -m nas.retrain runs/NAME --proxy examples/digits.json
    python -m nas.ensemble runs/NAME
    python -m nas.export runs/NAME --format json onnx --out export

The 1,797 digits of scikit-learn (8 x 8 pixels; nothing is downloaded) are drawn at the proxy's
resolution and turned by a known angle of at most 60 degrees. Networks answer with its sine and cosine; the
score is the mean error of the angle in degrees. One in five digits validates, turned once and for all.
tests/test_second_task.py takes it through every command.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from proxy_tasks.engine import resolve_device
from proxy_tasks.kind import SCORE, General, Samples, Score
from proxy_tasks.proxy import Proxy
from proxy_tasks.task import Step, World

MOST = math.radians(60)  # either way
SHARE = 5  # one in so many validates
CHUNK = 256  # images scored together


def digits() -> Tensor:
    """(1797, 8, 8) float32 in [-1, 1], as scikit-learn has them."""
    from sklearn.datasets import load_digits

    return torch.as_tensor(load_digits().images, dtype=torch.float32) / 8 - 1


def turned(images: Tensor, angles: Tensor, side: int) -> Tensor:
    """(b, 3, side, side) of images (b, 8, 8) turned by angles (b,) in radians, counter-clockwise."""
    cos, sin, zero = angles.cos(), angles.sin(), torch.zeros_like(angles)
    theta = torch.stack([cos, -sin, zero, sin, cos, zero], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(theta, [len(images), 1, side, side], align_corners=False)
    drawn = F.grid_sample(images[:, None] + 1, grid, mode="bicubic", align_corners=False) - 1
    return drawn.expand(-1, 3, -1, -1)


class Digits:
    """Training and validation digits under one proxy's settings; see proxy_tasks.task.OpenTask."""

    outputs = 2
    left_out: tuple[str, ...] = ()

    def __init__(self, proxy: Proxy, device: torch.device | str, samples: Samples, *, trainval: bool):
        self.proxy, self.device, self.samples = proxy, resolve_device(device), samples
        images = digits().to(self.device)
        held = torch.arange(len(images)) % SHARE == 0
        self.split = tuple(tuple(map(str, kept.nonzero().flatten().tolist())) for kept in (~held, held))
        self.fingerprint = f"{samples.id}-{proxy.resolution}px"
        self.target = {"answer": "sine and cosine"}
        self.train = (images if trainval else images[~held])[: proxy.subjects or None]
        self.shown = images[held][: proxy.validation_images or None]
        generator = torch.Generator().manual_seed(0)
        self.truth = (torch.rand(len(self.shown), generator=generator) * 2 - 1).to(self.device) * MOST

    @property
    def train_size(self) -> int:
        return len(self.train)

    @property
    def validation_size(self) -> int:
        return len(self.shown)

    def prepare(self, model: nn.Module) -> None:
        """Start at no turn at all: sine 0, cosine 1."""
        head = model.get_submodule("fc")
        with torch.no_grad():
            head.get_parameter("weight").zero_()
            head.get_parameter("bias").copy_(torch.tensor([0.0, 1.0]))

    def batches(self, steps: Iterable[Step], world: World) -> Iterator[tuple[Tensor, Tensor]]:
        """Turned digits (b, 3, S, S), and (b, 2) sine and cosine of their angles."""
        for step in steps:
            part = world.part(len(step.indices))
            drawn = torch.rand(len(step.indices), generator=torch.Generator().manual_seed(step.seed))
            angles = ((drawn * 2 - 1) * MOST)[part].to(self.device)
            images = turned(self.train[step.indices[part].to(self.device)], angles, self.proxy.resolution)
            yield images, torch.stack([angles.sin(), angles.cos()], dim=1)

    def loss(self, outputs: Tensor, targets: Any) -> Tensor:
        return F.l1_loss(outputs, targets)

    def evaluate(self, predict: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """Mean and median error of the angle, degrees."""
        chunks = torch.arange(len(self.shown)).split(CHUNK)
        errors = torch.cat([self.errors(predict(self.inputs(rows)), rows) for rows in chunks])
        return {SCORE: float(errors.mean()), "median_deg": float(errors.median())}

    def inputs(self, rows: Tensor) -> Tensor:
        """(b, 3, S, S) of some validation digits; with `errors`, all that predictions and ensembles ask."""
        return turned(self.shown[rows], self.truth[rows], self.proxy.resolution)

    def errors(self, outputs: Tensor, rows: Tensor) -> Tensor:
        """(b,) degrees between what was answered and the angle of some validation digits."""
        off = torch.atan2(*outputs.double().to(self.device).unbind(1)) - self.truth[rows]
        return torch.atan2(off.sin(), off.cos()).abs().rad2deg()

    def baseline(self) -> dict[str, float]:
        """Of no turn for every digit."""
        return self.evaluate(lambda images: torch.tensor([[0.0, 1.0]]).expand(len(images), -1))


class DigitsKind(General):
    """What the commands ask; see proxy_tasks.kind.TaskKind."""

    name = "digits"
    score = Score("angle error", "degrees", "no turn for every digit")
    outputs = Digits.outputs

    @cached_property
    def samples(self) -> Samples:
        images = digits().numpy()
        return Samples("digits", hashlib.sha256(images.tobytes()).hexdigest()[:12], len(images), len(images))

    def look(self, data: str | None, proxy: Proxy) -> Samples:
        if data not in (None, self.samples.path):
            raise ValueError(f"the digits come with scikit-learn: leave out --data {data}")
        return self.samples

    def make(self, proxy: Proxy, say: Callable[[str], None], *, progress: bool = False) -> str:
        return self.samples.path

    def open(
        self,
        data: str,
        proxy: Proxy,
        device: torch.device | str = "auto",
        *,
        progress: bool = False,
        trainval: bool = False,
    ) -> Digits:
        return Digits(proxy, device, self.look(data, proxy), trainval=trainval)


KIND = DigitsKind()
