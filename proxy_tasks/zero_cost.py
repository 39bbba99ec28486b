"""Scores of an architecture that cost one batch or nothing: no training step is taken.

macs, params, activations
    counted from the layer plan (activations as in Radosavovic et al., "Designing Network Design Spaces",
    CVPR 2020)
grad_norm
    sum over convolutions and linear layers of the Euclidean norm of the loss's gradient by their weights
    (Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021)
naswot
    log |K|, K[i, j] the number of ReLU units that are on for both images i and j or off for both
    (Mellor et al., "Neural Architecture Search without Training", ICML 2021)
log_synflow
    log of the sum over weights of w dR/dw, R the sum of outputs of the network with absolute weights and
    without batch norm on an image of ones (Tanaka et al., "Pruning neural networks without any data by
    iteratively conserving synaptic flow", NeurIPS 2020; as a score, Abdelfattah et al.)

The networks are proxy_tasks.backbone's at initialisation with one change: every batch-norm scale is 1. For
training the last one of each block starts at 0, which would hide the residual branches, and so all depth.
SynFlow grows as a product over layers and passes any float for deep networks; it is computed in logarithms,
which keep its ranking. tests/test_zero_cost.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from proxy_tasks.backbone import ResidualBlock, build_model
from proxy_tasks.task import Step, Task, World
from space.arch import ArchSpec


@dataclass(frozen=True, slots=True)
class Batch:
    """images (B, 3, S, S) in [-1, 1], B > 1, and the loss of a network's outputs (B, outputs) on them."""

    images: Tensor
    loss: Callable[[Tensor], Tensor]
    outputs: int

    @classmethod
    def of(cls, task: Task, size: int = 32, seed: int = 0) -> Batch:
        """The first `size` training samples of a shuffle by `seed`."""
        order = torch.randperm(task.train_size, generator=torch.Generator().manual_seed(seed))
        step = Step(indices=order[:size], seed=seed)
        images, targets = next(iter(task.batches([step], World())))
        return cls(images, lambda outputs: task.loss(outputs, targets), task.outputs)


def zero_cost_scores(spec: ArchSpec, batch: Batch, seed: int = 0) -> dict[str, float]:
    """All six: macs (at 256x256), params, activations, grad_norm, naswot, log_synflow."""
    return {
        "macs": spec.macs(outputs=batch.outputs),
        "params": spec.params(outputs=batch.outputs),
        "activations": spec.activations(outputs=batch.outputs),
        "grad_norm": grad_norm(spec, batch, seed),
        "naswot": naswot(spec, batch, seed),
        "log_synflow": log_synflow(spec, batch, seed),
    }


def grad_norm(spec: ArchSpec, batch: Batch, seed: int = 0) -> float:
    """Sum over layers of the norm of the loss's gradient by their weights; the loss's units."""
    return network_grad_norm(_network(spec, batch, seed), batch.images, batch.loss)


def naswot(spec: ArchSpec, batch: Batch, seed: int = 0) -> float:
    """Log-determinant of the ReLU agreement of the batch's images; -inf if two of them are the same."""
    return network_naswot(_network(spec, batch, seed), batch.images)


def log_synflow(spec: ArchSpec, batch: Batch, seed: int = 0) -> float:
    """Natural logarithm of SynFlow, at the resolution of the batch; no image of it is looked at."""
    network = _network(spec, batch, seed)
    blocks = [module for module in network.modules() if isinstance(module, ResidualBlock)]
    return network_log_synflow(network, torch.ones_like(batch.images[:1]), blocks)


def _network(spec: ArchSpec, batch: Batch, seed: int) -> nn.Module:
    """The network of a spec as its scores see it: in training mode, with batch-norm scales of 1."""
    network = build_model(spec, batch.outputs, seed=seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
    return network.to(batch.images.device).train()


def _weights(network: nn.Module) -> list[Tensor]:
    return [layer.weight for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]


def network_grad_norm(network: nn.Module, images: Tensor, loss: Callable[[Tensor], Tensor]) -> float:
    """Gradient norm of any network of convolutions and linear layers."""
    gradients = torch.autograd.grad(loss(network(images)), _weights(network))
    return float(torch.stack([g.double().norm() for g in gradients]).sum())


@torch.no_grad()
def network_naswot(network: nn.Module, images: Tensor) -> float:
    """NASWOT of any network whose nonlinearities are nn.ReLU modules."""
    kernel = torch.zeros(len(images), len(images), dtype=torch.float64, device=images.device)

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        code = (output > 0).flatten(1).float()
        on = code.sum(1)
        # both on + both off = both on + (units - on - on + both on); counts are exact in float32
        kernel.add_(2 * (code @ code.T) - on - on[:, None] + code.shape[1])

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.ReLU)]
    try:
        network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return float(torch.linalg.slogdet(kernel).logabsdet)


def network_log_synflow(network: nn.Module, image: Tensor, scaled: Iterable[nn.Module] = ()) -> float:
    """Log SynFlow of a network of ReLUs, pools, convolutions and linear layers, which it changes.

    Without batch norm and biases, and with absolute weights, outputs are proportional to the activations
    anywhere on the way. So the outputs of the modules `scaled`, through which all signal passes, are divided
    by their largest value, and the logarithms of these divisors are added to the result.
    """
    _linearise(network)
    logarithm = 0.0

    def rescale(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        nonlocal logarithm
        peak = output.detach().amax()
        logarithm += math.log(peak)
        return output / peak

    for module in scaled:
        module.register_forward_hook(rescale)
    weights = _weights(network)
    gradients = torch.autograd.grad(network(image).sum(), weights)
    flow = sum((w.detach() * g).sum(dtype=torch.float64) for w, g in zip(weights, gradients, strict=True))
    return logarithm + math.log(flow)


@torch.no_grad()
def _linearise(network: nn.Module) -> None:
    """Absolute weights, no biases, batch norms replaced by the identity."""
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            network.set_submodule(name, nn.Identity())
        elif isinstance(module, nn.Conv2d | nn.Linear):
            module.weight.abs_()
            if module.bias is not None:
                module.bias.zero_()
