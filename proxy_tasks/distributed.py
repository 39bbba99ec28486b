"""One network over several processes.

Each process takes its slice of the same global batch (proxy_tasks.task.World) and gradients are averaged
(DDP). Batch norm looks at a process's own slice where that has LOCAL_BATCH images or more, whose statistics
are as good as the whole batch's: nothing then crosses processes in a layer, and running statistics are
averaged before each score. Smaller slices are normalised by the whole batch (`AllReduceBatchNorm`), and the
numbers are those of one process to rounding. torch's SyncBatchNorm is not used: it makes the CPU wait for the
device in every layer, and has no CPU kernel. tests/test_retrain.py, tests/test_proxy_distributed.py
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from proxy_tasks.task import World

LOCAL_BATCH = (
    32  # images a process from which on its own batch norm will do; accuracy stops falling about there
)

_SYNC_RENAMED = "forward_sync_buffers" in inspect.signature(nn.parallel.DistributedDataParallel).parameters


class AllReduceBatchNorm(nn.BatchNorm2d):
    """Batch norm over the batches of all processes, for any backend; parameters as in BatchNorm2d.

    The moments of x cross processes as E[x] and E[x^2] in float64, whose difference is the variance
    (biased to normalise, unbiased in the running estimate, as torch has it). Slices are of one size. Nothing
    waits for the device.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        wide = x.double() if x.device.type == "cpu" else x.float()  # a GPU's float64 is slow, its sums good
        variance, mean = (m.double() for m in torch.var_mean(wide, dim=(0, 2, 3), correction=0))
        moments = _AllReduceMean.apply(torch.stack([mean, variance + mean.square()]))
        mean, variance = moments[0], moments[1] - moments[0].square()
        self._track(mean.detach(), variance.detach(), x.numel() // x.shape[1] * dist.get_world_size())
        scale = self.weight * torch.rsqrt(variance + self.eps).to(self.weight.dtype)
        shift = self.bias - mean.to(self.weight.dtype) * scale
        return (x * scale[:, None, None] + shift[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        running_mean, running_var = self.running_mean, self.running_var
        batches, momentum = self.num_batches_tracked, self.momentum
        assert running_mean is not None and running_var is not None and batches is not None and momentum
        batches.add_(1)
        running_mean.lerp_(mean.to(running_mean), momentum)
        running_var.lerp_((variance * (count / (count - 1))).to(running_var), momentum)


class _AllReduceMean(torch.autograd.Function):
    """Mean over processes.

    DDP averages the parameter gradients of the processes' own losses, so what flows back here is the
    derivative of the sum of all losses by this process's x: the incoming gradients' sum over their number.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _mean(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _mean(gradient)


def _mean(x: Tensor) -> Tensor:
    x = x.contiguous().clone()
    dist.all_reduce(x)
    return x / dist.get_world_size()


def distribute(model: nn.Module, device: torch.device, share: int = 0) -> nn.Module:
    """The model on its device, in DDP; as it is where this process is alone.

    `share`: images of each process's slice of a batch, on which the kind of batch norm depends.
    """
    model = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return model
    if share < LOCAL_BATCH:
        replace_norms(model)
    ddp: Any = nn.parallel.DistributedDataParallel
    same = "forward_sync_buffers" if _SYNC_RENAMED else "broadcast_buffers"  # equal, or averaged in time
    return ddp(model, device_ids=[device] if device.type == "cuda" else None, **{same: False})


def replace_norms(model: nn.Module) -> None:
    """Every BatchNorm2d by an AllReduceBatchNorm that shares its parameters and buffers."""
    for parent in model.modules():
        for name, norm in parent.named_children():
            if type(norm) is nn.BatchNorm2d:
                fresh = AllReduceBatchNorm(norm.num_features, norm.eps, norm.momentum)
                fresh.__dict__.update(norm.__dict__)
                parent.add_module(name, fresh)


def world() -> World:
    """This process's place, or one of one."""
    if not dist.is_initialized():
        return World()
    return World(dist.get_rank(), dist.get_world_size())


def mean_over_processes(value: float, place: World, device: torch.device) -> float:
    """The mean of each process's value, the same in all; a NaN anywhere reaches everyone."""
    if place.size == 1:
        return value
    return float(_mean(torch.tensor(value, dtype=torch.float64, device=device)))


@torch.no_grad()
def share_statistics(model: nn.Module, place: World) -> None:
    """Average the running statistics of batch norms that each process kept of its own slices."""
    kept = [m for m in model.modules() if type(m) is nn.BatchNorm2d]
    if place.size == 1 or not kept:
        return
    buffers = [b for norm in kept for b in norm.buffers() if b.is_floating_point()]
    means = _mean(torch.cat([b.reshape(-1) for b in buffers])).split([b.numel() for b in buffers])
    for buffer, mean in zip(buffers, means, strict=True):
        buffer.copy_(mean.view_as(buffer))


def shared_predictor(predict: Callable[[Tensor], Tensor], place: World) -> Callable[[Tensor], Tensor]:
    """`predict` with the images of each call divided among processes; every process gets all outputs.

    All processes must make the same calls. So validation costs one pass over the images in all, and
    every process scores the same outputs.
    """
    if place.size == 1:
        return predict

    def divided(images: Tensor) -> Tensor:
        share = -(-len(images) // place.size)
        mine = images[place.rank * share : (place.rank + 1) * share]
        outputs = predict(mine) if len(mine) else predict(images[:1])[:0]
        padded = outputs.new_zeros(share, outputs.shape[1])
        padded[: len(outputs)] = outputs
        parts = [torch.empty_like(padded) for _ in range(place.size)]
        dist.all_gather(parts, padded)
        return torch.cat(parts)[: len(images)]

    return divided
