"""Receptive field of every layer: by rule, by gradient, and the comparison of both to the pixel."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from featherweight.anatomy.geometry import Axis, Field, Span
from featherweight.anatomy.layers import IMAGE, Layer, Shapes, as_shapes, layers_of
from featherweight.anatomy.rows import Row, rows_of
from featherweight.anatomy.surrogate import Surrogate
from featherweight.blame import in_one_line
from featherweight.errors import ModelError
from featherweight.graph import record_of
from featherweight.graph.calls import Shape
from featherweight.graph.passes import prepare
from featherweight.graph.recorder import Recorder
from featherweight.graph.twin import filled, on_cpu, one_thread, untouched_random_state

LONGEST_SIDE = 1500     # pixels; a field that needs more is compared inside the given image only
Box = tuple[Span, ...]


@dataclass(frozen=True)
class Check:
    """Comparison of one row by rule and by gradient: the box of pixels that one unit sees.

    The unit is the first one at which rule and gradient differ, otherwise the unit in the middle.
    whole: True if the middle unit's field fits into the image. Otherwise, its box is only the part inside the image.
    equal: None if rule and gradient were not compared.
    """

    layer: Layer
    rule: Box | None
    gradient: Box | None
    equal: bool | None
    whole: bool
    input_shape: Shape
    note: str = ""      # reason if the rule gives a field, but no comparison was possible

    @property
    def verdict(self) -> str:
        """Result as text: equal, different or not applicable."""
        return {True: "equal", False: "different", None: "not applicable"}[self.equal]

    def to_dict(self) -> dict[str, Any]:
        """Return the values for JSON: the layer's name and field, the sizes of both boxes in pixels, the verdict."""
        return {
            "index": self.layer.index,
            "name": self.layer.name,
            "receptive_field": self.layer.receptive_field,
            "rule": _sizes(self.rule),
            "gradient": _sizes(self.gradient),
            "verdict": self.verdict,
            "whole": self.whole,
            "input_shape": list(self.input_shape),
            "note": self.note,
        }


def receptive_field(module: nn.Module, input_shapes: Shapes = IMAGE) -> list[Layer]:
    """Return the layers with their fields by rule, in .receptive_field, .jump and .start, all in pixels.

    start is the centre of the first unit's field. A value is a number if height and width agree, else [height, width].
    None means that the value has no meaning. Sizes are theoretical and may exceed the image.

    Raises ModelError if the module does not run.
    """
    return layers_of(rows_of(record_of(module, as_shapes(input_shapes))))


def verify(module: nn.Module, input_shapes: Shapes = IMAGE) -> list[Check]:
    """Compare rule and gradient for every row, at the units in the corners and in the middle.

    If a field is larger than the image, a larger image is tried, up to the row at which the network fails on it.
    The pass for the gradient may fail, or take another path through forward. The rows from there on get a note
    instead of a verdict.

    Raises ModelError if the module does not run.
    """
    shapes = as_shapes(input_shapes)
    expected = rows_of(record_of(module, shapes))
    with untouched_random_state(module), one_thread():
        pixels = SurrogateRun(module, shapes, images=1 + 2 ** max(len(shape) - 1 for shape in shapes))
        pixels.finish()
        rows, note = agreeing(expected, pixels)
        layers = layers_of(expected)
        checks = [_check(pixels, row, layer, shapes) for row, layer in zip(rows, layers, strict=False)]
        larger = _enlarged(shapes, rows, checks)
        checks = checks if larger is None else _on_larger(module, larger, rows, checks)
    rest = layers[len(rows) :]
    note = note if any(layer.field for layer in rest) else ""
    return checks + [Check(layer, None, None, None, False, tuple(shapes[0]), note) for layer in rest]


def agreeing(expected: Sequence[Row], pixels: SurrogateRun) -> tuple[list[Row], str]:
    """Return the surrogate's rows up to the first that differs from the network's, and a note about the rest.

    expected: the network's rows.
    """
    rows = pixels.rows
    pairs = zip(expected, rows, strict=False)
    same = sum(1 for _ in itertools.takewhile(lambda pair: _place(pair[0]) == _place(pair[1]), pairs))
    if same == len(expected) == len(rows):
        return rows, ""
    if pixels.fault and same == len(rows):
        return rows, f"the gradient could not be followed: {pixels.fault}"
    return rows[:same], "forward takes another way for other images"


def _place(row: Row) -> tuple[Any, ...]:
    """Return the values of a row that are equal in both passes if forward takes the same path."""
    numbers = row.field and [(axis.size, axis.jump, axis.start) for axis in row.field.axes]
    return row.name, row.kind, row.shapes, row.parameters, numbers


def _on_larger(
    module: nn.Module, shapes: Sequence[Shape], rows: Sequence[Row], checks: Sequence[Check]
) -> list[Check]:
    """Compare the middle unit again on a larger image, for rows whose field did not fit.

    Ends at the row at which the network fails on the larger image.
    """
    result = list(checks)
    try:
        pixels = SurrogateRun(module, shapes, images=1)
    except ModelError:      # lazy parameters cannot be filled on this image
        return result
    pixels.finish()
    for k, (row, again, check) in enumerate(zip(rows, pixels.rows, checks, strict=False)):
        comparable = row.field is not None and row.name == again.name and row.field.same_numbers(again.field)
        if comparable and check.equal and not check.whole:
            result[k] = _check(pixels, again, check.layer, shapes)
    return result


def gradient_support(
    module: nn.Module, layer: int, input_shapes: Shapes = IMAGE, unit: Sequence[int] | None = None
) -> Tensor:
    """Return the pixels that one unit of a row sees, as booleans (height, width). Holes left by dilation are False.

    layer: index of the row from 0, as in summarize(...).layers.
    unit: position of the unit, one number for each image axis. The default is the unit in the middle.

    Raises ModelError if the row has no field.
    """
    shapes = as_shapes(input_shapes)
    with untouched_random_state(module), one_thread():
        pixels = SurrogateRun(module, shapes, images=1)
        pixels.finish()
    rows, note = agreeing(rows_of(record_of(module, shapes)), pixels)
    if note and layer >= len(rows):
        raise ModelError(f"row {layer} cannot be examined: {note}.")
    row = rows[layer]
    if row.field is None or not pixels.has_images(row):
        raise ModelError(f"row {row.name!r} has no receptive field: its units have no single position in one input.")
    places = middle_unit(row.field, shapes) if unit is None else tuple(unit)
    return pixels.support(row, [places])[0]


class SurrogateRun:
    """One forward pass of the surrogate, kept for gradients.

    The batch holds one image for each unit whose gradient is computed at the same time.
    """

    def __init__(self, module: nn.Module, shapes: Sequence[Shape], images: int) -> None:
        self.images = images
        twin = on_cpu(prepare(module, shapes))
        for parameter in filled(twin):
            parameter.requires_grad_(False)
        self.twin = twin.to(torch.float64)
        blanks = (torch.ones(images, *shape, dtype=torch.float64) for shape in shapes)
        self.inputs = [blank.requires_grad_() for blank in blanks]
        self.surrogate = Surrogate()
        self.recorder = Recorder(self.twin, keep=True)
        self.rows: list[Row] = []      # after finish()
        self.fault = ""         # why the pass ended early; empty if it did not
        self._known: dict[tuple[int, tuple[tuple[int, ...], ...]], Tensor] = {}

    def finish(self) -> None:
        """Run the pass. After a failure, the rows before it are kept and `fault` gives the reason.

        Warnings are hidden, because the network itself has run before and has shown them.
        """
        try:
            with torch.enable_grad(), self.surrogate, double_by_default(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.recorder.run(self.inputs)
        except Exception as fault:
            self.fault = in_one_line(fault)
        self.rows = rows_of(self.recorder.record)

    def has_images(self, row: Row) -> bool:
        """Return True if the row's field is known and its first axis is the batch, so that support works."""
        return row.field is not None and row.outputs[0].shape[:1] == (self.images,)

    def support(self, row: Row, units: Sequence[tuple[int, ...]]) -> Tensor:
        """Return booleans (units, height, width): the pixels that unit k sees in image k.

        Raises ModelError if the network's own backward fails.
        """
        assert row.field is not None
        tensor = row.outputs[0].tensor
        assert tensor is not None
        tensor = self.surrogate.single(tensor)
        key = (id(tensor), tuple(units))
        if key not in self._known:      # an identity returns the tensor of an earlier row
            picked = [_at(tensor[k], row.field, unit).sum() for k, unit in enumerate(units)]
            source = self.inputs[row.field.source]
            total = torch.stack(picked).sum()
            if not total.requires_grad:
                return torch.zeros(len(units), *source.shape[2:], dtype=torch.bool)
            try:
                (gradient,) = torch.autograd.grad(total, source, retain_graph=True, allow_unused=True)
            except RuntimeError as fault:       # raised by the network's own backward
                raise ModelError(f"the gradient could not be followed: {in_one_line(fault)}") from fault
            gradient = torch.zeros_like(source) if gradient is None else gradient
            self._known[key] = (gradient != 0).any(1)
        return self._known[key]


@contextmanager
def double_by_default() -> Iterator[None]:
    """Make float64 the default dtype inside the block.

    So a tensor that forward creates has the surrogate's dtype, as it otherwise has the network's.
    """
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(usual)


def _check(pixels: SurrogateRun, row: Row, layer: Layer, shapes: Sequence[Shape]) -> Check:
    """Compare rule and gradient at the middle unit, and at the corners if there are images for them.

    The result shows the first unit at which the two differ, otherwise the middle unit.
    """
    if row.field is None or not pixels.has_images(row):
        return Check(layer, None, None, None, False, tuple(shapes[0]))
    field, shape = row.field, shapes[row.field.source]
    middle = middle_unit(field, shapes)
    corners = itertools.product(*((0, len(axis.seen) - 1) for axis in field.axes))
    units = [middle, *corners][: pixels.images]
    try:
        boxes = [_box(mask) for mask in pixels.support(row, units)]
    except ModelError as fault:
        return Check(layer, None, None, None, False, tuple(shape), str(fault))
    expected = [_seen(field, unit) for unit in units]
    whole = all(_inside(axis, u, n) for axis, u, n in zip(field.axes, middle, shape[1:], strict=True))
    if whole:           # the border cuts nothing off, so size, jump and start alone must give the box
        expected[0] = tuple(axis.ends_at(u) for axis, u in zip(field.axes, middle, strict=True))
    differs = [k for k, (a, b) in enumerate(zip(expected, boxes, strict=True)) if a != b]
    k = differs[0] if differs else 0
    return Check(layer, expected[k], boxes[k], not differs, whole, tuple(shape))


def middle_unit(field: Field, shapes: Sequence[Shape]) -> tuple[int, ...]:
    """Return the unit whose field is closest to the middle of the image, as one index for each axis."""
    sides = shapes[field.source][1:]
    return tuple(
        min(range(len(axis.seen)), key=lambda u: _distance(axis, u, side / 2))
        for axis, side in zip(field.axes, sides, strict=True)
    )


def _distance(axis: Axis, unit: int, place: float) -> float:
    """Return the distance from the centre of a unit's field to `place`; infinity if the unit sees nothing."""
    span = axis.ends_at(unit)
    return math.inf if span is None else abs(sum(span) / 2 - place)


def _inside(axis: Axis, unit: int, side: int) -> bool:
    span = axis.ends_at(unit)
    return span is not None and span[0] >= 0 and span[1] <= side


def _at(tensor: Tensor, field: Field, unit: Sequence[int]) -> Tensor:
    """Return one unit in all its channels. Along axes on which units were mixed or flattened, return all values."""
    index: list[Any] = [slice(None)] * tensor.dim()
    for axis, u in zip(field.axes, unit, strict=True):
        if axis.dim is not None and axis.jump is not None:
            index[axis.dim - 1] = u
    return tensor[tuple(index)]


def _box(mask: Tensor) -> Box:
    """Return the span from the first to the last true element, along each axis."""
    spans: list[Span] = []
    for d in range(mask.dim()):
        others = [k for k in range(mask.dim()) if k != d]
        line = torch.nonzero(mask.any(others) if others else mask)
        spans.append((int(line[0]), int(line[-1]) + 1) if len(line) else None)
    return tuple(spans)


def _seen(field: Field, unit: Sequence[int]) -> Box:
    """Return the box by rule, inside the image. A unit that sees nothing along one axis sees nothing at all."""
    box = tuple(axis.seen[u] for axis, u in zip(field.axes, unit, strict=True))
    return box if None not in box else (None,) * len(box)


def _sizes(box: Box | None) -> list[int] | None:
    return None if box is None else [0 if span is None else span[1] - span[0] for span in box]


def _enlarged(shapes: Sequence[Shape], rows: Sequence[Row], checks: Sequence[Check]) -> list[Shape] | None:
    """Return image shapes on which the fields fit that are too large for the given images.

    Returns None if all fields fit, or if a side would be longer than LONGEST_SIDE.
    """
    axes = [
        axis
        for row, check in zip(rows, checks, strict=True)
        if row.field is not None and not check.whole
        for axis in row.field.axes
        if axis.jump is not None
    ]
    if not axes:
        return None
    step = math.ceil(max(axis.jump or 1 for axis in axes))
    needed = max(axis.size for axis in axes) + 2 * step
    # Add whole steps, so that the strides leave the same remainder as on the given image.
    larger = [(shape[0], *(n + -(-max(needed - n, 0) // step) * step for n in shape[1:])) for shape in shapes]
    return larger if larger != list(shapes) and max(map(max, larger)) <= LONGEST_SIDE else None
