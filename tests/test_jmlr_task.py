"""JMLR through the engine, on a tiny data set in the WCPA layout."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from proxy_tasks.backbone import build_model
from proxy_tasks.engine import _Run, fit, plan_steps, predictor
from proxy_tasks.jmlr import heads
from proxy_tasks.jmlr.feed import Feed
from proxy_tasks.jmlr.task import JmlrTask
from proxy_tasks.jmlr.wcpa import dataset
from proxy_tasks.proxy import Proxy
from proxy_tasks.task import Step, World
from space import ArchSpec

PROXY = Proxy("tiny", resolution=32, epochs=2, batch=8, lr=2.0, jitter=0.0, flip=False)
SPEC = ArchSpec((1, 1, 1, 1), (8, 8, 8, 8))


@pytest.fixture(scope="module")
def task(tiny_wcpa):
    return JmlrTask.open(tiny_wcpa, PROXY, "cpu")


def perfect(task):
    """Outputs that carry the validation images' own labels, in order."""
    feed = task.validation
    batch = next(feed.in_order(len(feed)))
    return heads.encode(batch.verts, batch.crop_points, PROXY.resolution)


def test_only_the_first_opening_lists_the_folders_of_the_data(tiny_copy, monkeypatch, tmp_path):
    listed = []
    look = dataset.missing_files

    def counted(root, rows, split):
        listed.append(split)
        return look(root, rows, split)

    monkeypatch.setenv("JMLR_NAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(dataset, "missing_files", counted)
    first = JmlrTask.open(tiny_copy, PROXY, "cpu")
    assert listed == ["train"]
    second = JmlrTask.open(tiny_copy, PROXY, "cpu")
    assert listed == ["train"] and second.fingerprint == first.fingerprint
    JmlrTask.open(tiny_copy, PROXY.replace(resolution=40), "cpu")
    assert listed == ["train", "train"]  # other crops are built, so the files are looked for


def test_training_and_validation_share_no_subject(task):
    people = task.cache.subjects
    train, validation = set(people[task.train.rows]), set(people[task.validation.rows])
    assert len(train) == 4 and len(validation) == 1 and not train & validation


def test_the_true_labels_score_zero(task):
    truth = perfect(task)
    metrics = task.evaluate(lambda images: truth[: len(images)])
    assert metrics["l_error_mm"] < 0.05 and metrics["failed_share"] == 0


def test_an_untrained_network_scores_as_the_baseline(task):
    model = build_model(SPEC, task.outputs)
    task.prepare(model)
    metrics = task.evaluate(predictor(model, torch.device("cpu")))
    assert metrics == pytest.approx(task.baseline())
    assert metrics["l_error_mm"] > 10


class RoundsAsTf32(TorchDispatchMode):
    """float32 matrix products with factors of 11 bits, as a GPU may take them."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.overloadpacket.__name__ in ("mm", "bmm", "addmm", "baddbmm"):
            args = [self._rounded(a) if isinstance(a, torch.Tensor) else a for a in args]
        return function(*args, **(kwargs or {}))

    @staticmethod
    def _rounded(a):
        if a.dtype != torch.float32:
            return a
        return ((a.contiguous().view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)


def test_the_true_labels_score_zero_on_a_device_that_rounds_products(task):
    with RoundsAsTf32():
        assert float(torch.full((1, 1), 1.0001) @ torch.ones(1, 1)) == 1.0
        truth = perfect(task)
        assert task.evaluate(lambda images: truth[: len(images)])["l_error_mm"] < 0.01


def test_the_mean_target_reads_no_image(task, monkeypatch):
    batches = list(task.train.in_order(7))
    encoded = torch.cat([heads.encode(b.verts, b.crop_points, PROXY.resolution) for b in batches])
    fresh = JmlrTask(task.cache, PROXY, "cpu")
    monkeypatch.setattr(Feed, "_gather", lambda *_: pytest.fail("an image was read"))
    torch.testing.assert_close(fresh.mean_target, encoded.double().mean(0).float())


def test_the_hash_of_its_rows_tells_tasks_on_other_images_apart(task, tiny_copy, monkeypatch, tmp_path):
    assert task.rows_id == JmlrTask(task.cache, PROXY.replace(epochs=9), "cpu").rows_id
    assert task.rows_id != JmlrTask(task.cache, PROXY.replace(frames=2), "cpu").rows_id
    monkeypatch.setenv("JMLR_NAS_CACHE", str(tmp_path / "cache"))
    same = JmlrTask.open(tiny_copy, PROXY, "cpu")
    assert same.rows_id == task.rows_id
    monkeypatch.setenv("JMLR_NAS_CACHE", str(tmp_path / "other"))
    next(tiny_copy.glob("image/*/*/*.jpg")).unlink()
    fewer = JmlrTask.open(tiny_copy, PROXY, "cpu")
    assert fewer.rows_id != task.rows_id


def test_large_inputs_are_given_to_the_network_in_parts(task, monkeypatch):
    monkeypatch.setattr("proxy_tasks.jmlr.task.INPUT_BYTES", 0)
    monkeypatch.setattr("proxy_tasks.jmlr.task.max", lambda least, _: 2, raising=False)
    whole, seen = task.baseline(), []

    def predict(images):
        seen.append(len(images))
        return task.mean_target.expand(len(images), -1)

    assert task.evaluate(predict) == whole and set(seen) == {2} and sum(seen) == len(task.validation)


def test_flip_averaging_of_mirrored_truths_is_the_truth(task):
    truth, seen = perfect(task), []

    def predict(images):
        seen.append(images)
        if len(seen) == 1:
            return truth
        verts, points = heads.decode(truth, PROXY.resolution)
        flipped = heads.unflip(verts, points, task.flip_index, PROXY.resolution)
        return heads.encode(*flipped, PROXY.resolution)

    assert task.evaluate(predict, flip=True)["l_error_mm"] < 0.05
    assert torch.equal(seen[1], seen[0].flip(3))


def test_a_batch_holds_the_asked_images_and_their_normalised_labels(task):
    step = Step(torch.tensor([3, 0]), seed=5)
    ((images, (verts, points)),) = task.batches([step], World())
    rows = task.train.rows[[3, 0]]
    expected = torch.from_numpy(np.array(task.cache.images[rows])).permute(0, 3, 1, 2) / 127.5 - 1
    torch.testing.assert_close(images, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(verts, torch.from_numpy(task.cache.verts[rows]) * 10)
    assert points.abs().mean() < 1.5


def test_ranks_see_the_slices_of_the_batch_that_one_process_sees(tiny_wcpa):
    task = JmlrTask.open(tiny_wcpa, PROXY.replace(jitter=0.2, flip=True), "cpu")
    step = Step(torch.arange(8), seed=1)
    ((whole, targets),) = task.batches([step], World())
    parts = [next(iter(task.batches([step], World(rank, 2)))) for rank in range(2)]
    torch.testing.assert_close(torch.cat([p[0] for p in parts]), whole)
    torch.testing.assert_close(torch.cat([p[1][1] for p in parts]), targets[1])


def test_a_proxy_bounds_subjects_and_frames(tiny_wcpa):
    task = JmlrTask.open(tiny_wcpa, PROXY.replace(subjects=2, frames=3, validation_images=2), "cpu")
    assert task.train_size == 6 and len(task.validation) == 2


def test_training_learns_and_repeats_to_the_bit(task):
    outcomes = [fit(build_model(SPEC, task.outputs), task, PROXY, seed=1, device="cpu") for _ in range(2)]
    first, second = ([e.metrics for e in o.epochs] for o in outcomes)
    assert first == second
    assert first[-1]["train_loss"] < first[0]["train_loss"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_streamed_and_resident_batches_are_the_same(tiny_wcpa, monkeypatch):
    steps = [Step(torch.tensor([1, 4, 2]), seed=s) for s in range(4)]
    resident = JmlrTask.open(tiny_wcpa, PROXY, "cuda")
    monkeypatch.setattr("proxy_tasks.memory.RESIDENT_SHARE", 0.0)
    monkeypatch.setattr("proxy_tasks.jmlr.feed._resident", {})  # or the second would share the first's copy
    streamed = JmlrTask.open(tiny_wcpa, PROXY, "cuda")
    assert resident.train.resident is not None and streamed.train.resident is None
    for a, b in zip(resident.batches(steps, World()), streamed.batches(steps, World()), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("launch", ["eager", "graphs"])
def test_nothing_in_an_interval_waits_for_the_gpu(tiny_wcpa, launch):
    task = JmlrTask.open(tiny_wcpa, PROXY.replace(flip=True, jitter=0.2, average=0.2), "cuda")
    run = _Run(
        build_model(SPEC, task.outputs), task, task.proxy, 0, torch.device("cuda"), World(), launch=launch
    )
    run.model.train()
    steps = plan_steps(task.proxy, run.length, task.train_size, 0, range(6))
    for step, (images, targets) in enumerate(task.batches(steps, World())):
        if step == 4:  # the optimizer has its state by now, and the graph is recorded
            torch.cuda.set_sync_debug_mode("error")
        try:
            loss = run._step(step, images, targets)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert torch.isfinite(loss)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_run_on_a_gpu_scores_the_same_however_its_steps_are_launched(tiny_wcpa):
    task = JmlrTask.open(tiny_wcpa, PROXY.replace(precision="fp32"), "cuda")
    scores = [
        fit(build_model(SPEC, task.outputs), task, task.proxy, seed=1, device="cuda", launch=launch).final
        for launch in ("eager", "graphs", "compiled", "compiled-graphs")
    ]
    for other in scores[1:]:
        assert other["l_error_mm"] == pytest.approx(scores[0]["l_error_mm"], rel=0.02)
