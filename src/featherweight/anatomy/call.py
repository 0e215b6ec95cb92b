"""One recorded call with the fields of its arguments, in the form that the rules of receptive fields take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from featherweight.anatomy.geometry import Axis, Field
from featherweight.graph import Value, calls


@dataclass(frozen=True)
class FieldCall:
    """One call of a torch function with at least one argument that depends on an input of the network.

    sources: the arguments that depend on an input, with their fields.
    """

    name: str
    function: Callable[..., Any] | None
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    outputs: Sequence[Value]
    sources: Sequence[tuple[Value, Field | None]]

    @property
    def first(self) -> tuple[Value, Field]:
        """First source and its field. propagate calls a rule only if all fields are known."""
        value, field = self.sources[0]
        assert field is not None
        return value, field

    def arguments(self) -> dict[str, Any]:
        """Return the arguments by name."""
        return calls.named(self.name, self.args, self.kwargs)


def along_axes(call: FieldCall, n: int, rule: Callable[[Axis, int], Axis]) -> Field | None:
    """Apply `rule(axis, k)` to each image axis that lies along axis k of the tensor's last `n` axes.

    k counts from 0. Other image axes stay the same. Returns None if one of the last `n` axes has no jump.
    """
    value, field = call.first
    axes = []
    for axis in field.axes:
        k = None if axis.dim is None else axis.dim - (value.dim() - n)
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
