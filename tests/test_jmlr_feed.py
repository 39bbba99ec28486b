"""The prefetching path, with the pinning taken out so that it runs without a GPU."""

import threading

import numpy as np
import pytest
import torch

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
