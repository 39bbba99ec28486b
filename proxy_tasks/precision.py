"""How numbers are computed: bf16 where it was chosen, and float32 in full everywhere else.

Under `bf16` the convolutions run in bf16 by autocast; all else, the last layer included, is float32. Under
`fp32` everything is. float32 here means its 24 bits: TF32, which torch lets cuDNN use unasked and many a
container switches on for cuBLAS, keeps 11 of them, and oneDNN may go to bf16 where a program lowered torch's
matmul precision. A training run, its scores and predictions forbid that for as long as they last.
tests/test_proxy_precision.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


def use_bf16(precision: str, device: torch.device) -> bool:
    """Whether to run under bf16 autocast: 'auto' asks for hardware that is faster with it."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.backends.mkldnn.is_available() and _cpu_has_bf16()


def _cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bf16 itself: oneDNN also emulates it, slower than float32."""
    if hasattr(torch.cpu, "get_capabilities"):
        found = torch.cpu.get_capabilities()
        return any(found.get(name, False) for name in ("amx_bf16", "avx512_bf16", "arm_bf16", "bf16"))
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", bool)())


@contextmanager
def full_float32() -> Iterator[None]:
    """Inside, float32 products and convolutions keep all of float32; what was set before comes back.

    The settings are the process's, so this holds for its other threads too.
    """
    matmul = _told(torch.get_float32_matmul_precision)
    cudnn = _told(lambda: torch.backends.cudnn.allow_tf32)
    parts = [(part, part.fp32_precision) for part in _parts()]
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    for part, _ in parts:
        part.fp32_precision = "ieee"
    try:
        yield
    finally:
        if matmul is not None:
            torch.set_float32_matmul_precision(matmul)
        if cudnn is not None:
            torch.backends.cudnn.allow_tf32 = cudnn
        for part, value in parts:
            part.fp32_precision = value


def _told(ask: Callable[[], Any]) -> Any:
    """None where names from before torch 2.9 and since were mixed, so that torch refuses to say."""
    try:
        return ask()
    except RuntimeError:
        return None


def _parts() -> list[Any]:
    """What has a setting of its own since torch 2.9."""
    found = [
        getattr(torch.backends.cuda, "matmul", None),
        *(getattr(torch.backends.cudnn, name, None) for name in ("conv", "rnn")),
        *(getattr(torch.backends.mkldnn, name, None) for name in ("matmul", "conv", "rnn")),
    ]
    return [part for part in found if _has_setting(part)]


def _has_setting(part: Any) -> bool:
    try:
        return isinstance(part.fp32_precision, str)
    except Exception:  # before 2.9: no such attribute, or an assertion about the name
        return False


@contextmanager
def cudnn_benchmark(wanted: bool) -> Iterator[None]:
    """Inside, cuDNN tries its algorithms on each new shape of a convolution and keeps the fastest."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = wanted
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
