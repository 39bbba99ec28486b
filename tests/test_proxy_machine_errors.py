"""What the many ways in which CUDA and its libraries fail mean."""

from __future__ import annotations

import errno

import pytest
import torch

from proxy_tasks.machine_errors import is_device_broken, is_disk_full, is_out_of_memory

MEMORY = [
    torch.OutOfMemoryError("no room"),
    torch.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79 GiB"
    ),
    RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
    RuntimeError("CUDA driver error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED, when calling cudnnCreate(&handle)"),
    RuntimeError("GET was unable to find an engine to execute this computation"),
    RuntimeError("Unable to find a valid cuDNN algorithm to run convolution"),
    RuntimeError("cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnSpotrfBatched(...)`"),
    RuntimeError("cusolver error: CUSOLVER_STATUS_INTERNAL_ERROR, when calling `cusolverDnCreate(handle)`"),
    RuntimeError("CUDA error: CUSPARSE_STATUS_INSUFFICIENT_RESOURCES"),
    RuntimeError("NCCL error: unhandled cuda error, Last error: Cuda failure 2 'out of memory'"),
    RuntimeError("NVML_SUCCESS == r INTERNAL ASSERT FAILED at CUDACachingAllocator.cpp"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes"),
    RuntimeError("std::bad_alloc"),
    MemoryError(),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
]
BROKEN = [
    RuntimeError("CUDA error: an illegal memory access was encountered"),
    RuntimeError("CUDA error: device-side assert triggered"),
    RuntimeError("CUDA error: uncorrectable ECC error encountered"),
    RuntimeError("CUDA error: unspecified launch failure"),
    RuntimeError("No CUDA GPUs are available"),
    RuntimeError("Found no NVIDIA driver on your system."),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"),
    AssertionError("Torch not compiled with CUDA enabled"),
]
OTHER = [
    ValueError("a batch of 512 does not split"),
    RuntimeError("Expected all tensors to be on the same device, cuda:0 and cpu"),
    RuntimeError("shape '[2, 3]' is invalid for input of size 5"),
    RuntimeError("out of resource: shared memory, Required: 180224, Hardware limit: 101376"),
    OSError(errno.EIO, "Input/output error"),
]


@pytest.mark.parametrize("error", MEMORY, ids=str)
def test_every_way_of_running_out_of_memory_is_known(error):
    assert is_out_of_memory(error) and not is_device_broken(error) and not is_disk_full(error)


@pytest.mark.parametrize("error", BROKEN, ids=str)
def test_a_broken_device_is_neither_memory_nor_the_network_s_fault(error):
    assert is_device_broken(error) and not is_out_of_memory(error)


@pytest.mark.parametrize("error", OTHER, ids=str)
def test_other_errors_are_the_trial_s_own(error):
    assert not (is_out_of_memory(error) or is_device_broken(error) or is_disk_full(error))


def test_what_lies_behind_an_error_counts():
    for cause, known in ((OSError(errno.EDQUOT, "quota"), is_disk_full), (MEMORY[0], is_out_of_memory)):
        try:
            try:
                raise cause
            except Exception:
                raise RuntimeError("unexpected pos 64 vs 0")  # noqa: B904  as torch's writer does
        except RuntimeError as error:
            assert known(error)
    assert not is_disk_full(None)
