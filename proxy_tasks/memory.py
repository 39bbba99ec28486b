"""Memory between training runs: what a process may take, what lies on its device, and giving it back.

Several processes share a GPU, and each would see the others' memory as free until it is taken. So a process
that was lent a share may take that share and no more (`lend`, `limit`), and data kept on the device comes out
of it (`resident_budget`). A process that trains one network after the other gives back what the last one left
(`give_back`): torch's allocator keeps blocks cut for its layers, and glibc keeps what was freed on a CPU.
tests/test_proxy_memory.py
"""

from __future__ import annotations

import ctypes
import gc
import sys
import traceback
from collections.abc import Callable
from functools import cache

import torch

from proxy_tasks.machine_errors import behind

RESIDENT_SHARE = 0.5  # of what a process may take of a device, for data that is kept there

_lent = 1.0  # of each device, to this process
_shares: dict[int, float] = {}  # of a device's memory, by device index
_resident: dict[tuple[int, object], int] = {}  # bytes kept on a device, by device index and key


def lend(share: float) -> None:
    """Say what part of its GPU this process has from now on; touches no device until `limit` makes it so."""
    global _lent
    _lent = share


def limit(device: torch.device | str, share: float | None = None) -> None:
    """Let this process take at most `share` (0 < share <= 1, default: as lent) of a GPU's memory.

    More is then out of memory for this process alone, and no other on the device pays for it. Nothing on a
    CPU.
    """
    device, share = torch.device(device), _lent if share is None else share
    if device.type != "cuda" or share <= 0:
        return
    index, share = _index(device), min(share, 1.0)
    if share != _shares.get(index, 1.0):
        torch.cuda.set_per_process_memory_fraction(share, index)  # which takes no device without an index
        _shares[index] = share


def allowance(device: torch.device) -> int:
    """Bytes of a CUDA device that this process may take in all: its share, or what is free and its own."""
    free, total = torch.cuda.mem_get_info(device)
    share = _shares.get(_index(device), 1.0)
    return min(int(total * share), free + torch.cuda.memory_reserved(device))


def resident_budget(device: torch.device) -> int:
    """Bytes that may still be filled with data for good: half of the allowance, less what lies there."""
    return int(RESIDENT_SHARE * allowance(device)) - resident_bytes(device)


def resident_bytes(device: torch.device) -> int:
    """Bytes of data that this process keeps on the device."""
    return sum(count for (index, _), count in _resident.items() if index == _index(device))


def note_resident(device: torch.device, key: object, count: int) -> None:
    """Count `count` bytes under `key` as kept on the device; 0 takes them off."""
    if count:
        _resident[_index(device), key] = count
    else:
        _resident.pop((_index(device), key), None)


def give_back(error: BaseException | None = None) -> None:
    """Return what nobody refers to any more to the device and to the system.

    `error` is one that ended a run: the frames in its traceback hold the network, its gradients and its
    data, and are cleared first, so that a second try has all of the memory.
    """
    for each in behind(error):
        traceback.clear_frames(each.__traceback__)
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    trim_host()


def trim_host() -> None:
    """Give glibc's free pages back to the system; nothing where the C library is another."""
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    try:
        return ctypes.CDLL("libc.so.6").malloc_trim
    except (OSError, AttributeError):
        return None


def _index(device: torch.device) -> int:
    return device.index if device.index is not None else torch.cuda.current_device()
