"""Rules for functions that slide a window over the image: convolution, pooling, padding and unfold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from featherweight.anatomy.call import FieldCall, along_axes, less, lies_along
from featherweight.anatomy.geometry import Axis, Field, gather, pick, union, window
from featherweight.anatomy.moves import unit_numbers
from featherweight.graph import calls


def windows(call: FieldCall, kernel: Any, stride: Any, before: Any, dilation: Any) -> Field | None:
    """Return the field after a window slides over the last n axes of the tensor; conv2d has n = 2.

    before: padding at the start of each axis.
    """
    value, field = call.first
    n = int(call.name[-2])
    if len(call.sources) > 1:       # the weights depend on the image, too
        return None
    axes = []
    for axis in field.axes:
        k = None if axis.dim is None else axis.dim - (value.dim() - n)
        if k == -1 and call.name not in calls.POOLS | calls.ADAPTIVE_POOLS:
            if call.arguments().get("groups", 1) != 1:
                return None
            axes.append(union(axis))        # this image axis is the channel axis: all units are mixed
            continue
        if k is None or k < 0:
            axes.append(axis)
        elif axis.jump is None:
            return None
        else:
            numbers = [calls.per_axis(value, n)[k] for value in (kernel, stride, before, dilation)]
            axes.append(
                window(
                    axis,
                    kernel=numbers[0], stride=numbers[1], before=numbers[2], dilation=numbers[3],
                    count=call.outputs[0].shape[axis.dim or 0],
                )
            )
    return Field(field.source, tuple(axes))


def convolution(call: FieldCall) -> Field | None:
    """Return the field after conv1d, conv2d or conv3d."""
    given = call.arguments()
    kernel = given["weight"].shape[2:]
    dilation = calls.per_axis(given.get("dilation", 1), len(kernel))
    before = given.get("padding", 0)
    if isinstance(before, str):
        same = (d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True))
        before = tuple(same) if before == "same" else 0
    return windows(call, kernel, given.get("stride", 1), before, dilation)


def transposed(call: FieldCall) -> Field | None:
    """Return the field after a transposed convolution.

    With stride 1 it equals a convolution with the remaining padding. With larger strides, fields differ in size.
    """
    given = call.arguments()
    kernel = given["weight"].shape[2:]
    n = len(kernel)
    stride = calls.per_axis(given.get("stride", 1), n)
    dilation = calls.per_axis(given.get("dilation", 1), n)
    padding = calls.per_axis(given.get("padding", 0), n)
    if set(stride) == {1}:
        before = tuple(d * (k - 1) - p for k, d, p in zip(kernel, dilation, padding, strict=True))
        return windows(call, kernel, 1, before, dilation)
    value, field = call.first
    if len(call.sources) > 1 or field.on(value.dim() - n - 1):
        return None

    def spread(axis: Axis, k: int) -> Axis:
        """Return the axis on which input unit i reaches the positions i * stride - padding + j * dilation."""
        reaching: list[list[int]] = [[] for _ in range(call.outputs[0].shape[axis.dim or 0])]
        for unit in range(len(axis.seen)):
            for j in range(kernel[k]):
                place = unit * stride[k] - padding[k] + j * dilation[k]
                if 0 <= place < len(reaching):
                    reaching[place].append(unit)
        return gather(axis, reaching, (axis.jump or 0) / stride[k], axis.dim)

    return along_axes(call, n, spread)


def pool(call: FieldCall) -> Field | None:
    """Return the field after a pooling with one window size."""
    given = call.arguments()
    kernel = given["kernel_size"]
    stride = calls.stride_of(given.get("stride"), kernel)
    return windows(call, kernel, stride, given.get("padding", 0), given.get("dilation", 1))


def adaptive_pool(call: FieldCall) -> Field | None:
    """Return the field after adaptive pooling.

    Windows are even if the output's length divides the input's length; otherwise their lengths differ.
    """
    value, field = call.first
    n = int(call.name[-2])
    before, after = value.shape[-n:], call.outputs[0].shape[-n:]
    if not any(before[k] % after[k] and field.on(value.dim() - n + k) for k in range(n)):
        kernel = tuple(max(a // b, 1) for a, b in zip(before, after, strict=True))
        return windows(call, kernel, kernel, 0, 1)

    def pooled(axis: Axis, k: int) -> Axis:
        a, b = before[k], after[k]
        return gather(axis, [range(i * a // b, -(-(i + 1) * a // b)) for i in range(b)], less(axis, a / b), axis.dim)

    return along_axes(call, n, pooled)


def pad(call: FieldCall) -> Field | None:
    """Return the field after padding of any mode. A constant border sees nothing."""
    value, field = call.first
    given = call.arguments()
    amounts = tuple(given["pad"])
    axes = []
    for axis in field.axes:
        k = None if axis.dim is None else value.dim() - 1 - axis.dim
        if k is None or 2 * k >= len(amounts):
            axes.append(axis)
        elif axis.jump is None:
            return None
        else:
            # Pad the unit numbers: after reflected or circular padding, they show which units are repeated.
            units = unit_numbers(value, axis.dim)
            mode = given.get("mode", "constant")
            extra = {"value": -1.0} if mode == "constant" else {}
            moved = torch.nn.functional.pad(units.to(torch.float64), amounts, mode=mode, **extra)
            numbers = _along(moved, axis.dim, value.dim() - 1 - len(amounts) // 2, amounts)
            if axis.ends is not None:
                axes.append(pick(axis, numbers, axis.dim or 0))
                continue
            seen = tuple(axis.seen[i] if i >= 0 else None for i in numbers)
            axes.append(replace(axis, start=axis.start - amounts[2 * k] * axis.jump, seen=seen))
    return Field(field.source, tuple(axes))


def _along(moved: Tensor, dim: int | None, last_free: int, amounts: Sequence[int]) -> list[int]:
    """Return the numbers along `dim`, read at a position where the other axes have no padding."""
    index: list[Any] = [0] * moved.dim()
    for d in range(last_free + 1, moved.dim()):
        index[d] = max(amounts[2 * (moved.dim() - 1 - d)], 0)
    index[dim or 0] = slice(None)
    return [int(value) for value in moved[tuple(index)].tolist()]


def window_of(axis: Axis, kernel: int, stride: int) -> Axis:
    """Return the axis after a window without padding, with as many positions as fit."""
    count = (len(axis.seen) - kernel) // stride + 1
    return window(axis, kernel=kernel, stride=stride, before=0, dilation=1, count=count)


def unfolded(call: FieldCall) -> Field | None:
    """Return the field after unfold.

    Tensor.unfold puts windows along a new last axis. F.unfold puts all windows of an image along the last axis.
    """
    value, field = call.first
    if getattr(call.function, "__module__", None) != "torch.nn.functional":
        given = dict(zip(("input", "dimension", "size", "step"), call.args, strict=False)) | dict(call.kwargs)
        dim = given["dimension"] % value.dim()
        axes = (
            window_of(axis, given["size"], given["step"]) if lies_along(axis, dim) else axis for axis in field.axes
        )
        return Field(field.source, tuple(axes))
    names = ("input", "kernel_size", "dilation", "padding", "stride")
    given = dict(zip(names, call.args, strict=False)) | dict(call.kwargs)
    kernel, dilation, padding, stride = (
        calls.per_axis(given.get(name, default), 2)
        for name, default in (("kernel_size", 1), ("dilation", 1), ("padding", 0), ("stride", 1))
    )

    def slid(axis: Axis, k: int) -> Axis:
        reach = (kernel[k] - 1) * dilation[k] + 1
        count = (len(axis.seen) + 2 * padding[k] - reach) // stride[k] + 1
        windows = window(
            axis, kernel=kernel[k], stride=stride[k], before=padding[k], dilation=dilation[k], count=count
        )
        return union(windows, call.outputs[0].dim() - 1)

    return along_axes(call, 2, slid)
