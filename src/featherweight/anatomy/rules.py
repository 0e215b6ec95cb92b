"""The receptive field of what a torch function returns, by rule, from the fields of what it was given.

A function that is not known here gives None: from there on the receptive field has no meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from featherweight.anatomy import calls
from featherweight.anatomy.geometry import Axis, Field, chain, drop_dims, gather, join, pick, union, window


@dataclass(frozen=True)
class Call:
    """One call of a torch function that was given something which depends on an input."""

    name: str
    function: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    outputs: Sequence[Tensor]
    sources: Sequence[tuple[Tensor, Field | None]]      # those arguments, with their fields

    @property
    def first(self) -> tuple[Tensor, Field]:
        """The first of them; propagate has made sure that its field is known."""
        tensor, field = self.sources[0]
        assert field is not None
        return tensor, field

    def arguments(self) -> dict[str, Any]:
        """The arguments by name."""
        return calls.named(self.name, self.args, self.kwargs)


def propagate(call: Call) -> list[Field | None]:
    """The field of each output."""
    if any(field is None for _, field in call.sources):
        return [None] * len(call.outputs)
    try:
        if call.name in calls.MOVES:
            return _moved(call)
        rule = _RULES.get(call.name)
        return [rule(call) if rule else None] * len(call.outputs)
    except (LookupError, TypeError, ValueError, RuntimeError):
        # A way of calling it that is not foreseen here is as good as a function that is not known.
        return [None] * len(call.outputs)


def _same_place(call: Call) -> Field | None:
    """Units at the same place are mixed; tensors are aligned at their last axes, as broadcasting does."""
    shape = call.outputs[0].shape
    aligned = []
    for tensor, field in call.sources:
        assert field is not None
        shift = len(shape) - tensor.dim()
        aligned.append(Field(field.source, tuple(_stretched(axis, shift, shape) for axis in field.axes)))
    return join(aligned)


def _stretched(axis: Axis, shift: int, shape: Sequence[int]) -> Axis:
    if axis.dim is None:
        return axis
    if axis.jump is not None and len(axis.seen) == 1 and shape[axis.dim + shift] > 1:
        return union(axis)
    return replace(axis, dim=axis.dim + shift)


def _one_place(call: Call) -> Field | None:
    """The fields of the first argument; normalisation and the like may be given more that depends on an input."""
    return call.first[1] if len(call.sources) == 1 else _same_place(call)


def _windows(call: Call, kernel: Any, stride: Any, before: Any, dilation: Any) -> Field | None:
    """Slide a window over the last axes of the tensor, as many as the function's name says."""
    tensor, field = call.first
    n = int(call.name[-2])
    if len(call.sources) > 1:       # weights that depend on the image
        return None
    axes = []
    for axis in field.axes:
        k = None if axis.dim is None else axis.dim - (tensor.dim() - n)
        if k == -1 and call.name not in calls.POOLS | calls.ADAPTIVE_POOLS:
            if call.arguments().get("groups", 1) != 1:
                return None
            axes.append(union(axis))        # rows of the image in place of channels: all are mixed
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


def _convolution(call: Call) -> Field | None:
    given = call.arguments()
    kernel = given["weight"].shape[2:]
    dilation = calls.per_axis(given.get("dilation", 1), len(kernel))
    before = given.get("padding", 0)
    if isinstance(before, str):
        same = (d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True))
        before = tuple(same) if before == "same" else 0
    return _windows(call, kernel, given.get("stride", 1), before, dilation)


def _along_axes(call: Call, n: int, rule: Callable[[Axis, int], Axis]) -> Field | None:
    """rule(axis, k) for each image axis that lies along the k-th of the tensor's last n axes."""
    tensor, field = call.first
    axes = []
    for axis in field.axes:
        k = None if axis.dim is None else axis.dim - (tensor.dim() - n)
        if k is None or k < 0:
            axes.append(axis)
        elif axis.jump is None:
            return None
        else:
            axes.append(rule(axis, k))
    return Field(field.source, tuple(axes))


def _transposed(call: Call) -> Field | None:
    """With stride 1 it is a convolution with the rest of the padding; otherwise units see unequal fields."""
    given = call.arguments()
    kernel = given["weight"].shape[2:]
    n = len(kernel)
    stride = calls.per_axis(given.get("stride", 1), n)
    dilation = calls.per_axis(given.get("dilation", 1), n)
    padding = calls.per_axis(given.get("padding", 0), n)
    if set(stride) == {1}:
        before = tuple(d * (k - 1) - p for k, d, p in zip(kernel, dilation, padding, strict=True))
        return _windows(call, kernel, 1, before, dilation)
    tensor, field = call.first
    if len(call.sources) > 1 or field.on(tensor.dim() - n - 1):
        return None

    def spread(axis: Axis, k: int) -> Axis:
        """Unit i of the input reaches the places i * stride - padding + j * dilation."""
        reaching: list[list[int]] = [[] for _ in range(call.outputs[0].shape[axis.dim or 0])]
        for unit in range(len(axis.seen)):
            for j in range(kernel[k]):
                place = unit * stride[k] - padding[k] + j * dilation[k]
                if 0 <= place < len(reaching):
                    reaching[place].append(unit)
        return gather(axis, reaching, (axis.jump or 0) / stride[k], axis.dim)

    return _along_axes(call, n, spread)


def _pool(call: Call) -> Field | None:
    given = call.arguments()
    kernel = given["kernel_size"]
    stride = given.get("stride")
    stride = kernel if stride is None or stride in ((), []) else stride
    return _windows(call, kernel, stride, given.get("padding", 0), given.get("dilation", 1))


def _adaptive_pool(call: Call) -> Field | None:
    """Even windows where the output's length divides the input's; otherwise windows of unequal lengths."""
    tensor, field = call.first
    n = int(call.name[-2])
    before, after = tensor.shape[-n:], call.outputs[0].shape[-n:]
    if not any(before[k] % after[k] and field.on(tensor.dim() - n + k) for k in range(n)):
        kernel = tuple(max(a // b, 1) for a, b in zip(before, after, strict=True))
        return _windows(call, kernel, kernel, 0, 1)

    def pooled(axis: Axis, k: int) -> Axis:
        a, b = before[k], after[k]
        return gather(axis, [range(i * a // b, -(-(i + 1) * a // b)) for i in range(b)], _less(axis, a / b), axis.dim)

    return _along_axes(call, n, pooled)


def _less(axis: Axis, factor: float) -> float:
    """The jump of fewer or more units on the same image, to three decimals."""
    return round((axis.jump or 0) * factor, 3)


def _pad(call: Call) -> Field | None:
    tensor, field = call.first
    given = call.arguments()
    amounts = tuple(given["pad"])
    axes = []
    for axis in field.axes:
        k = None if axis.dim is None else tensor.dim() - 1 - axis.dim
        if k is None or 2 * k >= len(amounts):
            axes.append(axis)
        elif axis.jump is None:
            return None
        else:
            # The padding moves unit numbers, so that reflected and circular padding tell whom they repeat.
            units = _unit_numbers(tensor, axis.dim)
            mode = given.get("mode", "constant")
            extra = {"value": -1.0} if mode == "constant" else {}
            moved = torch.nn.functional.pad(units.to(torch.float64), amounts, mode=mode, **extra)
            numbers = _along(moved, axis.dim, tensor.dim() - 1 - len(amounts) // 2, amounts)
            if axis.ends is not None:
                axes.append(pick(axis, numbers, axis.dim or 0))
                continue
            seen = tuple(axis.seen[i] if i >= 0 else None for i in numbers)
            axes.append(replace(axis, start=axis.start - amounts[2 * k] * axis.jump, seen=seen))
    return Field(field.source, tuple(axes))


def _along(moved: Tensor, dim: int | None, last_free: int, amounts: Sequence[int]) -> list[int]:
    """The numbers along dim, read where the other axes hold no padding of their own."""
    index: list[Any] = [0] * moved.dim()
    for d in range(last_free + 1, moved.dim()):
        index[d] = max(amounts[2 * (moved.dim() - 1 - d)], 0)
    index[dim or 0] = slice(None)
    return [int(value) for value in moved[tuple(index)].tolist()]


def _reduction(call: Call) -> Field | None:
    tensor, field = call.first
    if len(call.args) > 1 and isinstance(call.args[1], Tensor):     # torch.max(a, b)
        return _same_place(call)
    given = call.arguments()
    dim = given.get("dim", given.get("axis"))
    dims = range(tensor.dim()) if dim is None else calls.per_axis(dim, 1)
    return drop_dims(field, {d % max(tensor.dim(), 1) for d in dims}, bool(given.get("keepdim", False)))


def _last_axis_mixed(call: Call) -> Field | None:
    """Linear, and x @ W with constant W."""
    tensor, field = call.first
    position = 1 if call.name == "addmm" else 0
    others = [other for i, other in enumerate(calls.tensors_in(call.args)) if i > position]
    if len(call.sources) > 1 or call.args[position] is not tensor:
        return None
    if call.name in ("matmul", "mm") and others[0].dim() > 2:
        return None
    return drop_dims(field, {tensor.dim() - 1}, keep=True)


def _cat(call: Call) -> Field | None:
    """Along channels units at one place are mixed; along an axis of the image they stand one after the other."""
    tensor, _ = call.first
    given = call.arguments()
    dim = given.get("dim", given.get("axis", 0)) % tensor.dim()
    fields = [field for _, field in call.sources if field is not None]
    chained = [k for k, axis in enumerate(fields[0].axes) if any(_lies_along(field.axes[k], dim) for field in fields)]
    if not chained:
        return _same_place(call)
    if len({field.source for field in fields}) > 1:
        return None
    (k,) = chained
    known = {id(tensor): field.axes[k] for tensor, field in call.sources if field is not None}
    parts = [(known.get(id(part)), part.shape[dim]) for part in calls.tensors_in(given["tensors"])]
    if any(axis is not None and axis.dim == dim and axis.jump is None for axis, _ in parts):
        return None     # flattened before
    others = {field.axes[:k] + field.axes[k + 1 :] for field in fields}
    if len(others) > 1:
        return None     # what lies before sees another size along the other axis than what lies behind
    (axes,) = others
    return Field(fields[0].source, (*axes[:k], chain(parts, dim), *axes[k:]))


def _lies_along(axis: Axis, dim: int) -> bool:
    return axis.dim == dim and axis.jump is not None


def _stack(call: Call) -> Field | None:
    dim = call.arguments().get("dim", 0) % call.outputs[0].dim()
    shifted = []
    for _, field in call.sources:
        assert field is not None
        axes = (a if a.dim is None else replace(a, dim=a.dim + (a.dim >= dim)) for a in field.axes)
        shifted.append(Field(field.source, tuple(axes)))
    return join(shifted)


_PLANAR = {"linear": "bilinear", "trilinear": "bilinear"}


def _resampled(call: Call) -> Field | None:
    """Each axis by itself: a 1 at one unit after the other shows which new units it reaches."""
    tensor, field = call.first
    if tensor.shape == call.outputs[0].shape:
        return field
    given = call.arguments()
    n = tensor.dim() - 2
    mode = given.get("mode", "nearest")
    kept = ("align_corners", "recompute_scale_factor", "antialias")
    settings: dict[str, Any] = {key: given[key] for key in kept if key in given}

    def resampled(axis: Axis, k: int) -> Axis:
        count, after = len(axis.seen), call.outputs[0].shape[axis.dim or 0]
        probes = torch.eye(count, dtype=torch.float64).view(count, 1, count, 1).expand(-1, -1, -1, 2).contiguous()
        if given.get("size") is None:
            scale = given["scale_factor"]
            scales = tuple(scale) if isinstance(scale, Sequence) else (scale,) * n
            settings["scale_factor"] = (float(scales[k]), 1.0)
        else:
            settings["size"] = (after, 2)
        reached = F.interpolate(probes, mode=_PLANAR.get(mode, mode), **settings)[:, 0, :, 0] != 0
        sources = [torch.nonzero(line)[:, 0].tolist() for line in reached.T]
        return gather(axis, sources, _less(axis, count / after), axis.dim)

    return _along_axes(call, n, resampled)


def _shuffled(call: Call) -> Field | None:
    """pixel_shuffle: channels become places, and so factor x factor places see the same."""
    factor = call.arguments()["upscale_factor"]

    def spread(axis: Axis, k: int) -> Axis:
        places = range(len(axis.seen) * factor)
        return gather(axis, [[place // factor] for place in places], _less(axis, 1 / factor), axis.dim)

    return _along_axes(call, 2, spread)


def _unshuffled(call: Call) -> Field | None:
    """pixel_unshuffle: factor x factor places become channels of one."""
    factor = call.arguments()["downscale_factor"]
    return _along_axes(call, 2, lambda axis, k: _window_of(axis, factor, factor))


def _window_of(axis: Axis, kernel: int, stride: int) -> Axis:
    count = (len(axis.seen) - kernel) // stride + 1
    return window(axis, kernel=kernel, stride=stride, before=0, dilation=1, count=count)


def _unfolded(call: Call) -> Field | None:
    """Tensor.unfold gives windows along a new last axis; F.unfold lays all windows of an image along the last axis."""
    tensor, field = call.first
    if getattr(call.function, "__module__", None) != "torch.nn.functional":
        given = dict(zip(("input", "dimension", "size", "step"), call.args, strict=False)) | dict(call.kwargs)
        dim = given["dimension"] % tensor.dim()
        axes = (
            _window_of(axis, given["size"], given["step"]) if _lies_along(axis, dim) else axis for axis in field.axes
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

    return _along_axes(call, 2, slid)


def _moved(call: Call) -> list[Field | None]:
    """Apply the same function to the units' numbers, and see where they went."""
    tensor, field = call.first
    in_place = getattr(call.function, "__name__", "").endswith("_") and call.name != "getitem"
    if len(call.sources) > 1 or not call.args or call.args[0] is not tensor or (
        in_place and getattr(call.function, "__name__", "") != "__get__"
    ):
        return [None] * len(call.outputs)
    found: list[list[Axis | None]] = [[] for _ in call.outputs]
    for axis in field.axes:
        if axis.dim is None:
            moved: list[Tensor] = []
        else:
            numbers = _unit_numbers(tensor, axis.dim)
            moved = list(calls.tensors_in(call.function(numbers, *call.args[1:], **call.kwargs)))
        for k, axes in enumerate(found):
            axes.append(_follow(axis, moved[k], merges=call.name in calls.RESHAPES) if moved else axis)
    return [
        Field(field.source, tuple(axis for axis in axes if axis is not None)) if None not in axes else None
        for axes in found
    ]


def _unit_numbers(tensor: Tensor, dim: int | None) -> Tensor:
    """0, 1, 2, ... along dim, in the shape of the tensor."""
    dim = dim or 0
    shape = [-1 if d == dim else 1 for d in range(tensor.dim())]
    return torch.arange(tensor.shape[dim]).view(shape).expand(tensor.shape).contiguous()     # for view()


def _follow(axis: Axis, numbers: Tensor, *, merges: bool) -> Axis | None:
    """The axis after its units were moved to where these numbers are; merges: axes may have been laid together."""
    varying = [d for d in range(numbers.dim()) if bool(numbers.diff(dim=d).any())]
    if len(varying) > 1 or numbers.numel() == 0:
        return None
    if axis.jump is None:           # flattened before: it may only move as a whole
        whole = varying and numbers.shape[varying[0]] == int(numbers.max()) + 1
        return replace(axis, dim=varying[0]) if whole else None
    index = tuple(slice(None) if d in varying else 0 for d in range(numbers.dim()))
    units = [int(unit) for unit in numbers[index].reshape(-1).tolist()]
    if not varying:
        return union(pick(axis, units[:1], 0))
    steps = {after - unit for unit, after in pairwise(units)} or {1}
    if merges and (len(steps) > 1 or min(steps) < 1):
        return union(pick(axis, sorted(set(units)), varying[0]), varying[0])
    return pick(axis, units, varying[0])


_RULES: dict[str, Callable[[Call], Field | None]] = {
    **dict.fromkeys(calls.ARITHMETIC, _same_place),
    **dict.fromkeys(calls.POINTWISE, _one_place),
    **dict.fromkeys(calls.CONVOLUTIONS, _convolution),
    **dict.fromkeys(calls.TRANSPOSED, _transposed),
    **dict.fromkeys(calls.POOLS, _pool),
    **dict.fromkeys(calls.ADAPTIVE_POOLS, _adaptive_pool),
    **dict.fromkeys(calls.REDUCTIONS, _reduction),
    **dict.fromkeys(("linear", "matmul", "mm", "addmm"), _last_axis_mixed),
    **dict.fromkeys(("cat", "concat", "concatenate"), _cat),
    "interpolate": _resampled,
    "pixel_shuffle": _shuffled,
    "pixel_unshuffle": _unshuffled,
    "unfold": _unfolded,
    "stack": _stack,
    "pad": _pad,
}
