"""Batch norm over two processes: the whole batch's where slices are small, each process's own where large."""

from __future__ import annotations

import multiprocessing
import socket

import pytest
import torch
import torch.distributed as dist
from torch import nn

from proxy_tasks import distributed
from proxy_tasks.distributed import LOCAL_BATCH, AllReduceBatchNorm, distribute, share_statistics, world

CPU = torch.device("cpu")


def _network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 2))


def _images(count):
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 + 1


def _process(rank, port, share, answers):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    try:
        model = _network()
        wrapped = distribute(model, CPU, share)
        kinds = {type(m).__name__ for m in model.modules() if isinstance(m, nn.BatchNorm2d)}
        wrapped(_images(2 * share)[rank * share : (rank + 1) * share]).square().mean().backward()
        own = model[1].running_mean.clone()
        share_statistics(model, world())
        answers.put(
            (rank, kinds, own.tolist(), model[1].running_mean.tolist(), model[0].weight.grad.tolist())
        )
    finally:
        dist.destroy_process_group()


def _two_processes(share):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    processes = [context.Process(target=_process, args=(rank, port, share, answers)) for rank in (0, 1)]
    for process in processes:
        process.start()
    found = sorted(answers.get(timeout=120) for _ in processes)
    for process in processes:
        process.join()
    return found


@pytest.fixture(scope="module")
def small():
    return _two_processes(4)


@pytest.fixture(scope="module")
def large():
    return _two_processes(LOCAL_BATCH)


def _alone(count):
    model = _network()
    model(_images(count)).square().mean().backward()
    return model


def test_small_slices_are_normalised_by_the_whole_batch(small):
    alone = _alone(8)
    for _, kinds, own, agreed, gradient in small:
        assert kinds == {"AllReduceBatchNorm"}
        assert own == agreed == pytest.approx(alone[1].running_mean.tolist(), rel=1e-5)
        torch.testing.assert_close(torch.tensor(gradient), alone[0].weight.grad, rtol=1e-4, atol=1e-6)


def test_large_slices_are_normalised_by_themselves_and_agree_on_statistics_before_a_score(large):
    (_, kinds, first, agreed, gradient), (_, _, second, other, _) = large
    assert kinds == {"BatchNorm2d"} and first != second and agreed == other
    assert agreed == pytest.approx(((torch.tensor(first) + torch.tensor(second)) / 2).tolist())
    alone = _alone(2 * LOCAL_BATCH)
    assert agreed == pytest.approx(alone[1].running_mean.tolist(), rel=1e-5)  # means of halves
    assert torch.tensor(gradient).flatten().dot(alone[0].weight.grad.flatten()) > 0


def test_no_layer_waits_for_the_device(monkeypatch):
    """SyncBatchNorm does, to look at a mask: here nothing of a value's is asked."""
    from test_proxy_graphs import Frozen

    monkeypatch.setattr(dist, "get_world_size", lambda: 1)
    monkeypatch.setattr(dist, "all_reduce", lambda x: None)
    norm = AllReduceBatchNorm(4)
    with Frozen() as frozen:
        norm(torch.randn(2, 4, 3, 3, requires_grad=True)).sum().backward()
    assert frozen.calls


def test_a_process_alone_is_left_as_it_is():
    model = _network()
    assert distribute(model, CPU, 4) is model
    share_statistics(model, distributed.World())
