"""Faster dropout and batch normalisation on a CPU, for networks with few channels.

Inside a `with NarrowKernels():` block they replace F.dropout and F.batch_norm in all layers of a model. They call
torch's function for inputs that they would not speed up. `python benchmarks/kernels.py` measures the gain.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

LARGE = 300_000     # elements: below this the overhead of a dozen small operations is larger than the gain
LANES = 16          # torch's channels-last batch norm is fast for multiples of this number of channels


class NarrowKernels(TorchFunctionMode):
    """A context in which the functions of this file replace F.dropout and F.batch_norm."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.dropout:
            func = dropout
        elif func is F.batch_norm:
            func = batch_norm
        return func(*args, **(kwargs or {}))


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Apply F.dropout with 16 random bits per element. torch makes a full draw from the generator per element.

    p is rounded to a multiple of 1/65536. The kept elements are divided by 1 - p with this rounded p, so the expected
    value is exactly the input.
    """
    dropped = round(p * 65536)
    channels_last = input.dim() == 4 and input.is_contiguous(memory_format=torch.channels_last)
    if not training or inplace or not 0 < dropped < 65536 or not (input.is_contiguous() or channels_last):
        return F.dropout(input, p, training, inplace)
    words = torch.empty((input.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    bits = words.view(torch.int16)[: input.numel()].as_strided(input.shape, input.stride())
    keep = (bits >= dropped - 32768).to(input.dtype).mul_(65536 / (65536 - dropped))
    return input * keep


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Apply F.batch_norm. Faster for large channels-last maps if C is not a multiple of LANES.

    input: (N, C, H, W); the output has the same shape. The channels of several pixels form one row, which fills the
    vector registers of the CPU. The statistics are float32.
    """
    fits = training and input.dim() == 4 and input.numel() >= LARGE and input.shape[1] % LANES
    fits = fits and input.dtype in (torch.float32, torch.bfloat16)
    if not fits or weight is None or bias is None or not input.is_contiguous(memory_format=torch.channels_last):
        return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    output, mean, variance = _BatchNorm.apply(input, weight, bias, eps)  # type: ignore[no-untyped-call]
    if running_mean is not None and running_var is not None:
        count = input.numel() // input.shape[1]
        running_mean.lerp_(mean, momentum)
        running_var.lerp_(variance * (count / (count - 1)), momentum)   # torch stores the unbiased variance
    return output  # type: ignore[no-any-return]


class _BatchNorm(torch.autograd.Function):
    """Batch normalisation on rows of k pixels each, (N H W / k, k C). Sums over rows are added up from k C to C."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, ...]:
        n, c, h, w = input.shape
        count, ctx.k = n * h * w, math.gcd(n * h * w, 32)
        rows = _rows(input, ctx.k)
        mean = _sum(rows, c) / count
        centred = rows - _row(mean, ctx.k, rows)            # two passes avoid the difference of two large numbers
        rest = _sum(centred, c) / count                     # mean that remains because `mean` was rounded to bf16
        variance = _sum(centred * centred, c) / count - rest * rest
        scale = (variance + eps).rsqrt()
        outer = scale * weight
        output = torch.empty_like(input, memory_format=torch.channels_last)     # no view: F.relu may change it in place
        shift = _row(bias - outer * rest, ctx.k, rows)
        torch.addcmul(shift, centred, _row(outer, ctx.k, rows), out=_rows(output, ctx.k))
        ctx.save_for_backward(centred, rest, scale, weight)
        ctx.mark_non_differentiable(mean, variance)
        return output, mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        centred, rest, scale, weight = ctx.saved_tensors
        n, c, h, w = gradients[0].shape
        count, rows = n * h * w, _rows(gradients[0], ctx.k)
        bias_gradient = _sum(rows, c)
        weight_gradient = (_sum(rows * centred, c) - rest * bias_gradient) * scale
        # dx = weight scale (dy - mean(dy) - x_hat mean(dy x_hat)), with x_hat = (centred - rest) scale
        outer = weight * scale
        slope = -outer * scale * weight_gradient / count
        shift = -outer * bias_gradient / count - slope * rest
        result = torch.addcmul(_row(shift, ctx.k, rows), rows, _row(outer, ctx.k, rows))
        result.addcmul_(centred, _row(slope, ctx.k, rows))
        return result.view(n, h, w, c).permute(0, 3, 1, 2), weight_gradient, bias_gradient, None


def _rows(images: Tensor, k: int) -> Tensor:
    """Return a view of channels-last images: (N, C, H, W) -> (N H W / k, k C)."""
    return images.permute(0, 2, 3, 1).reshape(-1, k * images.shape[1])


def _sum(rows: Tensor, channels: int) -> Tensor:
    """Return the sum of each channel: (M, k C) -> float32 (C,)."""
    return rows.sum(0, dtype=torch.float32).view(-1, channels).sum(0)


def _row(channels: Tensor, k: int, like: Tensor) -> Tensor:
    """Return the channels repeated k times, in the precision of `like`: (C,) -> (k C,)."""
    return channels.detach().to(like.dtype).repeat(k)
