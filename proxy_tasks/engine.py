"""The training loop: steps, validation, checkpoints. No faces, no paths.

SGD with momentum or AdamW under the schedule of proxy_tasks.schedule. A run is
a fixed number of steps cut into equal intervals; after each one the task is
scored, a checkpoint is offered and the caller is asked whether to go on. The samples of
step s and the seed of their augmentation depend on (seed, s) alone, so a run
resumed from a checkpoint sees what one never stopped would have seen, and each
process of a distributed run takes its slice of the same global batch.

Within an interval nothing waits for the device: the loss is summed there and
read once at the end, where a value that is not finite ends the run. How steps
are launched (eagerly, compiled, as a CUDA graph) changes their time alone.
tests/test_proxy_engine.py; speed in tests/bench/bench_engine.py.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from proxy_tasks import checkpoint as checkpoints
from proxy_tasks.average import WeightAverage
from proxy_tasks.distributed import mean_over_processes, share_statistics, shared_predictor
from proxy_tasks.graphs import GraphedStep
from proxy_tasks.launching import LONG, how_to_launch
from proxy_tasks.precision import cudnn_benchmark, full_float32, use_bf16
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
    """'auto' is the current CUDA device where there is one, else the CPU.

    ValueError for what is no device, or none that can be had here.
    """
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError:
        raise ValueError(f"a device is auto, cpu, cuda or cuda:N, not {device!r}") from None
    if found.type not in ("cpu", "cuda"):
        raise ValueError(f"a device is auto, cpu, cuda or cuda:N, not {device!r}")
    count = torch.cuda.device_count() if found.type == "cuda" else 1
    if (found.index or 0) >= count:
        there = f"there are {count} GPUs here" if count else "no GPU is visible here"
        raise ValueError(f"device {found}, but {there}: give --device auto or cpu")
    return found


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
        with (
            full_float32(),
            torch.inference_mode(),
            torch.autocast(device.type, torch.bfloat16, enabled=bf16),
        ):
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
    launch: str = "auto",
    checkpoint_seconds: float | None = None,
) -> Outcome:
    """Train `model` on `task` as `proxy` says; resumes from `checkpoint` where that file exists.

    `on_epoch` is called after every validation and ends the run by returning False. Where the proxy averages
    weights, the model holds the average while it is scored, in `on_epoch` and after the run. A model already
    wrapped for distributed training is trained as it is; rank 0 writes the checkpoint, at most one in
    `checkpoint_seconds` (proxy_tasks.checkpoint). `launch` is how steps are launched (proxy_tasks.launching).
    float32 means all of it for the length of the run (proxy_tasks.precision).
    Raises ValueError for a checkpoint that belongs to another run, OSError where one cannot be written.
    """
    with ExitStack() as stack:
        stack.enter_context(full_float32())
        run = _Run(model, task, proxy, seed, resolve_device(device), world, launch=launch)
        history = run.resume(checkpoint)
        saver = None
        if checkpoint is not None and world.rank == 0:
            saver = stack.enter_context(checkpoints.Saver(checkpoint, checkpoint_seconds))
        return _go_on(run, history, saver, on_epoch)


def _go_on(
    run: _Run, history: list[Epoch], saver: checkpoints.Saver | None, on_epoch: Callable[[Epoch], bool] | None
) -> Outcome:
    """What is left of a run."""
    for interval in range(len(history), run.length.intervals):
        epoch = run.interval(interval)
        if epoch is None:
            return Outcome("diverged", f"the loss is not finite in interval {interval + 1}", tuple(history))
        history.append(epoch)
        last = interval + 1 == run.length.intervals
        kept = saver is None or saver.offer(lambda: run.state(history), last=last)
        if on_epoch is not None and not run.asked(on_epoch, epoch) and not last:
            if saver is not None and not kept:
                saver.offer(lambda: run.state(history), last=True)
            run.finish()
            return Outcome("stopped", f"stopped after {epoch.epochs:g} epochs", tuple(history))
    run.finish()
    return Outcome("complete", "", tuple(history))


def base_rate(proxy: Proxy) -> float:
    """Highest rate of a run: SGD's grows with the batch (Goyal et al. 2017), AdamW's with its root."""
    size = proxy.batch / 512
    return proxy.lr * (size if proxy.optimizer == "sgd" else math.sqrt(size))


def _optimizer(proxy: Proxy, weights: list[Tensor], rate: float | Tensor) -> torch.optim.Optimizer:
    """`rate` is a tensor where steps are recorded, which must not freeze a number of the CPU's."""
    if proxy.optimizer == "adamw":
        recorded = isinstance(rate, Tensor)
        return torch.optim.AdamW(
            weights, lr=rate, weight_decay=proxy.weight_decay, fused=True, capturable=recorded
        )
    return torch.optim.SGD(
        weights,
        lr=rate,
        momentum=proxy.momentum,
        weight_decay=proxy.weight_decay,
        fused=True,
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
        launch: str = "eager",
    ):
        self.task, self.proxy, self.seed, self.device, self.world = task, proxy, seed, device, world
        self.length = Length.of(proxy, task.train_size)
        self.plain = model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model
        self.model = cast(nn.Module, model.to(device=device, memory_format=torch.channels_last))  # type: ignore[call-overload]
        self.launch = how_to_launch(launch, device, world, self.length.steps)
        self.forward = torch.compile(self.model) if "compiled" in self.launch else self.model
        self.update: Callable[[Tensor, Any], Tensor] = self._update
        self.rate: Tensor | None = None
        if "graphs" in self.launch:
            self.update, self.rate = GraphedStep(self._update), torch.zeros((), device=device)
        self.bf16 = use_bf16(proxy.precision, device)
        self.dense = [_dense(p.detach()) for p in model.parameters()]
        self.optimizer = _optimizer(proxy, self.dense, proxy.lr if self.rate is None else self.rate)
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
        self._agree()
        predict = predictor(self.plain, self.device, self.proxy.precision)
        with self._shown():
            metrics = self.task.evaluate(shared_predictor(predict, self.world))
        metrics["train_loss"] = loss
        epochs = bounds.stop / self.length.steps_per_epoch
        return Epoch(number + 1, epochs, metrics, time.perf_counter() - start)

    def _agree(self) -> None:
        """Let all processes score, and keep, one set of running statistics."""
        share_statistics(self.plain, self.world)
        if self.average is not None:
            share_statistics(self.average.averaged, self.world)

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
        with cudnn_benchmark(self.device.type == "cuda" and self.length.steps >= LONG):
            for step, (images, targets) in zip(steps, self.task.batches(plan, self.world), strict=True):
                total += self._step(step, images, targets)
        return float(total) / max(len(steps), 1)

    def _step(self, step: int, images: Tensor, targets: Any) -> Tensor:
        """The loss before one step of the optimizer, on the device; the next step may overwrite it."""
        rate = learning_rate(step, self.length.steps, self.base, self.proxy.warmup_steps, self.proxy.power)
        if self.rate is not None:
            self.rate.fill_(rate)
        else:
            for group in self.optimizer.param_groups:
                group["lr"] = rate
        return self.update(images, targets)

    def _update(self, images: Tensor, targets: Any) -> Tensor:
        """What of a step the device does alone, so that a CUDA graph can hold it."""
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
        return {
            "format": checkpoints.FORMAT,
            "architecture": shapes_id(self.plain),
            "data": self.task.fingerprint,
            "proxy": self.proxy.id,
            "seed": self.seed,
            "steps": self.length.steps,
        }

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
        assert path is not None
        checkpoints.require_same(path, state["identity"], self.identity())
        self.plain.load_state_dict(state["model"])
        settings = [{k: v for k, v in g.items() if k != "params"} for g in self.optimizer.param_groups]
        self.optimizer.load_state_dict(state["optimizer"])
        for group, own in zip(self.optimizer.param_groups, settings, strict=True):
            group.update(own)  # the rate's tensor among them: a run may resume launched in another way
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        return [Epoch(**e) for e in state["history"]]


def shapes_id(model: nn.Module) -> str:
    """Short hash of the names and shapes of a network's weights: two architectures never share it."""
    shapes = [(name, tuple(weight.shape)) for name, weight in model.state_dict().items()]
    return hashlib.sha256(repr(shapes).encode()).hexdigest()[:12]


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
