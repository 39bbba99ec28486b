"""A step recorded once and replayed trains as an eager one does, whatever the recording froze.

A CUDA graph replays kernels on the memory that they had. `Frozen` does the same on a CPU: it notes every
operator of one step, below autograd, with the tensors that it read and wrote, undoes what the recording did,
and runs the list again. A number of the CPU's would be frozen, a tensor that took new memory be forgotten.
"""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from test_proxy_engine import PROXY, Net, Toy, numbers
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from proxy_tasks import engine
from proxy_tasks import graphs as graphed
from proxy_tasks.backbone import build_model
from proxy_tasks.engine import fit
from proxy_tasks.graphs import WARMUP, GraphedStep
from proxy_tasks.jmlr import heads
from proxy_tasks.jmlr.augment import Augment
from proxy_tasks.jmlr.losses import Edges, jmlr_loss
from proxy_tasks.launching import how_to_launch
from proxy_tasks.task import World
from space import ArchSpec

ASKS = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)  # wait for the device


class Frozen(TorchDispatchMode):
    """The operators of a step and the tensors that they touched."""

    def __init__(self):
        super().__init__()
        self.calls, self.before = [], []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function in ASKS:
            raise RuntimeError("operation not permitted when stream is capturing")
        kwargs = kwargs or {}
        if function._schema.is_mutable or "batch_norm" in str(function):  # whose schema hides what it writes
            written = [t for t in pytree.tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
            self.before += [(t, t.clone()) for t in written]
        result = function(*args, **kwargs)
        self.calls.append((function, args, kwargs, result))
        return result

    def undo(self):
        """What a recording leaves: nothing ran."""
        for tensor, value in reversed(self.before):
            tensor.copy_(value)
        self.before = []

    def replay(self):
        with torch.no_grad():
            for function, args, kwargs, result in self.calls:
                again = function(*args, **kwargs)
                for old, new in zip(pytree.tree_leaves(result), pytree.tree_leaves(again), strict=True):
                    if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                        old.detach().copy_(new)


class Recorder:
    """Stands for proxy_tasks.graphs.record_cuda."""

    def __init__(self):
        self.recorded = self.replayed = 0

    def __call__(self, step, images, targets):
        self.recorded += 1
        frozen = Frozen()
        try:
            with frozen:
                loss = step(images, targets)
        finally:
            with torch.no_grad():
                frozen.undo()

        def replay():
            self.replayed += 1
            frozen.replay()

        return replay, loss


@pytest.fixture
def recorder(monkeypatch):
    """Every run's steps are recorded; what the recorder has seen."""
    recorder = Recorder()
    monkeypatch.setattr(engine, "how_to_launch", lambda *_: "graphs")
    monkeypatch.setattr(engine, "GraphedStep", lambda step: GraphedStep(step, record=recorder))
    return recorder


def eager(proxy, **kwargs):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "how_to_launch", lambda *_: "eager")
        return fit(Net(), Toy(), proxy, seed=0, **kwargs)


def assert_same(one, other, proxy=PROXY):
    """To rounding, which bf16 has more of, and which AdamW makes steps of where a gradient is zero."""
    rel = 5e-3 if proxy.precision == "bf16" or proxy.optimizer == "adamw" else 1e-4
    for (a, _, mine), (b, _, others) in zip(numbers(one), numbers(other), strict=True):
        assert a == b and mine == pytest.approx(others, rel=rel)


VARIANTS = {
    "sgd": {},
    "adamw": {"optimizer": "adamw", "lr": 0.1},
    "averaged": {"average": 0.2},
    "averaged adamw": {"optimizer": "adamw", "lr": 0.1, "average": 0.2},
    "bf16": {"precision": "bf16"},
}


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_a_replayed_run_gives_the_numbers_of_an_eager_one(recorder, changes):
    proxy = PROXY.replace(**changes)
    outcome = fit(Net(), Toy(), proxy, seed=0)
    assert (recorder.recorded, recorder.replayed) == (1, 15 - WARMUP)
    assert_same(outcome, eager(proxy), proxy)


def test_the_learning_rate_is_not_frozen(recorder):
    """With the rate of the recording for the whole run, the same comparison fails."""
    fit(Net(), Toy(), PROXY, seed=0)
    model, run = Net(), []
    make = engine._Run

    def kept(*args, **kwargs):
        run.append(make(*args, **kwargs))
        return run[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_Run", kept)
        patch.setattr(torch.Tensor, "fill_", lambda tensor, value: tensor)
        stuck = fit(model, Toy(), PROXY, seed=0)
    assert numbers(stuck)[-1][2] != pytest.approx(numbers(eager(PROXY))[-1][2], rel=1e-4)


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("first", ["graphs", "eager"])
def test_a_run_resumes_launched_in_another_way(tmp_path, recorder, monkeypatch, changes, first):
    proxy, path = PROXY.replace(epochs=4, **changes), tmp_path / "c.pt"
    whole, ways = eager(proxy), {"graphs": ["graphs", "eager"], "eager": ["eager", "graphs"]}[first]
    for way, stop in zip(ways, (2, 99), strict=True):
        monkeypatch.setattr(engine, "how_to_launch", lambda *_, way=way: way)
        last = fit(Net(), Toy(), proxy, seed=0, checkpoint=path, on_epoch=lambda e, s=stop: e.number < s)
    assert_same(last, whole, proxy)


def test_a_step_that_asks_the_device_is_run_eagerly_and_said(recorder, caplog):
    class Asks(Toy):
        def loss(self, outputs, targets):
            loss = super().loss(outputs, targets)
            return loss * 1.0 if loss.item() > 0 else loss

    with caplog.at_level(logging.WARNING):
        outcome = fit(Net(), Asks(), PROXY, seed=0)
    assert "cannot be a CUDA graph (operation not permitted" in caplog.text
    assert (recorder.recorded, recorder.replayed) == (1, 0)
    assert_same(outcome, eager(PROXY))
    caplog.clear()
    assert_same(fit(Net(), Toy(), PROXY, seed=0), eager(PROXY))  # the next network is not tried again
    assert recorder.recorded == 1 and caplog.text == ""


def test_out_of_memory_while_recording_is_out_of_memory():
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    step = GraphedStep(lambda images, targets: images.sum(), warmup=0, record=full)
    with pytest.raises(torch.OutOfMemoryError):
        step(torch.ones(2), torch.ones(2))


def test_inputs_of_another_shape_or_kind_are_not_replayed(recorder):
    step = GraphedStep(lambda images, targets: images.sum() * 2, warmup=0, record=recorder)
    assert float(step(torch.ones(4), ())) == 8
    assert float(step(torch.full((4,), 2.0), ())) == 16
    assert float(step(torch.ones(3), ())) == 6
    assert recorder.replayed == 2
    other = GraphedStep(lambda images, targets: images.sum() * targets[0], warmup=0, record=recorder)
    assert [float(other(torch.ones(2), (n,))) for n in (1, 5)] == [2, 10]  # a number would be frozen


def test_a_step_of_the_real_network_and_loss_can_be_recorded(recorder):
    """On a small mesh; what needs a value of the device's would raise as it does in a recording."""

    class Faces(Toy):
        outputs, triangles = 20, np.array([[0, 1, 2], [1, 2, 3]])

        def __init__(self):
            super().__init__()
            self.images = torch.randn(40, 3, 32, 32, generator=torch.Generator().manual_seed(2))
            self.targets, self.edges = torch.randn(40, 20), Edges(self.triangles)

        def batches(self, steps, world):
            for step in steps:
                yield self.images[step.indices], heads.split(self.targets[step.indices])

        def loss(self, outputs, targets):
            return jmlr_loss(*heads.split(outputs), *targets, self.edges)

        def prepare(self, model):
            pass

    task, spec = Faces(), ArchSpec(depths=(1, 1, 1, 1), widths=(8, 8, 8, 8))
    proxy = PROXY.replace(lr=0.5)
    outcome = fit(build_model(spec, 20), task, proxy, seed=0)
    assert (recorder.recorded, recorder.replayed) == (1, 15 - WARMUP)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "how_to_launch", lambda *_: "eager")
        assert_same(outcome, fit(build_model(spec, 20), task, proxy, seed=0))


@pytest.mark.parametrize("moves", [0.0, 0.1])
def test_a_batch_is_augmented_without_a_question_to_the_device(moves):
    images = torch.zeros(4, 32, 32, 3, dtype=torch.uint8)
    augment = Augment(range(6), 32, degrees=90 * moves, scale=moves, shift=moves)
    with Frozen(), pytest.raises(RuntimeError, match="not permitted"):
        drawn = augment.draw(4, torch.Generator().manual_seed(0))
        images, verts, points = augment.apply(images, torch.ones(4, 6, 3), torch.ones(4, 6, 2), drawn)
        assert images.shape == (4, 3, 32, 32) and points.shape == (4, 6, 2)
        float(verts.sum())  # and the recording would have noticed one


def test_a_long_run_of_one_process_on_a_gpu_is_replayed_unasked():
    gpu, cpu, alone = torch.device("cuda"), torch.device("cpu"), World()
    assert how_to_launch("auto", gpu, alone, 5000) == "graphs"
    assert how_to_launch("auto", gpu, alone, 50) == "eager"
    assert how_to_launch("auto", gpu, World(0, 4), 5000) == "eager"
    assert how_to_launch("auto", cpu, alone, 5000) == "eager"
    assert how_to_launch("compiled-graphs", gpu, alone, 50) == "compiled-graphs"
    for device, world in ((cpu, alone), (gpu, World(0, 2))):
        with pytest.raises(ValueError, match="graphs needs a CUDA device and one process"):
            how_to_launch("graphs", device, world, 5000)
    with pytest.raises(
        ValueError, match="launched auto, eager, graphs, compiled or compiled-graphs, not 'fast'"
    ):
        how_to_launch("fast", gpu, alone, 1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_a_graph_on_a_gpu_gives_the_numbers_of_an_eager_run(changes, caplog):
    class OnGpu(Toy):
        def __init__(self):
            super().__init__()
            self.images, self.targets = self.images.cuda(), self.targets.cuda()

        def batches(self, steps, world):
            for images, targets in super().batches(steps, world):
                yield images.cuda(), targets.cuda()

    proxy = PROXY.replace(**changes)
    with caplog.at_level(logging.WARNING):
        runs = [
            fit(Net(), OnGpu(), proxy, seed=0, device="cuda", launch=launch) for launch in ("eager", "graphs")
        ]
    assert "cannot be a CUDA graph" not in caplog.text
    for (_, _, mine), (_, _, others) in zip(*map(numbers, runs), strict=True):
        assert mine == pytest.approx(others, rel=0.02 if "precision" in changes else 1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_recording_runs_nothing_and_a_replay_reads_its_buffers():
    total = torch.zeros((), device="cuda")

    def step(images, targets):
        total.add_(images.sum())
        return total.clone()

    side = graphed.aside(step, torch.ones(3, device="cuda"), ())
    replay, loss = graphed.record_cuda(step, images := torch.ones(3, device="cuda"), ())
    assert float(side) == float(total) == 3
    images.fill_(2)
    replay()
    assert float(loss) == float(total) == 9
