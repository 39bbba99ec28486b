"""Training a 3x3 convolution of few output pixels on a CPU, as matrix products.

At a laptop's resolution the late stages see 2 x 2 to 6 x 6 pixels, where the
weights outnumber the pixels and oneDNN's backward passes are far from the
product of unfolded patches. Per layer, batch 32, bf16, two cores with AMX, in
ms (oneDNN against here): gradients of 512 channels on 3 x 3 pixels 15.6, 4.4;
of 256 on 4 x 4 3.2, 1.7 (one core 6.5, 2.5), on 6 x 6 5.1, 3.4; of 128 on
8 x 8 1.8, 1.9, which is where it ends. In float32 it ends at nine pixels.
Forward, and the gradient of the input above nine pixels, oneDNN is ahead or
level and kept.

    y = P(x) W        dW = P(x)' dy        dx = P'(dy W')

P gathers the nine pixels under each output (rows of zeros beyond the edge), P'
adds them back. tests/test_proxy_small_conv.py holds both gradients equal to
nn.functional.conv2d's.

Notation   b  images    h, w  input side    p  output pixels    i, o  channels in, out
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d, pad

FEW_PIXELS = 9  # of the output, up to which all three products are taken here
MOST_PIXELS = 36  # up to which, in bf16, the gradient of the weights is


def is_small(x: Tensor, stride: int) -> bool:
    """Whether small_conv3x3 of x (b, i, h, w) is the quicker one."""
    height, width = _out_side(x, stride)
    return height * width <= (MOST_PIXELS if _dtype(x) == torch.bfloat16 else FEW_PIXELS)


def small_conv3x3(x: Tensor, weight: Tensor, stride: int = 1) -> Tensor:
    """3x3 convolution, padding 1, no bias: (b, i, h, w), (o, i, 3, 3) -> (b, o, h', w'), in x's dtype.

    Under autocast x and the weight are cast as nn.functional.conv2d would.
    """
    dtype = _dtype(x)
    return _SmallConv.apply(x.to(dtype), weight.to(dtype), stride)


def _dtype(x: Tensor) -> torch.dtype:
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


class _SmallConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        height, width = _out_side(x, stride)
        if height * width > FEW_PIXELS:
            return conv2d(x, weight, stride=stride, padding=1)
        shape = (len(x), len(weight), height, width)
        y = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)
        rows = y.permute(0, 2, 3, 1).view(-1, len(weight))  # y itself must not be a view: ReLU works in place
        torch.mm(_patches(x, stride), _as_matrix(weight).t(), out=rows)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor, None]:
        (x, weight), stride, (grad,) = ctx.saved_tensors, ctx.stride, grads
        rows = grad.permute(0, 2, 3, 1).reshape(-1, len(weight))  # (b p, o)
        of_weight = (rows.t() @ _patches(x, stride)).view(len(weight), 3, 3, -1).permute(0, 3, 1, 2)
        if not ctx.needs_input_grad[0]:
            return None, of_weight, None
        if grad.shape[2] * grad.shape[3] > FEW_PIXELS:
            return _input_gradient(grad, x, weight, stride), of_weight, None
        return _added_back(rows @ _as_matrix(weight), x, stride), of_weight, None


def _as_matrix(weight: Tensor) -> Tensor:
    """(o, i, 3, 3) as (o, 9 i): a view where the weight is channels-last."""
    return weight.permute(0, 2, 3, 1).reshape(len(weight), -1)


def _patches(x: Tensor, stride: int) -> Tensor:
    """(b, i, h, w) -> (b p, 9 i): the nine pixels under each output pixel."""
    b, i, h, w = x.shape
    pixels = pad(x.permute(0, 2, 3, 1).reshape(b, h * w, i), (0, 0, 0, 1))
    return pixels.index_select(1, _under(h, w, stride).flatten()).view(-1, 9 * i)


def _added_back(patches: Tensor, x: Tensor, stride: int) -> Tensor:
    """The transpose of _patches: (b p, 9 i) -> (b, i, h, w)."""
    b, i, h, w = x.shape
    seen = _seen_by(h, w, stride)
    taps = pad(patches.view(b, -1, i), (0, 0, 0, 1)).index_select(1, seen.flatten())
    return taps.view(b, h * w, seen.shape[1], i).sum(2).view(b, h, w, i).permute(0, 3, 1, 2)


def _input_gradient(grad: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    wanted = [True, False, False]
    return torch.ops.aten.convolution_backward(
        grad, x, weight, None, [stride] * 2, [1, 1], [1, 1], False, [0, 0], 1, wanted
    )[0]


def _out_side(x: Tensor, stride: int) -> tuple[int, int]:
    return -(-x.shape[2] // stride), -(-x.shape[3] // stride)


@lru_cache(maxsize=64)
def _under(height: int, width: int, stride: int) -> Tensor:
    """(p, 9) index of the input pixel at each tap of each output pixel; height * width beyond the edge."""
    tap = torch.arange(-1, 2)
    rows = torch.arange(0, height, stride)[:, None, None, None] + tap[:, None]
    columns = torch.arange(0, width, stride)[:, None, None] + tap
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return torch.where(inside, rows * width + columns, height * width).reshape(-1, 9)


@lru_cache(maxsize=64)
def _seen_by(height: int, width: int, stride: int) -> Tensor:
    """(h w, most) index into (p 9) of the taps that see each input pixel, filled up with p 9."""
    under = _under(height, width, stride).flatten()
    taps = [(under == pixel).nonzero().flatten() for pixel in range(height * width)]
    most = max(len(t) for t in taps)
    return torch.stack([pad(t, (0, most - len(t)), value=len(under)) for t in taps])
