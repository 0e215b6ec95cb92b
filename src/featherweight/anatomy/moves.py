"""Rule for functions that move values without mixing them: apply the function to the units' numbers."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from featherweight.anatomy import calls
from featherweight.anatomy.call import Call
from featherweight.anatomy.geometry import Axis, Field, pick, union


def moved(call: Call) -> list[Field | None]:
    """Return the field of each output.

    The same function is applied to the units' numbers. The result shows the new position of each unit.
    """
    tensor, field = call.first
    in_place = getattr(call.function, "__name__", "").endswith("_") and call.name != "getitem"
    if len(call.sources) > 1 or not call.args or call.args[0] is not tensor or (
        in_place and getattr(call.function, "__name__", "") != "__get__"
    ):
        return [None] * len(call.outputs)
    found: list[list[Axis | None]] = [[] for _ in call.outputs]
    for axis in field.axes:
        if axis.dim is None:
            places: list[Tensor] = []
        else:
            numbers = unit_numbers(tensor, axis.dim)
            places = list(calls.tensors_in(call.function(numbers, *call.args[1:], **call.kwargs)))
        for k, axes in enumerate(found):
            axes.append(_follow(axis, places[k], merges=call.name in calls.RESHAPES) if places else axis)
    return [
        Field(field.source, tuple(axis for axis in axes if axis is not None)) if None not in axes else None
        for axes in found
    ]


def unit_numbers(tensor: Tensor, dim: int | None) -> Tensor:
    """Return 0, 1, 2, ... along `dim`, in the shape of the tensor."""
    dim = dim or 0
    shape = [-1 if d == dim else 1 for d in range(tensor.dim())]
    return torch.arange(tensor.shape[dim]).view(shape).expand(tensor.shape).contiguous()     # view() needs that


def _follow(axis: Axis, numbers: Tensor, *, merges: bool) -> Axis | None:
    """Return the axis after its units moved to the positions of `numbers`.

    Returns None if the units no longer lie along a single axis of the tensor.
    merges: True if the function may have merged axes.
    """
    varying = [d for d in range(numbers.dim()) if bool(numbers.diff(dim=d).any())]
    if len(varying) > 1 or numbers.numel() == 0:
        return None
    if axis.jump is None:           # flattened earlier, so it may only move as a whole
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
