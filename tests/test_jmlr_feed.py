"""The prefetching path, with the pinning taken out so that it runs without a GPU."""

import gc
import threading

import numpy as np
import pytest
import torch

from proxy_tasks import memory
from proxy_tasks.jmlr.crops.cache import open_cache
from proxy_tasks.jmlr.feed import Batch, Feed
from proxy_tasks.jmlr.wcpa.dataset import WcpaDataset


@pytest.fixture
def feed(tiny_wcpa, monkeypatch):
    monkeypatch.setattr(Batch, "pinned", lambda self: self)
    cache = open_cache(WcpaDataset.open(tiny_wcpa), 32)
    return Feed(cache, np.arange(10, 20), torch.device("cpu"))


PLAN = [torch.tensor([0, 3]), torch.tensor([9]), torch.tensor([5, 5, 1])]


def test_prefetched_batches_equal_gathered_ones_in_order(feed):
    for a, b in zip(feed.batches(PLAN), feed._prefetched(PLAN), strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a.tensors(), b.tensors(), strict=True))


def test_a_batch_is_the_rows_of_the_cache(feed):
    batch = next(feed.batches([torch.tensor([2, 7])]))
    np.testing.assert_array_equal(batch.images, feed.arrays[0][[12, 17]])
    np.testing.assert_array_equal(batch.verts, feed.arrays[1][[12, 17]])


@pytest.mark.parametrize("chunk", [1, 3, 5, 10, 4096])
def test_what_is_kept_on_a_device_is_every_row_in_order(feed, monkeypatch, chunk):
    monkeypatch.setattr("proxy_tasks.jmlr.feed.CHUNK", chunk)
    whole, (gathered,) = feed._upload(), feed.in_order(10)
    assert all(torch.equal(x, y) for x, y in zip(whole.tensors(), gathered.tensors(), strict=True))


def test_crop_points_fall_where_the_crop_shows_the_face(feed):
    points = next(feed.in_order(10)).crop_points
    centre = points.mean((0, 1))
    assert ((centre > 8) & (centre < 24)).all()


def test_leaving_early_stops_the_thread(feed):
    batches = feed._prefetched([torch.tensor([0])] * 50)
    next(batches)
    batches.close()
    assert not any(t.name == "feed" for t in threading.enumerate())


def test_an_error_while_gathering_reaches_the_caller(feed):
    with pytest.raises(IndexError):
        list(feed._prefetched([torch.tensor([0]), torch.tensor([10])]))


@pytest.fixture
def gpu(monkeypatch):
    """A pretended GPU with 1 GB, whose data lie on the CPU."""
    on_cpu = Feed._upload

    def upload(feed):
        device, feed.device = feed.device, torch.device("cpu")
        try:
            return on_cpu(feed)
        finally:
            feed.device = device

    monkeypatch.setattr(Feed, "_upload", upload)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10**9, 10**9))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 0)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    return torch.device("cuda")


def test_feeds_of_the_same_rows_share_one_copy_which_goes_with_the_last(feed, tiny_wcpa, gpu):
    cache = open_cache(WcpaDataset.open(tiny_wcpa), 32)
    first, second = (Feed(cache, np.arange(10, 20), gpu) for _ in range(2))
    assert first.resident is second.resident is not None
    assert memory.resident_bytes(gpu) == first.nbytes
    other = Feed(cache, np.arange(5), gpu)
    assert memory.resident_bytes(gpu) == first.nbytes + other.nbytes
    del first, other
    gc.collect()
    assert memory.resident_bytes(gpu) == second.nbytes
    del second
    gc.collect()
    assert memory.resident_bytes(gpu) == 0


def test_what_does_not_fit_beside_the_rest_is_streamed(tiny_wcpa, gpu, monkeypatch):
    cache = open_cache(WcpaDataset.open(tiny_wcpa), 32)
    size = Feed(cache, np.arange(10), torch.device("cpu")).nbytes
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3 * size, 3 * size))  # half may be kept
    first = Feed(cache, np.arange(10), gpu)
    second = Feed(cache, np.arange(10, 20), gpu)
    assert first.resident is not None and second.resident is None


def test_a_device_that_another_process_filled_meanwhile_is_streamed_to(tiny_wcpa, gpu, monkeypatch):
    def full(feed):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Feed, "_upload", full)
    feed = Feed(open_cache(WcpaDataset.open(tiny_wcpa), 32), np.arange(10), gpu)
    assert feed.resident is None and memory.resident_bytes(gpu) == 0


def test_labels_are_those_of_the_batches(feed):
    verts, points = (torch.cat(parts) for parts in zip(*feed.labels(3), strict=True))
    (batch,) = feed.in_order(10)
    assert torch.equal(verts, batch.verts) and torch.equal(points, batch.crop_points)
