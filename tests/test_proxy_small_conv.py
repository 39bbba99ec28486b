"""The 3x3 convolution of a small map equals torch's own, and so do its gradients."""

import pytest
import torch
from torch.nn.functional import conv2d

from proxy_tasks.small_conv import is_small, small_conv3x3


def of_both(x, weight, stride):
    """Output, input gradient and weight gradient, by torch and by us."""
    results = []
    for convolve in (lambda a, w: conv2d(a, w, stride=stride, padding=1), small_conv3x3):
        a, w = x.clone().requires_grad_(), weight.clone().requires_grad_()
        y = convolve(a, w, stride) if convolve is small_conv3x3 else convolve(a, w)
        pull = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=y.dtype)
        y.backward(pull)
        results.append((y.detach(), a.grad, w.grad))
    return results


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [(1, 1), (2, 2), (3, 3), (4, 4), (5, 3), (6, 6), (7, 12)])
def test_output_and_gradients_equal_those_of_torch(side, stride):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 5, *side, generator=generator, dtype=torch.float64)
    weight = torch.randn(7, 5, 3, 3, generator=generator, dtype=torch.float64)
    torchs, ours = of_both(x, weight, stride)
    for a, b in zip(ours, torchs, strict=True):
        assert a.shape == b.shape
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("side", [2, 4])
def test_under_autocast_it_computes_in_bf16_and_the_weight_gets_a_float32_gradient(side):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 16, side, side, generator=generator)
    weight = torch.randn(16, 16, 3, 3, generator=generator).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        ours, torchs = small_conv3x3(x, weight), conv2d(x, weight, padding=1)
    assert ours.dtype == torchs.dtype == torch.bfloat16
    torch.testing.assert_close(ours, torchs, rtol=0.02, atol=0.1)
    ours.sum().backward()
    assert weight.grad is not None and weight.grad.dtype == torch.float32


def test_an_input_that_needs_no_gradient_gets_none():
    weight = torch.ones(2, 3, 3, 3, requires_grad=True)
    x = torch.ones(1, 3, 2, 2)
    small_conv3x3(x, weight).sum().backward()
    assert x.grad is None
    assert torch.equal(weight.grad, torch.tensor([1.0, 2, 1, 2, 4, 2, 1, 2, 1]).view(3, 3).expand(2, 3, 3, 3))


def test_small_is_counted_in_output_pixels_and_more_of_them_in_bf16():
    assert is_small(torch.empty(1, 1, 3, 3), 1) and is_small(torch.empty(1, 1, 6, 5), 2)
    assert not is_small(torch.empty(1, 1, 4, 4), 1)
    with torch.autocast("cpu", torch.bfloat16):
        assert is_small(torch.empty(1, 1, 6, 6), 1) and is_small(torch.empty(1, 1, 11, 12), 2)
        assert not is_small(torch.empty(1, 1, 7, 6), 1)
