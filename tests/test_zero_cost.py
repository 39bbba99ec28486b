"""Scores without training: closed forms on tiny networks, and what each should notice on real ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from proxy_tasks.backbone import build_model
from proxy_tasks.zero_cost import (
    Batch,
    grad_norm,
    log_synflow,
    naswot,
    network_grad_norm,
    network_log_synflow,
    network_naswot,
    zero_cost_scores,
)
from space import ArchSpec

SMALL = ArchSpec((1, 1, 1, 1), (8, 8, 16, 16))
DEEP = ArchSpec((3, 2, 2, 2), (8, 8, 16, 16))


@pytest.fixture(scope="module")
def batch() -> Batch:
    rng = torch.Generator().manual_seed(0)
    images = torch.rand(6, 3, 64, 64, generator=rng) * 2 - 1
    targets = torch.randn(6, 10, generator=rng)
    return Batch(images, lambda outputs: (outputs - targets).abs().mean(), outputs=10)


def test_grad_norm_of_a_linear_layer_is_the_norm_of_its_outer_product():
    layer = nn.Linear(3, 2, bias=False)
    x, pull = torch.tensor([[1.0, 2.0, 2.0]]), torch.tensor([[3.0, 4.0]])
    assert network_grad_norm(layer, x, lambda y: (y * pull).sum()) == pytest.approx(5.0 * 3.0)


def test_grad_norm_adds_the_norms_of_layers():
    first, second = nn.Linear(2, 1, bias=False), nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[3.0, 4.0]]))
        second.weight.fill_(2.0)
    # y = 2 (3 a + 4 b): by the first layer 2 (a, b), by the second 3 a + 4 b
    x = torch.tensor([[0.6, 0.8]])
    assert network_grad_norm(nn.Sequential(first, second), x, torch.sum) == pytest.approx(2.0 + 5.0)


def test_naswot_of_hand_made_codes_is_the_determinant_of_their_agreements():
    network = nn.Sequential(nn.ReLU())
    codes = torch.tensor([[1.0, 1, 1, 1], [1, 1, -1, -1], [-1, 1, -1, 1]])
    # agreements: 4 with itself; 2 of 4 between any two of these
    assert network_naswot(network, codes) == pytest.approx(math.log(np.linalg.det(2 * np.eye(3) + 2)))


def test_naswot_counts_all_relu_layers_and_leaves_no_hooks():
    network = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(2, 3, bias=False), nn.ReLU(inplace=True))
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]))
    images = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    # codes 10|101 and 01|011: of five units only the last agrees
    assert network_naswot(network, images.clone()) == pytest.approx(math.log(5 * 5 - 1))
    assert not any(module._forward_hooks for module in network.modules())


def test_naswot_of_twice_the_same_image_is_minus_infinity(batch):
    twice = Batch(batch.images[[0, 0]], batch.loss, batch.outputs)
    assert naswot(SMALL, twice) == -math.inf


def test_synflow_of_a_linear_net_is_its_depth_times_the_product_of_absolute_weights():
    layers = [nn.Linear(4, 5), nn.Linear(5, 3), nn.Linear(3, 2)]
    product = torch.eye(4)
    for layer in layers:
        product = layer.weight.detach().abs() @ product
    found = network_log_synflow(nn.Sequential(*layers), torch.ones(1, 4))
    assert found == pytest.approx(math.log(3 * product.sum().item()), rel=1e-6)


def test_synflow_is_the_same_with_and_without_rescaling(batch):
    def network() -> nn.Module:
        return build_model(SMALL, 10, seed=3)

    plain = network_log_synflow(network(), batch.images[:1].sign())
    model = network()
    blocks = [model.get_submodule(f"layer{i}.0") for i in (1, 2, 3, 4)]
    assert network_log_synflow(model, batch.images[:1].sign(), blocks) == pytest.approx(plain, rel=1e-6)


def test_synflow_is_finite_where_the_product_of_weights_is_not(batch):
    deepest = ArchSpec((24, 24, 24, 24), (64, 64, 64, 64))
    small = Batch(batch.images[:, :, :32, :32], batch.loss, batch.outputs)
    score = log_synflow(deepest, small)
    assert math.isfinite(score)
    assert score > math.log(torch.finfo(torch.float32).max)


@pytest.mark.parametrize("score", [grad_norm, naswot, log_synflow])
def test_a_score_is_a_function_of_spec_batch_and_seed(score, batch):
    state = torch.get_rng_state()
    assert score(SMALL, batch, seed=1) == score(SMALL, batch, seed=1)
    assert score(SMALL, batch, seed=1) != score(SMALL, batch, seed=2)
    assert torch.get_rng_state().equal(state)


def test_synflow_grows_with_depth(batch):
    assert log_synflow(DEEP, batch) > log_synflow(SMALL, batch) + 1


def test_scores_look_at_residual_branches_which_training_starts_at_zero(batch):
    as_trained = build_model(SMALL, 10, seed=0).train()
    assert naswot(SMALL, batch) != network_naswot(as_trained, batch.images)
    assert grad_norm(SMALL, batch) != network_grad_norm(as_trained, batch.images, batch.loss)


def test_all_scores_come_in_one_call(batch):
    scores = zero_cost_scores(SMALL, batch, seed=4)
    assert scores == {
        "macs": SMALL.macs(outputs=10),
        "params": SMALL.params(outputs=10),
        "activations": SMALL.activations(),
        "grad_norm": grad_norm(SMALL, batch, seed=4),
        "naswot": naswot(SMALL, batch, seed=4),
        "log_synflow": log_synflow(SMALL, batch, seed=4),
    }
    assert all(math.isfinite(value) for value in scores.values())


class TwoNumbers:
    """A task whose image i is full of i, and whose target is i."""

    outputs, train_size, fingerprint = 2, 50, "toy"

    def prepare(self, model):
        """Nothing to say."""

    def batches(self, steps, world):
        for step in steps:
            values = step.indices[world.part(len(step.indices))].float()
            yield values[:, None, None, None].expand(-1, 3, 32, 32), values

    def loss(self, outputs, targets):
        return (outputs.sum(1) - targets).abs().mean()

    def evaluate(self, predict):
        raise NotImplementedError


def test_a_batch_is_drawn_from_a_task_by_seed():
    first, again, other = (Batch.of(TwoNumbers(), size=8, seed=seed) for seed in (0, 0, 1))
    assert first.images.shape == (8, 3, 32, 32) and first.outputs == 2
    assert first.images.equal(again.images) and not first.images.equal(other.images)
    assert len(first.images[:, 0, 0, 0].unique()) == 8
    assert first.loss(torch.zeros(8, 2)) == first.images[:, 0, 0, 0].mean()
    assert grad_norm(SMALL, first) > 0
