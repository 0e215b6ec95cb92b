"""Which pixels a unit sees: the pure arithmetic of receptive fields, one image axis at a time.

Pixel 0 spans [0, 1], so an input unit has size 1, jump 1 and start 0.5. Source: Araujo, Norris and Sim 2019,
"Computing receptive fields of convolutional neural networks", Distill. Beside their three numbers, which go
on over the border of the image, every unit's true first and last pixel inside the image is kept: padding
together with dilation or even kernels leaves fewer pixels than the three numbers cut at the border. After
upsampling, uneven pooling and the like the units see fields of different sizes or at different distances; then
the ends of each are kept, and the three numbers are the largest size, the mean jump and the first centre.
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
    ends are given: the units are uneven; size is the largest, jump the mean, start of the first that sees any.
    """

    size: int                       # pixels, also outside of the image
    jump: float | None              # pixels; a whole number if the units are even
    start: float                    # pixels, centre of the first unit's field
    seen: tuple[Span, ...]          # for each unit, inside the image
    dim: int | None
    ends: tuple[Span, ...] | None = None    # for each unit, also outside of the image; None: as the numbers say

    def ends_at(self, unit: int) -> Span:
        """Where a unit's field begins and ends, in pixels, also outside of the image; None if it sees nothing."""
        if self.ends is not None:
            return self.ends[unit]
        centre = self.start + unit * (self.jump or 0)
        return round(centre - self.size / 2), round(centre + self.size / 2)

    @property
    def lowest(self) -> float:
        """Where the first field begins, in pixels."""
        if self.ends is not None:
            return (hull(self.ends) or (0, 0))[0]
        return self.start - self.size / 2

    @property
    def highest(self) -> float:
        """Where the last field ends, in pixels."""
        if self.ends is not None:
            return (hull(self.ends) or (0, 0))[1]
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
    windows = [range(first, first + kernel * dilation, dilation) for first in firsts]
    if axis.ends is not None:
        return gather(axis, windows, axis.jump * stride, axis.dim)
    seen = tuple(hull(axis.seen[i] for i in units if 0 <= i < len(axis.seen)) for units in windows)
    reach = (kernel - 1) * dilation
    start = axis.start + (reach / 2 - before) * axis.jump
    return Axis(round(axis.size + reach * axis.jump), axis.jump * stride, start, seen, axis.dim)


def gather(axis: Axis, windows: Sequence[Sequence[int]], jump: float, dim: int | None) -> Axis:
    """Unit k sees what the units windows[k] see; numbers outside of the tensor are padding and see nothing.

    jump: pixels between two of the new units, on average.
    """
    inside = [[unit for unit in units if 0 <= unit < len(axis.seen)] for units in windows]
    ends = tuple(hull(axis.ends_at(unit) for unit in units) for units in inside)
    return of_ends(ends, tuple(hull(axis.seen[unit] for unit in units) for units in inside), jump, dim)


def of_ends(ends: tuple[Span, ...], seen: tuple[Span, ...], jump: float, dim: int | None) -> Axis:
    """The axis of units with these ends; where they are even, three numbers are enough."""
    known = [span for span in ends if span is not None]
    sizes: set[int] = {high - low for low, high in known} or {0}
    start = sum(known[0]) / 2 if known else 0.0
    steps: set[float] = {after[0] - span[0] for span, after in pairwise(known)} or {jump}
    if len(known) == len(ends) and len(sizes) == len(steps) == 1 and min(steps) > 0:
        return Axis(max(sizes), _whole(steps.pop()), start, seen, dim)
    return Axis(max(sizes), _whole(jump), start, seen, dim, ends)


def _whole(jump: float) -> float:
    return int(jump) if jump == int(jump) else jump


def mean_jump(ends: Iterable[Span]) -> float:
    """The mean distance between the centres of neighbouring units, in pixels, to three decimals."""
    centres = [sum(span) / 2 for span in ends if span is not None]
    steps = [abs(after - centre) for centre, after in pairwise(centres)]
    return round(sum(steps) / len(steps), 3) if steps else 1


def pick(axis: Axis, units: Sequence[int], dim: int) -> Axis:
    """These units in this order, now lying along dim; -1 is padding."""
    assert axis.jump is not None
    steps = {after - unit for unit, after in pairwise(units)} or {1}
    step = steps.pop() if len(steps) == 1 else 0
    if step > 0 and axis.ends is None and -1 not in units:
        start = axis.start + units[0] * axis.jump
        return Axis(axis.size, axis.jump * step, start, tuple(axis.seen[i] for i in units), dim)
    ends = [axis.ends_at(unit) if unit >= 0 else None for unit in units]
    return gather(axis, [[unit] for unit in units], axis.jump * abs(step) if step else mean_jump(ends), dim)


def chain(parts: Sequence[tuple[Axis | None, int]], dim: int) -> Axis:
    """The units of several tensors one after the other along dim; each with its length, None for constants."""
    ends: list[Span] = []
    seen: list[Span] = []
    for axis, length in parts:
        for unit in range(length):
            at = 0 if axis is not None and axis.dim != dim else unit     # all units of the part see the same
            ends.append(axis.ends_at(at) if axis else None)
            seen.append(axis.seen[at] if axis else None)
    return of_ends(tuple(ends), tuple(seen), mean_jump(ends), dim)


def union(axis: Axis, dim: int | None = None) -> Axis:
    """All units at once: the whole extent."""
    size = round(axis.highest - axis.lowest)
    return Axis(size, None, (axis.lowest + axis.highest) / 2, (hull(axis.seen),), dim)


def join(fields: Sequence[Field]) -> Field | None:
    """Units that look through several branches; the fields' dims must mean the same tensor axes.

    None where they have no common place: two inputs, different lengths; or where only some of them see nothing
    at a place, as on a padded border: there the axes do not hang together any more.
    """
    if len({field.source for field in fields}) != 1 or len({_blind(field) for field in fields}) > 1:
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


def _blind(field: Field) -> tuple[tuple[int, ...], ...]:
    """The units that see nothing, for each axis."""
    return tuple(tuple(unit for unit, span in enumerate(axis.seen) if span is None) for axis in field.axes)


def _join_axes(a: Axis, b: Axis) -> Axis | None:
    if a == b:
        return a
    if a.dim is not None and a.dim == b.dim and len(a.seen) == len(b.seen) == 1:
        a, b = union(a, _folded(a)), union(b, _folded(b))
    if _unit_by_unit(a, b):
        return _hulls(a, b, (a.jump or 0) if a.jump == b.jump else None)
    if a.jump == b.jump and len(a.seen) == len(b.seen) and (a.dim == b.dim or a.jump is None):
        return _even_hulls(a, b)
    whole, part = (a, b) if a.dim is None else (b, a)
    return _gated(whole, part) if whole.dim is None else None


def _even_hulls(a: Axis, b: Axis) -> Axis | None:
    """Unit by unit, both with the same jump."""
    if a.dim is not None and b.dim is not None and a.dim != b.dim:
        return None
    low, high = min(a.lowest, b.lowest), max(a.lowest + a.size, b.lowest + b.size)
    seen = tuple(hull(pair) for pair in zip(a.seen, b.seen, strict=True))
    return Axis(round(high - low), a.jump, (low + high) / 2, seen, b.dim if a.dim is None else a.dim)


def _gated(whole: Axis, part: Axis) -> Axis | None:
    """What saw everything, times a map: each unit sees what the gate saw, and its own."""
    inside = whole.lowest <= part.lowest and part.highest <= whole.highest
    if inside and hull((*whole.seen, *part.seen)) == whole.seen[0]:
        return whole
    if part.dim is None or part.jump is None:
        return None
    everywhere = replace(part, seen=whole.seen * len(part.seen), ends=(whole.ends_at(0),) * len(part.seen))
    return _hulls(part, everywhere, part.jump)


def _hulls(a: Axis, b: Axis, jump: float | None) -> Axis:
    """Unit by unit, however they lie; without a jump, the mean that comes out."""
    ends = tuple(hull((a.ends_at(unit), b.ends_at(unit))) for unit in range(len(a.seen)))
    seen = tuple(hull(pair) for pair in zip(a.seen, b.seen, strict=True))
    return of_ends(ends, seen, mean_jump(ends) if jump is None else jump, a.dim)


def _unit_by_unit(a: Axis, b: Axis) -> bool:
    """Whether both lie along the same axis of the tensor, in other numbers or in none."""
    along = a.dim is not None and a.dim == b.dim and len(a.seen) == len(b.seen)
    return along and None not in (a.jump, b.jump) and (a.jump != b.jump or bool(a.ends or b.ends))


def _folded(axis: Axis) -> int | None:
    return axis.dim if axis.jump is None else None


def _numbers(field: Field) -> list[tuple[int, float | None, float]]:
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
