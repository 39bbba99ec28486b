"""The training loop: steps, precision, validation, checkpoint. No faces, no paths.

SGD with momentum or AdamW under the schedule of proxy_tasks.schedule. A run is
a fixed number of steps cut into equal intervals; after each one the task is
scored, a checkpoint is written and the caller is asked whether to go on. The samples of
step s and the seed of their augmentation depend on (seed, s) alone, so a run
resumed from a checkpoint sees what one never stopped would have seen, and each
process of a distributed run takes its slice of the same global batch.

Within an interval nothing waits for the device: the loss is summed there and
read once at the end, where a value that is not finite ends the run.
tests/test_proxy_engine.py; speed in tests/bench/bench_engine.py.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from proxy_tasks import checkpoint as checkpoints
from proxy_tasks.average import WeightAverage
from proxy_tasks.distributed import mean_over_processes, shared_predictor
from proxy_tasks.proxy import Proxy
from proxy_tasks.schedule import learning_rate
from proxy_tasks.task import Step, Task, World

EVALUATE_BATCH = {"cpu": 64, "cuda": 256}  # images a forward pass of `predictor` at most


@dataclass(frozen=True, slots=True)
class Epoch:
    """One interval between validations: 1-based number, epochs trained so far, metrics, seconds."""

    number: int
    epochs: float
    metrics: dict[str, float]
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: 'complete', 'stopped' (by the caller) or 'diverged', why, and its curve."""

    status: str
    reason: str
    epochs: tuple[Epoch, ...]

    @property
    def final(self) -> dict[str, float]:
        """Metrics of the last validation."""
        return self.epochs[-1].metrics if self.epochs else {}

    @property
    def seconds(self) -> float:
        return sum(e.seconds for e in self.epochs)


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """'auto' is the current CUDA device where there is one, else the CPU."""
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(device)


def use_bf16(precision: str, device: torch.device) -> bool:
    """Whether to run under bf16 autocast: 'auto' asks for hardware that is faster with it."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.backends.mkldnn.is_available() and _cpu_has_bf16()


def _cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bf16 itself: oneDNN also emulates it, slower than float32."""
    if hasattr(torch.cpu, "get_capabilities"):
        found = torch.cpu.get_capabilities()
        return any(found.get(name, False) for name in ("amx_bf16", "avx512_bf16", "arm_bf16", "bf16"))
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", bool)())


def hardware(device: torch.device | str = "auto") -> str:
    """The device in words, for records: GPU name, or threads and processor."""
    device = resolve_device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}, {torch.backends.cpu.get_cpu_capability()}"


@dataclass(frozen=True, slots=True)
class Length:
    """How a proxy's epochs become steps and intervals for a number of training samples."""

    steps_per_epoch: int
    steps: int
    intervals: int

    @classmethod
    def of(cls, proxy: Proxy, train_size: int) -> Length:
        """Of a run on `train_size` samples; ValueError where they do not fill a batch."""
        per_epoch = train_size // proxy.batch
        if per_epoch < 1:
            raise ValueError(
                f"{train_size} training images do not fill one batch of {proxy.batch}: "
                "lower the batch or take more subjects"
            )
        steps = per_epoch * max(proxy.epochs, math.ceil(proxy.least_steps / per_epoch))
        return cls(per_epoch, steps, min(proxy.validations, steps))

    def bounds(self, interval: int) -> range:
        """Steps of 0-based `interval`."""
        return range(
            self.steps * interval // self.intervals,
            self.steps * (interval + 1) // self.intervals,
        )


def plan_steps(proxy: Proxy, length: Length, train_size: int, seed: int, steps: range) -> Iterator[Step]:
    """The samples of each of `steps`: a fresh permutation every epoch, last partial batch dropped."""
    order, shuffled = torch.empty(0), -1
    for step in steps:
        epoch, i = divmod(step, length.steps_per_epoch)
        if epoch != shuffled:
            order = torch.randperm(train_size, generator=_generator(seed, 1, epoch))
            shuffled = epoch
        yield Step(order[i * proxy.batch : (i + 1) * proxy.batch], _mix(seed, 2, step))


def predictor(model: nn.Module, device: torch.device, precision: str = "auto") -> Callable[[Tensor], Tensor]:
    """The model as a function (b, 3, S, S) -> (b, outputs) float32, in evaluation mode, in chunks."""
    bf16, most = use_bf16(precision, device), EVALUATE_BATCH.get(device.type, 64)

    def predict(images: Tensor) -> Tensor:
        was_training = model.training
        model.eval()
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            chunks = [model(_laid_out(chunk, device)).float() for chunk in images.split(most)]
        model.train(was_training)
        return torch.cat(chunks)

    return predict


def fit(
    model: nn.Module,
    task: Task,
    proxy: Proxy,
    *,
    seed: int,
    device: str | torch.device = "auto",
    checkpoint: Path | None = None,
    on_epoch: Callable[[Epoch], bool] | None = None,
    world: World = World(),  # noqa: B008  frozen
    compile: bool = False,
) -> Outcome:
    """Train `model` on `task` as `proxy` says; resumes from `checkpoint` where that file exists.

    `on_epoch` is called after every validation and ends the run by returning False. Where the proxy averages
    weights, the model holds the average while it is scored, in `on_epoch` and after the run. A model already
    wrapped for distributed training is trained as it is; rank 0 writes the checkpoint. `compile` trains
    through torch.compile; tests/bench/bench_engine.py --compile says whether that pays on a device.
    Raises ValueError for a checkpoint that belongs to another run.
    """
    run = _Run(model, task, proxy, seed, resolve_device(device), world, compile=compile)
    history = run.resume(checkpoint)
    for interval in range(len(history), run.length.intervals):
        epoch = run.interval(interval)
        if epoch is None:
            return Outcome("diverged", f"the loss is not finite in interval {interval + 1}", tuple(history))
        history.append(epoch)
        if checkpoint is not None and world.rank == 0:
            checkpoints.save(checkpoint, run.state(history))
        if on_epoch is not None and not run.asked(on_epoch, epoch) and interval + 1 < run.length.intervals:
            run.finish()
            return Outcome("stopped", f"stopped after {epoch.epochs:g} epochs", tuple(history))
    run.finish()
    return Outcome("complete", "", tuple(history))


def base_rate(proxy: Proxy) -> float:
    """Highest rate of a run: SGD's grows with the batch (Goyal et al. 2017), AdamW's with its root."""
    size = proxy.batch / 512
    return proxy.lr * (size if proxy.optimizer == "sgd" else math.sqrt(size))


def _optimizer(proxy: Proxy, weights: list[Tensor]) -> torch.optim.Optimizer:
    if proxy.optimizer == "adamw":
        return torch.optim.AdamW(weights, lr=proxy.lr, weight_decay=proxy.weight_decay, fused=True)
    return torch.optim.SGD(
        weights, lr=proxy.lr, momentum=proxy.momentum, weight_decay=proxy.weight_decay, fused=True
    )


class _Run:
    """The moving parts of one training run."""

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        proxy: Proxy,
        seed: int,
        device: torch.device,
        world: World,
        *,
        compile: bool = False,
    ):
        self.task, self.proxy, self.seed, self.device, self.world = task, proxy, seed, device, world
        self.length = Length.of(proxy, task.train_size)
        self.plain = model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model
        self.model = cast(nn.Module, model.to(device=device, memory_format=torch.channels_last))  # type: ignore[call-overload]
        self.forward = torch.compile(self.model) if compile else self.model
        self.bf16 = use_bf16(proxy.precision, device)
        self.dense = [_dense(p.detach()) for p in model.parameters()]
        self.optimizer = _optimizer(proxy, self.dense)
        self.base = base_rate(proxy)
        share = proxy.average
        self.average = WeightAverage(self.plain, share, self.length.steps) if share else None

    def interval(self, number: int) -> Epoch | None:
        """Train and score one interval; None where the loss was not finite."""
        start = time.perf_counter()
        bounds = self.length.bounds(number)
        loss = mean_over_processes(self._train(bounds), self.world, self.device)
        if not math.isfinite(loss):
            return None
        predict = predictor(self.plain, self.device, self.proxy.precision)
        with self._shown():
            metrics = self.task.evaluate(shared_predictor(predict, self.world))
        metrics["train_loss"] = loss
        epochs = bounds.stop / self.length.steps_per_epoch
        return Epoch(number + 1, epochs, metrics, time.perf_counter() - start)

    def asked(self, on_epoch: Callable[[Epoch], bool], epoch: Epoch) -> bool:
        """Whether the caller wants to go on; it sees the weights that were scored."""
        with self._shown():
            return on_epoch(epoch)

    def finish(self) -> None:
        """Leave the weights that were scored in the model."""
        if self.average is not None:
            self.average.give()

    def _shown(self) -> AbstractContextManager[None]:
        return self.average.shown() if self.average is not None else nullcontext()

    def _train(self, steps: range) -> float:
        self.model.train()
        plan = plan_steps(self.proxy, self.length, self.task.train_size, self.seed, steps)
        total = torch.zeros((), device=self.device)
        for step, (images, targets) in zip(steps, self.task.batches(plan, self.world), strict=True):
            total += self._step(step, images, targets)
        return float(total) / max(len(steps), 1)

    def _step(self, step: int, images: Tensor, targets: Any) -> Tensor:
        rate = learning_rate(step, self.length.steps, self.base, self.proxy.warmup_steps, self.proxy.power)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            outputs = self.forward(images)
        loss = self.task.loss(outputs, targets)
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        for dense, parameter in zip(self.dense, self.model.parameters(), strict=True):
            dense.grad = None if parameter.grad is None else _dense(parameter.grad)
        self.optimizer.step()
        if self.average is not None:
            self.average.update()
        return loss.detach()

    def identity(self) -> dict[str, Any]:
        """What must agree for a checkpoint to be this run's."""
        return {"proxy": self.proxy.id, "seed": self.seed, "steps": self.length.steps}

    def state(self, history: list[Epoch]) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {
            "identity": self.identity(),
            "model": self.plain.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            **({"average": self.average.state_dict()} if self.average is not None else {}),
            "history": [asdict(e) for e in history],
        }

    def resume(self, path: Path | None) -> list[Epoch]:
        """Epochs of the checkpoint at `path`, once loaded; [] and a prepared model where there is none."""
        state = checkpoints.load(path, self.device) if path is not None else None
        if state is None:
            self.task.prepare(self.plain)
            return []
        if state["identity"] != self.identity():
            raise ValueError(
                f"checkpoint {path} is of another run: {state['identity']}, not {self.identity()}"
            )
        self.plain.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        return [Epoch(**e) for e in state["history"]]


def _dense(weight: Tensor) -> Tensor:
    """The same memory as a contiguous tensor: on a CPU torch's fused SGD copies channels-last ones first."""
    return weight.permute(0, 2, 3, 1) if weight.dim() == 4 else weight


def _laid_out(images: Tensor, device: torch.device) -> Tensor:
    return images.to(device=device, memory_format=torch.channels_last)


def _mix(*parts: int) -> int:
    """A 63-bit seed from small integers (splitmix64), so that neighbouring runs share no stream."""
    state = 0
    for part in parts:
        state = (state + part + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 31
    return state >> 1


def _generator(*parts: int) -> torch.Generator:
    return torch.Generator().manual_seed(_mix(*parts))
