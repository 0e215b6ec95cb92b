"""One call of a torch function, in the form that the rules of receptive fields take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from featherweight.anatomy import calls
from featherweight.anatomy.geometry import Axis, Field


@dataclass(frozen=True)
class Call:
    """One call of a torch function with at least one argument that depends on an input of the network."""

    name: str
    function: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    outputs: Sequence[Tensor]
    sources: Sequence[tuple[Tensor, Field | None]]      # arguments that depend on an input, with fields

    @property
    def first(self) -> tuple[Tensor, Field]:
        """First source and its field. propagate calls a rule only if all fields are known."""
        tensor, field = self.sources[0]
        assert field is not None
        return tensor, field

    def arguments(self) -> dict[str, Any]:
        """Return the arguments by name."""
        return calls.named(self.name, self.args, self.kwargs)


def along_axes(call: Call, n: int, rule: Callable[[Axis, int], Axis]) -> Field | None:
    """Apply `rule(axis, k)` to each image axis that lies along axis k of the tensor's last `n` axes.

    k counts from 0. Other image axes stay the same. Returns None if one of the last `n` axes has no jump.
    """
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
    """Return the axis's jump times `factor`, to three decimals, for a function that changes the number of units."""
    return round((axis.jump or 0) * factor, 3)


def lies_along(axis: Axis, dim: int) -> bool:
    """Return True if the image axis lies along tensor axis `dim` and has a jump."""
    return axis.dim == dim and axis.jump is not None
