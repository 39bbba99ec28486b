"""Shares of a device, and memory that is given back, on a pretended GPU of 100 bytes."""

from __future__ import annotations

import gc
import sys
import weakref

import pytest
import torch

from proxy_tasks import memory
from proxy_tasks.machine_errors import is_out_of_memory


@pytest.fixture
def gpu(monkeypatch):
    """A device with 100 bytes, 80 of them free, of which torch in this process holds 10; what it was told."""
    told = {}
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (80, 100))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 10)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)

    def set_fraction(share, device):
        assert isinstance(device, int) or torch.device(device).index is not None, "torch refuses it"
        told[device] = share

    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", set_fraction)
    monkeypatch.setattr(memory, "_shares", {})
    monkeypatch.setattr(memory, "_resident", {})
    monkeypatch.setattr(memory, "_lent", 1.0)
    return told


CUDA = torch.device("cuda")


def test_a_process_alone_may_take_what_is_free_and_its_own(gpu):
    assert memory.allowance(CUDA) == 90 and memory.resident_budget(CUDA) == 45


def test_a_process_with_a_share_may_take_that_and_no_more(gpu):
    memory.limit("cuda", 0.25)
    assert gpu == {0: 0.25}
    assert memory.allowance(CUDA) == 25 and memory.resident_budget(CUDA) == 12


def test_a_share_that_the_device_refused_is_not_taken_for_set(gpu, monkeypatch):
    def refuse(share, device):
        raise RuntimeError("no")

    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", refuse)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            memory.limit("cuda", 0.25)
    assert memory.allowance(CUDA) == 90


def test_what_was_lent_holds_until_something_else_is(gpu):
    """A trial that ran out of memory on a slice has the whole device the second time."""
    memory.lend(0.25)
    memory.limit("cuda")
    assert memory.allowance(CUDA) == 25
    memory.lend(1.0)
    assert memory.allowance(CUDA) == 25  # nothing was touched yet
    memory.limit("cuda")
    assert memory.allowance(CUDA) == 90 and gpu == {0: 1.0}
    memory.limit("cpu")


def test_a_share_of_a_full_device_is_what_is_left(gpu, monkeypatch):
    memory.limit("cuda", 0.5)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (5, 100))
    assert memory.allowance(CUDA) == 15


@pytest.mark.parametrize(("device", "share"), [("cpu", 0.5), ("cuda", 1.0), ("cuda", 0.0), ("cuda", 2.0)])
def test_a_whole_device_and_a_cpu_are_not_limited(gpu, device, share):
    memory.limit(device, share)
    assert gpu == {}


def test_all_data_on_a_device_comes_out_of_one_budget(gpu):
    memory.note_resident(CUDA, "training", 20)
    memory.note_resident(CUDA, "validation", 5)
    memory.note_resident(torch.device("cuda", 1), "elsewhere", 40)
    assert memory.resident_bytes(CUDA) == 25 and memory.resident_budget(CUDA) == 20
    memory.note_resident(CUDA, "training", 0)
    assert memory.resident_budget(CUDA) == 40


class Network:
    pass


def _fails():
    network = Network()
    network.itself = network  # as modules and their hooks do
    seen.append(weakref.ref(network))
    raise RuntimeError("CUDA out of memory")


seen: list[weakref.ref] = []


def test_what_a_failed_run_held_is_gone_before_the_next_try():
    gc.collect()
    gc.disable()
    try:
        try:
            _fails()
        except RuntimeError as error:
            assert seen[-1]() is not None  # the traceback holds it
            memory.give_back(error)
            assert seen[-1]() is None
    finally:
        gc.enable()


def test_the_device_s_allocator_and_the_system_s_are_emptied(monkeypatch):
    done = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: done.append("device"))
    monkeypatch.setattr(memory, "trim_host", lambda: done.append("host"))
    memory.give_back()
    assert done == ["device", "host"]


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_freed_memory_leaves_the_process():
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    blocks = [bytearray(50_000) for _ in range(4000)]  # below glibc's threshold for a mapping of its own
    held = resident()
    pin = blocks[-1]
    del blocks
    memory.trim_host()
    assert held - resident() > 150e6 and len(pin) == 50_000


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_real_gpu_gives_a_process_its_share_and_takes_back_what_a_failed_run_held():
    total = torch.cuda.get_device_properties(0).total_memory
    memory.limit("cuda", 0.1)
    try:
        try:
            held = torch.empty(total // 20, dtype=torch.uint8, device="cuda")
            pytest.fail(
                f"beside {held.numel()} bytes: {torch.empty(total // 5, dtype=torch.uint8, device='cuda')}"
            )
        except torch.OutOfMemoryError as error:
            assert is_out_of_memory(error)
            del held
            memory.give_back(error)
        assert torch.cuda.memory_reserved() < total // 20
        assert memory.allowance(torch.device("cuda")) <= total // 10
    finally:
        memory.limit("cuda", 1.0)
    torch.empty(total // 5, dtype=torch.uint8, device="cuda")
    memory.give_back()
