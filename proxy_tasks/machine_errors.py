"""What an error says of the machine: out of memory, out of disk, or a device that is broken.

CUDA and its libraries say that memory ran out in many ways, some of them without the word: a handle that
cannot be created, an engine that is not found because its workspace did not fit. Errors are also looked for
behind the one that was raised, since torch's writer hides the disk's. tests/test_proxy_machine_errors.py
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator

MEMORY = re.compile(
    r"out of memory"  # torch, CUDA runtime and driver, NCCL
    r"|can't allocate memory|cannot allocate memory|not enough memory|bad_alloc"  # the host's
    r"|cudaErrorMemoryAllocation|CUDA_ERROR_OUT_OF_MEMORY"
    r"|(CUBLAS|CUDNN|CUSOLVER|CUSPARSE|CUFFT|CURAND)_(STATUS_)?ALLOC(ATION)?_FAILED"
    r"|CUDNN_STATUS_\w*ALLOCATION_FAILED|INSUFFICIENT_RESOURCES"
    r"|(NOT_INITIALIZED|INTERNAL_ERROR).*(cublas|cudnn|cusolver|cusparse)\w*Create"  # the handle did not fit
    r"|(cublas|cudnn|cusolver|cusparse)\w*Create.*(NOT_INITIALIZED|INTERNAL_ERROR)"
    r"|unable to find an engine to execute|unable to find a valid cuDNN algorithm"  # no workspace fitted
    r"|NVML_SUCCESS == ",  # torch's allocator, asking how much is left when nothing is
    re.IGNORECASE | re.DOTALL,
)
BROKEN = re.compile(
    r"CUDA error|CUDA driver error|CUDA driver initialization failed|device-side assert|illegal memory access"
    r"|uncorrectable|no CUDA-capable device|No CUDA GPUs are available|not compiled with CUDA"
    r"|NVIDIA driver"
    r"|(CUBLAS|CUDNN|CUSOLVER)_STATUS_(NOT_INITIALIZED|EXECUTION_FAILED|INTERNAL_ERROR|MAPPING)",
    re.IGNORECASE,
)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether memory ran out, the device's or the host's."""
    return any(
        isinstance(e, MemoryError)
        or type(e).__name__ == "OutOfMemoryError"  # torch's, which need not be imported to be asked
        or _is_errno(e, errno.ENOMEM)
        or MEMORY.search(str(e)) is not None
        for e in behind(error)
    )


def is_disk_full(error: BaseException | None) -> bool:
    """Whether a disk or a quota was full, also where the disk's own error lies behind torch's."""
    return any(_is_errno(e, errno.ENOSPC, errno.EDQUOT) for e in behind(error))


def is_device_broken(error: BaseException | None) -> bool:
    """Whether the process has lost its CUDA device: nothing that it does there will work again."""
    if is_out_of_memory(error):
        return False
    return any(isinstance(e, RuntimeError | AssertionError) and BROKEN.search(str(e)) for e in behind(error))


def is_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C came while a library was at work that turns what is raised in it into its own errors."""
    return any(isinstance(e, KeyboardInterrupt) for e in behind(error))


def behind(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those that it was raised from, or while handling."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _is_errno(error: BaseException, *numbers: int) -> bool:
    return isinstance(error, OSError) and error.errno in numbers
