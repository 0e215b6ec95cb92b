"""Arithmetic of receptive fields: the pixels that each unit of a tensor sees, one image axis at a time.

Pixel 0 spans [0, 1], so an input unit has size 1, jump 1 and start 0.5. These three numbers ignore the border of the
image. So the first and last pixel inside the image are stored for each unit as well. The three numbers, cut at the
border, would give too many pixels for padding with dilation or with even kernels.

After upsampling or uneven pooling, the fields of the units differ in size or distance. Then the ends of each field
are stored. The three numbers become the largest size, the mean jump and the first centre.

Source: Araujo, Norris and Sim 2019, "Computing receptive fields of convolutional neural networks", Distill.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

Span = tuple[int, int] | None       # first pixel, last pixel + 1; None: only padding


@dataclass(frozen=True)
class Axis:
    """Fields of a tensor's units along one axis of the image.

    - `dim` and `jump` given: the units lie along axis `dim` of the tensor, and the fields are `jump` pixels apart.
    - `dim=None`: all units see the same pixels, as after global pooling or Linear.
    - only `jump=None`: units with different fields were flattened together along `dim`. size and start give the union.
    - `ends` given: the fields are uneven. size is the largest, jump the mean, start of the first unit that sees pixels.
    """

    size: int                       # pixels, not cut at the border of the image
    jump: float | None              # pixels; a whole number if the units are even
    start: float                    # pixels, centre of the first unit's field
    seen: tuple[Span, ...]          # for each unit, cut at the border
    dim: int | None
    ends: tuple[Span, ...] | None = None    # for each unit, not cut; None: the fields are even

    def ends_at(self, unit: int) -> Span:
        """Return (lower end, upper end) of a unit's field in pixels, not cut at the border of the image.

        Returns None if the unit sees nothing.
        """
        if self.ends is not None:
            return self.ends[unit]
        centre = self.start + unit * (self.jump or 0)
        return round(centre - self.size / 2), round(centre + self.size / 2)

    @property
    def lowest(self) -> float:
        """Smallest lower end of all fields, in pixels."""
        if self.ends is not None:
            return (hull(self.ends) or (0, 0))[0]
        return self.start - self.size / 2

    @property
    def highest(self) -> float:
        """Largest upper end of all fields, in pixels."""
        if self.ends is not None:
            return (hull(self.ends) or (0, 0))[1]
        return self.start + (len(self.seen) - 1) * (self.jump or 0) + self.size / 2


@dataclass(frozen=True)
class Field:
    """Receptive fields of all units of a tensor: the index of the input (source), and one Axis per image axis."""

    source: int
    axes: tuple[Axis, ...]

    def on(self, dim: int) -> Axis | None:
        """Return the image axis that lies along axis `dim` of the tensor, or None."""
        return next((axis for axis in self.axes if axis.dim == dim), None)

    def same_numbers(self, other: Field | None) -> bool:
        """Return True if size, jump and start are equal on every axis."""
        return other is not None and _numbers(self) == _numbers(other)


def input_field(source: int, shape: Sequence[int]) -> Field:
    """Return the field of input number `source` of the network.

    shape: of one image, channels first. Tensor axes are counted with the batch axis, so the first image axis is 2.
    """
    axes = (Axis(1, 1, 0.5, tuple((i, i + 1) for i in range(n)), 2 + k) for k, n in enumerate(shape[1:]))
    return Field(source, tuple(axes))


def hull(spans: Iterable[Span]) -> Span:
    """Return the smallest span that contains all given spans. None stands for an empty span."""
    real = [span for span in spans if span is not None]
    if not real:
        return None
    found = min(low for low, _ in real), max(high for _, high in real)
    return next((span for span in real if span == found), found)        # a deep network has few different spans


@lru_cache(maxsize=4096)
def window(axis: Axis, *, kernel: int, stride: int, before: int, dilation: int, count: int) -> Axis:
    """Return the axis after a convolution or pooling.

    before: units of padding in front. count: number of output units.
    """
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
    """Return the axis on which unit k sees everything that the units `windows[k]` see.

    Numbers outside the tensor are padding and see nothing.
    jump: mean distance between two of the new units, in pixels.
    """
    inside = [[unit for unit in units if 0 <= unit < len(axis.seen)] for units in windows]
    ends = tuple(hull(axis.ends_at(unit) for unit in units) for units in inside)
    return of_ends(ends, tuple(hull(axis.seen[unit] for unit in units) for units in inside), jump, dim)


def of_ends(ends: tuple[Span, ...], seen: tuple[Span, ...], jump: float, dim: int | None) -> Axis:
    """Return the axis of units with these ends. If the fields are even, size, jump and start replace the ends."""
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
    """Return the mean distance between the centres of neighbouring fields, in pixels, to three decimals.

    Returns 1 for fewer than two fields.
    """
    centres = [sum(span) / 2 for span in ends if span is not None]
    steps = [abs(after - centre) for centre, after in pairwise(centres)]
    return round(sum(steps) / len(steps), 3) if steps else 1


def pick(axis: Axis, units: Sequence[int], dim: int) -> Axis:
    """Return the axis of the given units in this order, along tensor axis `dim`. Unit -1 is padding."""
    assert axis.jump is not None
    steps = {after - unit for unit, after in pairwise(units)} or {1}
    step = steps.pop() if len(steps) == 1 else 0
    if step > 0 and axis.ends is None and -1 not in units:
        start = axis.start + units[0] * axis.jump
        return Axis(axis.size, axis.jump * step, start, tuple(axis.seen[i] for i in units), dim)
    ends = [axis.ends_at(unit) if unit >= 0 else None for unit in units]
    return gather(axis, [[unit] for unit in units], axis.jump * abs(step) if step else mean_jump(ends), dim)


def chain(parts: Sequence[tuple[Axis | None, int]], dim: int) -> Axis:
    """Return the axis of several tensors concatenated along `dim`.

    parts: (axis, length) of each tensor. axis=None: the tensor is a constant and sees nothing.
    """
    ends: list[Span] = []
    seen: list[Span] = []
    for axis, length in parts:
        for unit in range(length):
            at = 0 if axis is not None and axis.dim != dim else unit     # here all units see the same pixels
            ends.append(axis.ends_at(at) if axis else None)
            seen.append(axis.seen[at] if axis else None)
    return of_ends(tuple(ends), tuple(seen), mean_jump(ends), dim)


def union(axis: Axis, dim: int | None = None) -> Axis:
    """Return the union of all units' fields as one unit. dim: the tensor axis of units that were flattened together."""
    size = round(axis.highest - axis.lowest)
    return Axis(size, None, (axis.lowest + axis.highest) / 2, (hull(axis.seen),), dim)


def join(fields: Sequence[Field]) -> Field | None:
    """Return the field of units that combine several branches, as an addition does.

    In all fields, `dim` must count the axes of the same tensor.
    Returns None if the branches come from different inputs or have different lengths.
    Returns None if only some branches see nothing at a position, as on a padded border. There the axes depend on each
    other, and a field describes each axis by itself.
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
    """Return the units that see nothing, for each axis."""
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
    """Join two axes of the same jump, unit by unit. Returns None if they lie along different tensor axes."""
    if a.dim is not None and b.dim is not None and a.dim != b.dim:
        return None
    low, high = min(a.lowest, b.lowest), max(a.lowest + a.size, b.lowest + b.size)
    seen = tuple(hull(pair) for pair in zip(a.seen, b.seen, strict=True))
    return Axis(round(high - low), a.jump, (low + high) / 2, seen, b.dim if a.dim is None else a.dim)


def _gated(whole: Axis, part: Axis) -> Axis | None:
    """Return the axis of a map times a gate, where the gate sees everything, as in squeeze-and-excitation.

    whole: axis of the gate. part: axis of the map. Each unit sees the pixels of the gate and its own.
    Returns None if the result is not the gate's own axis and the map has no `dim` or no `jump`.
    """
    inside = whole.lowest <= part.lowest and part.highest <= whole.highest
    if inside and hull((*whole.seen, *part.seen)) == whole.seen[0]:
        return whole
    if part.dim is None or part.jump is None:
        return None
    everywhere = replace(part, seen=whole.seen * len(part.seen), ends=(whole.ends_at(0),) * len(part.seen))
    return _hulls(part, everywhere, part.jump)


def _hulls(a: Axis, b: Axis, jump: float | None) -> Axis:
    """Join two axes unit by unit, also uneven ones. jump=None: take the mean jump of the result."""
    ends = tuple(hull((a.ends_at(unit), b.ends_at(unit))) for unit in range(len(a.seen)))
    seen = tuple(hull(pair) for pair in zip(a.seen, b.seen, strict=True))
    return of_ends(ends, seen, mean_jump(ends) if jump is None else jump, a.dim)


def _unit_by_unit(a: Axis, b: Axis) -> bool:
    """Return True if both lie along the same tensor axis, and their jumps differ or one is uneven."""
    along = a.dim is not None and a.dim == b.dim and len(a.seen) == len(b.seen)
    return along and None not in (a.jump, b.jump) and (a.jump != b.jump or bool(a.ends or b.ends))


def _folded(axis: Axis) -> int | None:
    return axis.dim if axis.jump is None else None


def _numbers(field: Field) -> list[tuple[int, float | None, float]]:
    return [(axis.size, axis.jump, axis.start) for axis in field.axes]


def drop_dims(field: Field, dims: set[int], keep: bool) -> Field:
    """Return the field after all units along the tensor axes `dims` are mixed.

    keep: True if these axes stay with length 1; False if they are removed.
    """
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
