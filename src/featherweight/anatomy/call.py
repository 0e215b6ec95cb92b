"""One call of a torch function as the rules of receptive fields are given it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from featherweight.anatomy import calls
from featherweight.anatomy.geometry import Axis, Field


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


def along_axes(call: Call, n: int, rule: Callable[[Axis, int], Axis]) -> Field | None:
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


def less(axis: Axis, factor: float) -> float:
    """The jump of fewer or more units on the same image, to three decimals."""
    return round((axis.jump or 0) * factor, 3)


def lies_along(axis: Axis, dim: int) -> bool:
    """Whether the axis has units of its own along this axis of the tensor."""
    return axis.dim == dim and axis.jump is not None
