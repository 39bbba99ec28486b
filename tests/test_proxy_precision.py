"""float32 is float32 in full, whatever the process had set, and what it had set comes back."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from proxy_tasks.precision import _parts, cudnn_benchmark, full_float32, use_bf16


def settings():
    """All that torch says of float32's precision, old names and new."""
    backends = torch.backends

    def said(ask):
        try:
            return ask()
        except RuntimeError:
            return "mixed"

    return (
        said(torch.get_float32_matmul_precision),
        said(lambda: backends.cuda.matmul.allow_tf32),
        said(lambda: backends.cudnn.allow_tf32),
        [part.fp32_precision for part in _parts()],
    )


@pytest.fixture(autouse=True)
def _settings_come_back():
    before = torch.get_float32_matmul_precision(), [(p, p.fp32_precision) for p in _parts()]
    yield
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32 = True
    for part, value in before[1]:
        part.fp32_precision = value


def nothing():
    """torch's own defaults, which let cuDNN use TF32."""


def as_a_container_does():
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True


def by_the_new_names():
    if not _parts():
        pytest.skip("this torch has the old names only")
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    torch.backends.cudnn.conv.fp32_precision = "tf32"


def one_new_name_beside_the_old():
    by_the_new_names()
    torch.backends.cudnn.conv.fp32_precision = "ieee"


@pytest.mark.parametrize(
    "before",
    [
        nothing,
        as_a_container_does,
        by_the_new_names,
        one_new_name_beside_the_old,
        lambda: torch.set_float32_matmul_precision("medium"),
    ],
)
def test_inside_no_product_is_rounded_and_after_it_all_is_as_before(before):
    before()
    found = settings()
    with full_float32():
        matmul, cublas, cudnn, parts = settings()
        assert (matmul, cublas, cudnn) == ("highest", False, False)
        assert set(parts) <= {"ieee"}
    assert settings() == found


def test_what_was_set_comes_back_after_an_error_too():
    as_a_container_does()
    found = settings()
    with pytest.raises(KeyboardInterrupt), full_float32():
        raise KeyboardInterrupt
    assert settings() == found


def test_a_product_in_lowered_precision_is_exact_inside():
    """oneDNN's bf16 on a CPU stands for TF32 on a GPU; elsewhere both ways are exact."""
    torch.set_float32_matmul_precision("medium")
    a, b = torch.randn(64, 512), torch.randn(512, 64)
    with full_float32():
        exact = a @ b
    torch.testing.assert_close(exact, (a.double() @ b.double()).float(), rtol=1e-4, atol=1e-4)


def test_cudnn_tries_its_algorithms_only_where_asked():
    assert not torch.backends.cudnn.benchmark
    with cudnn_benchmark(True):
        assert torch.backends.cudnn.benchmark
        with cudnn_benchmark(False):
            assert not torch.backends.cudnn.benchmark
    assert not torch.backends.cudnn.benchmark


def test_bf16_is_used_on_a_cpu_only_where_it_has_the_instructions(monkeypatch):
    cpu = torch.device("cpu")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True}, raising=False)
    assert not use_bf16("auto", cpu) and use_bf16("bf16", cpu)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    assert use_bf16("auto", cpu) == torch.backends.mkldnn.is_available() and not use_bf16("fp32", cpu)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("before", [nothing, as_a_container_does])
def test_a_gpu_keeps_all_of_float32_in_products_and_convolutions(before):
    before()
    generator = torch.Generator("cuda").manual_seed(0)
    a, b = (torch.randn(512, 512, device="cuda", generator=generator) for _ in range(2))
    images = torch.randn(8, 64, 32, 32, device="cuda", generator=generator)
    kernels = torch.randn(64, 64, 3, 3, device="cuda", generator=generator)
    with full_float32():
        product, convolved = a @ b, nn.functional.conv2d(images, kernels)
    true = a.double() @ b.double(), nn.functional.conv2d(images.double(), kernels.double())
    for found, exact in zip((product, convolved), true, strict=True):
        assert float((found - exact).abs().max() / exact.abs().max()) < 2e-6  # TF32 misses by 1e-4 and more
