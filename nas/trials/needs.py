"""What one training run needs: images, seconds and device memory.

Seconds are measured by a few training steps on noise. Memory is predicted from the spec:

    peak = fixed + batch * activations * bytes an activation + parameters * bytes a parameter

activations are the outputs of all convolutions at the proxy's resolution (ArchSpec.activations); what the
backward pass keeps of each, with batch norm and ReLU beside it, nas/search/memory.py measures once on a
device. Weights, gradients and momentum take 4 bytes each. tests/test_search_memory.py
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Any

from proxy_tasks.kind import VALIDATION_SHARE, Samples
from proxy_tasks.proxy import Proxy
from space.arch import ArchSpec
from space.plan import OUTPUTS
from space.telling import doing

PARAMETER_BYTES = 12  # float32 weight, gradient, momentum
MOMENT_BYTES = 4  # of a second moment, or of an average of the weights
SCORED = 2048  # validation images scored together on a GPU
CHUNK = 256  # of those, in one forward pass
ALIVE = 0.25  # share of a network's activations that lie in memory at once in a forward pass
OUTPUT_BYTES = 40  # of each output of a network: its value, its target, and float64 copies for the pose
STEPS = 3  # timed, after one that is not
CPU_BATCH = 32  # images of a step timed on a CPU: 512 at 256 pixels would take minutes and 10 GB
VALIDATION = VALIDATION_SHARE / (1 - VALIDATION_SHARE)  # validation images for each training image
FORWARD = 1 / 3  # of a training step's cost


@dataclass(frozen=True, slots=True)
class Calibration:
    """What one device needs beyond parameters: bytes an activation, and bytes a process."""

    activation_bytes: float = 8.0  # bf16: input, normalised and rectified copies, gradients in flight
    fixed_bytes: float = 1.2e9  # CUDA context, cuDNN workspaces, the caching allocator's slack
    measured: bool = False


def peak_bytes(spec: ArchSpec, proxy: Proxy, calibration: Calibration, outputs: int = OUTPUTS) -> float:
    """Predicted peak of one training run of `spec` under `proxy`."""
    activations = proxy.batch * spec.activations(proxy.resolution) * calibration.activation_bytes
    return calibration.fixed_bytes + activations + _weights(spec, proxy, outputs)


def scoring_bytes(spec: ArchSpec, proxy: Proxy, calibration: Calibration, outputs: int = OUTPUTS) -> float:
    """Predicted peak of a validation between two epochs: more than of training where the batch is small."""
    images = SCORED * (3 * proxy.resolution**2 * 5 + outputs * OUTPUT_BYTES)  # bytes, and as float32
    forward = CHUNK * spec.activations(proxy.resolution) * ALIVE * 4
    return calibration.fixed_bytes + images + forward + _weights(spec, proxy, outputs)


def _weights(spec: ArchSpec, proxy: Proxy, outputs: int) -> float:
    moments = (proxy.optimizer == "adamw") + (proxy.average > 0)
    return spec.params(outputs) * (PARAMETER_BYTES + MOMENT_BYTES * moments)


def training_step(spec: ArchSpec, proxy: Proxy, batch: int, device: Any, outputs: int = OUTPUTS) -> Any:
    """A function that does one step of SGD on noise, as proxy_tasks.engine does on data."""
    import torch

    from proxy_tasks.backbone import build_model
    from proxy_tasks.engine import use_bf16

    model = build_model(spec, outputs).to(device)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, fused=True)
    images = torch.randn(batch, 3, proxy.resolution, proxy.resolution, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    bf16 = use_bf16(proxy.precision, device)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            outputs = model(images)
        optimizer.zero_grad(set_to_none=True)
        outputs.float().square().mean().backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return step


def step_seconds(
    arch: ArchSpec, proxy: Proxy, device: object, most: int = CPU_BATCH, outputs: int = OUTPUTS
) -> float:
    """Median of a few training steps of one network; at most `most` images are timed on a CPU."""
    batch = proxy.batch
    timed = min(batch, most) if str(device) == "cpu" else batch
    with doing("timing a few training steps"):
        return _step_seconds(training_step(arch, proxy, timed, device, outputs)) * batch / timed


def _step_seconds(step: Any) -> float:
    step()
    times = []
    for _ in range(STEPS):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def training_images(proxy: Proxy, found: Samples) -> int:
    """Images that a run trains on: those of its share of the subjects, within the proxy's bounds."""
    frames = found.images / max(1, found.subjects)
    trained = round(found.subjects * (1 - VALIDATION_SHARE))
    trained = min(trained, proxy.subjects) if proxy.subjects else trained
    return round(trained * (min(frames, proxy.frames) if proxy.frames else frames))


def seconds_per_run(proxy: Proxy, images: int, step: float) -> float:
    """Training plus a validation after every interval; ValueError where a run could not fill a batch."""
    from proxy_tasks.engine import Length

    length = Length.of(proxy, images)
    validation = length.intervals * images * VALIDATION / proxy.batch * step * FORWARD
    return length.steps * step + validation
