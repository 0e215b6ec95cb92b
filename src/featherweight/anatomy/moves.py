"""Rule for functions that move values without mixing them: apply the function to the units' numbers."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from featherweight.anatomy.call import FieldCall
from featherweight.anatomy.geometry import Axis, Field, pick, union
from featherweight.graph import Value, calls


def moved(call: FieldCall) -> list[Field | None]:
    """Return the field of each output.

    The same function is applied to the units' numbers. The result shows the new position of each unit.
    """
    value, field = call.first
    in_place = getattr(call.function, "__name__", "").endswith("_") and call.name != "getitem"
    if call.function is None or len(call.sources) > 1 or not call.args or call.args[0] is not value or (
        in_place and getattr(call.function, "__name__", "") != "__get__"
    ):
        return [None] * len(call.outputs)
    found: list[list[Axis | None]] = [[] for _ in call.outputs]
    for axis in field.axes:
        if axis.dim is None:
            places: list[Tensor] = []
        else:
            numbers = unit_numbers(value, axis.dim)
            places = list(calls.tensors_in(call.function(numbers, *stand_in(call.args[1:]), **stand_in(call.kwargs))))
        for k, axes in enumerate(found):
            axes.append(_follow(axis, places[k], merges=call.name in calls.RESHAPES) if places else axis)
    return [
        Field(field.source, tuple(axis for axis in axes if axis is not None)) if None not in axes else None
        for axes in found
    ]


def stand_in(arguments: Any) -> Any:
    """Return a recorded call's arguments with tensors in place of values.

    A constant is itself. A computed value becomes a tensor without numbers, which can only give its shape.
    """
    def tensor_for(value: Value) -> Tensor:
        return torch.empty(value.shape, device="meta") if value.constant is None else value.constant

    return calls.replaced(arguments, Value, tensor_for)


def unit_numbers(value: Value, dim: int | None) -> Tensor:
    """Return 0, 1, 2, ... along `dim`, in the shape of a value."""
    dim = dim or 0
    shape = [-1 if d == dim else 1 for d in range(value.dim())]
    return torch.arange(value.shape[dim]).view(shape).expand(value.shape).contiguous()     # view() needs that


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
