"""Which pixels a unit sees: the pure arithmetic of receptive fields, one image axis at a time.

Pixel 0 spans [0, 1], so an input unit has size 1, jump 1 and start 0.5. Source: Araujo, Norris and Sim 2019,
"Computing receptive fields of convolutional neural networks", Distill. Beside their three numbers, which go
on over the border of the image, every unit's true first and last pixel inside the image is kept: padding
together with dilation or even kernels leaves fewer pixels than the three numbers cut at the border.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

Span = tuple[int, int] | None       # first pixel and the one after the last; None: only padding


@dataclass(frozen=True)
class Axis:
    """The fields of a tensor's units along one axis of the image.

    dim and jump are given: the units lie along that axis of the tensor, jump pixels apart.
    dim is None: all units see the same pixels (after global pooling, after Linear).
    jump alone is None: units that see different pixels were flattened together along dim; size
    and start are those of their union.
    """

    size: int                       # pixels, also outside of the image
    jump: int | None                # pixels
    start: float                    # pixels, centre of the first unit's field
    seen: tuple[Span, ...]          # for each unit, inside the image
    dim: int | None

    @property
    def lowest(self) -> float:
        """Where the first unit's field begins, in pixels."""
        return self.start - self.size / 2

    @property
    def highest(self) -> float:
        """Where the last unit's field ends, in pixels."""
        return self.start + (len(self.seen) - 1) * (self.jump or 0) + self.size / 2


@dataclass(frozen=True)
class Field:
    """The receptive fields of all units of a tensor: which input they look at, and where."""

    source: int
    axes: tuple[Axis, ...]

    def on(self, dim: int) -> Axis | None:
        """The image axis that lies along this axis of the tensor."""
        return next((axis for axis in self.axes if axis.dim == dim), None)

    def same_numbers(self, other: Field | None) -> bool:
        """Whether size, jump and start are equal on every axis."""
        return other is not None and _numbers(self) == _numbers(other)


def input_field(source: int, shape: Sequence[int]) -> Field:
    """The field of an input of this shape (channels first, no batch axis) in a batch."""
    axes = (Axis(1, 1, 0.5, tuple((i, i + 1) for i in range(n)), 2 + k) for k, n in enumerate(shape[1:]))
    return Field(source, tuple(axes))


def hull(spans: Iterable[Span]) -> Span:
    """The smallest span that holds them all."""
    real = [span for span in spans if span is not None]
    return (min(low for low, _ in real), max(high for _, high in real)) if real else None


def window(axis: Axis, *, kernel: int, stride: int, before: int, dilation: int, count: int) -> Axis:
    """A convolution or a pooling with `before` pixels of padding, giving count units."""
    assert axis.jump is not None
    firsts = range(-before, -before + count * stride, stride)
    windows = (range(first, first + kernel * dilation, dilation) for first in firsts)
    seen = tuple(hull(axis.seen[i] for i in units if 0 <= i < len(axis.seen)) for units in windows)
    reach = (kernel - 1) * dilation
    start = axis.start + (reach / 2 - before) * axis.jump
    return Axis(axis.size + reach * axis.jump, axis.jump * stride, start, seen, axis.dim)


def pick(axis: Axis, units: Sequence[int], dim: int) -> Axis | None:
    """Every step-th unit, now lying along dim; None where the steps are not even and forward."""
    assert axis.jump is not None
    steps = {after - unit for unit, after in pairwise(units)} or {1}
    if len(steps) > 1 or min(steps) < 1:
        return None
    start = axis.start + units[0] * axis.jump
    return Axis(axis.size, axis.jump * steps.pop(), start, tuple(axis.seen[i] for i in units), dim)


def union(axis: Axis, dim: int | None = None) -> Axis:
    """All units at once: the whole extent."""
    size = round(axis.highest - axis.lowest)
    return Axis(size, None, (axis.lowest + axis.highest) / 2, (hull(axis.seen),), dim)


def join(fields: Sequence[Field]) -> Field | None:
    """Units that look through several branches; the fields' dims must mean the same tensor axes.

    None where they have no common place: two inputs, different jumps, different lengths.
    """
    if len({field.source for field in fields}) != 1:
        return None
    axes = []
    for parts in zip(*(field.axes for field in fields), strict=True):
        joined: Axis | None = parts[0]
        for part in parts[1:]:
            joined = _join_axes(joined, part) if joined is not None else None
        if joined is None:
            return None
        axes.append(joined)
    return Field(fields[0].source, tuple(axes))


def _join_axes(a: Axis, b: Axis) -> Axis | None:
    if a == b:
        return a
    if a.dim is not None and a.dim == b.dim and len(a.seen) == len(b.seen) == 1:
        a, b = union(a, _folded(a)), union(b, _folded(b))
    if a.jump == b.jump and len(a.seen) == len(b.seen) and (a.dim == b.dim or a.jump is None):
        if a.dim is not None and b.dim is not None and a.dim != b.dim:
            return None
        low, high = min(a.lowest, b.lowest), max(a.lowest + a.size, b.lowest + b.size)
        seen = tuple(hull(pair) for pair in zip(a.seen, b.seen, strict=True))
        return Axis(round(high - low), a.jump, (low + high) / 2, seen, b.dim if a.dim is None else a.dim)
    whole, part = (a, b) if a.dim is None else (b, a)
    # A gate that saw everything, times a map: each unit sees what the gate saw, if that holds its own.
    inside = whole.lowest <= part.lowest and part.highest <= whole.highest
    if whole.dim is None and inside and hull((*whole.seen, *part.seen)) == whole.seen[0]:
        return whole
    return None


def _folded(axis: Axis) -> int | None:
    return axis.dim if axis.jump is None else None


def _numbers(field: Field) -> list[tuple[int, int | None, float]]:
    return [(axis.size, axis.jump, axis.start) for axis in field.axes]


def drop_dims(field: Field, dims: set[int], keep: bool) -> Field:
    """All units along these axes of the tensor are mixed; the axes are kept with length 1 or dropped."""
    axes = []
    for axis in field.axes:
        if axis.dim is None:
            axes.append(axis)
        elif axis.dim in dims:
            axes.append(union(axis))
        else:
            gone = 0 if keep else sum(dim < axis.dim for dim in dims)
            axes.append(replace(axis, dim=axis.dim - gone))
    return Field(field.source, tuple(axes))
