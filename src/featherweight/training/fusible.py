"""Layers of many networks at once, written as sums and products that a compiler fuses into few kernels.

Mapped over stacked weights a convolution becomes one of many groups of few channels, for which GPU libraries have slow
kernels or none. Depthwise and 1x1 convolutions, most of what our networks do, are sums of products of whole maps.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.utils import _pair
from torch.overrides import TorchFunctionMode


def is_fusible(model: nn.Module) -> bool:
    """Whether all its convolutions are written as sums here."""
    convolutions = [one for one in model.modules() if isinstance(one, nn.modules.conv._ConvNd)]
    return all(isinstance(one, nn.Conv2d) and can_be_summed(one.weight, one.in_channels, one.stride, one.padding,
                                                            one.dilation, one.groups) for one in convolutions)


def can_be_summed(weight: Tensor, channels: int, stride: Any, padding: Any, dilation: Any, groups: int) -> bool:
    """Whether each output reads one input channel or one place, all of them and each once. weight: (O, I, h, w)."""
    moves = _pair(stride) == (1, 1) and _pair(padding) == (0, 0) and _pair(dilation) == (1, 1)
    pointwise = groups == 1 and weight.shape[2:] == (1, 1)
    depthwise = groups == channels == weight.shape[0] or channels == 1
    return moves and (pointwise or depthwise)


class FusibleLayers(TorchFunctionMode):
    """The context in which F.conv2d and F.batch_norm are the functions of this file."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.conv2d:
            func = conv2d
        elif func is F.batch_norm:
            func = batch_norm
        return func(*args, **(kwargs or {}))


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """F.conv2d, (N, I, H, W) -> (N, O, H', W'), as sums where each output reads one input channel or one place.

    Those with strides, padding or dilation are left to torch.
    """
    if torch.is_autocast_enabled(input.device.type):        # which mapped convolutions pass by
        dtype = torch.get_autocast_dtype(input.device.type)
        input, weight, bias = input.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
    if not can_be_summed(weight, input.shape[1], stride, padding, dilation, groups):
        return F.conv2d(input, weight, bias, stride, padding, dilation, groups)
    if groups == 1 and weight.shape[2:] == (1, 1):
        output = torch.einsum("oi,nihw->nohw", weight.flatten(1), input)
    else:
        output = sum_of_shifts(input, weight[:, 0])
    return output if bias is None else output + bias[:, None, None]


def sum_of_shifts(input: Tensor, weight: Tensor) -> Tensor:
    """(N, O or 1, H, W) and (O, h, w) -> (N, O, H - h + 1, W - w + 1)."""
    rows, columns = weight.shape[1:]
    height, width = input.shape[2] - rows + 1, input.shape[3] - columns + 1
    total: Tensor | None = None
    for row in range(rows):
        for column in range(columns):
            part = input[:, :, row : row + height, column : column + width] * weight[:, row, column, None, None]
            total = part if total is None else total + part
    assert total is not None
    return total


def batch_norm(input: Tensor, *others: Any, **named: Any) -> Tensor:
    """F.batch_norm in float32 or wider; mapped over statistics that are wider than the input it has no gradient."""
    wide = input.to(torch.promote_types(input.dtype, torch.float32))
    return F.batch_norm(wide, *others, **named).to(input.dtype)
