"""Activation maps, first kernels, fields and class evidence of a network on one image, for the report's figures."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from featherweight.anatomy.geometry import Field
from featherweight.anatomy.layers import IMAGE, Layer, Shapes, as_shapes, layers_of
from featherweight.anatomy.receptive_field import SurrogateRun, agreeing, middle_unit
from featherweight.anatomy.rows import Row, rows_of
from featherweight.errors import ModelError
from featherweight.graph import record_of
from featherweight.graph.calls import Shape
from featherweight.graph.passes import BATCH, prepare, run
from featherweight.graph.recorder import Recorder
from featherweight.graph.twin import kind_of, on_cpu, one_thread, untouched_random_state

# Linear autograd functions. LogSoftmax is one of them here: it subtracts the same number from all classes, and the
# evidence, a difference from the mean, does not contain that number.
LINEAR = {
    "Add", "Addmm", "AdaptiveAvgPool2D", "AvgPool2D", "Convolution", "LogSoftmax", "Mean", "Mm", "NativeBatchNorm",
    "ReshapeAlias", "Select", "Squeeze", "Sub", "T", "UnsafeView", "View",
}
MOST_SEEN = 0.5     # largest part of the image that the units of a mapped layer see, a fraction
Box = tuple[float, float, float, float]     # left, top, width, height in pixels


@dataclass(frozen=True)
class ClassMap:
    """Map of the evidence in one image for one class, compared with the mean over all classes.

    values: (H, W), in pixels of the image. Each unit's share of the evidence is spread evenly over the pixels it sees.
    unit: box of the unit with the largest share.
    exact: True if all steps after the layer are linear. Then the values sum to the whole evidence, without the part
    of the biases. Otherwise, the values are a first-order approximation.
    """

    layer: Layer
    values: Tensor
    unit: Box
    exact: bool


@dataclass(frozen=True)
class Seen:
    """Receptive field of the unit in the middle of a layer.

    box: the field by rule.
    support: booleans (H, W), True at the pixels that the gradient reaches.
    """

    layer: Layer
    box: Box
    support: Tensor


def activation_maps(module: nn.Module, inputs: Sequence[Tensor]) -> list[tuple[Layer, Tensor]]:
    """Return (layer, output) for every layer with a four-dimensional output, computed on one image.

    inputs: a tensor (1, ...) for each input of the network. Each output is (C, H, W).
    """
    with untouched_random_state(module), one_thread(), torch.no_grad():
        rows, _ = run_once(module, inputs)
    pairs = ((layer, map_of(row)) for layer, row in zip(layers_of(rows), rows, strict=True))
    return [(layer, values[0]) for layer, values in pairs if values is not None]


def first_kernels(module: nn.Module) -> Tensor | None:
    """Return the weights (O, I, h, w) of the first two-dimensional convolution, on the CPU.

    Returns None if the network has no such layer or its weights have no values yet.
    """
    found = (part for part in module.modules() if isinstance(part, nn.Conv2d) or kind_of(part) == "Conv2d")
    weight: Any = getattr(next(found, None), "weight", None)
    return None if weight is None or is_lazy(weight) or weight.is_meta else weight.detach().cpu()


def class_map(module: nn.Module, inputs: Sequence[Tensor], target: int, head: int = 0) -> ClassMap:
    """Return the evidence map of class `target`, taken at the last layer whose units tell places of the image apart.

    Such a layer has more than one unit, and its units see at most MOST_SEEN of the image on average. Units that see
    nearly the whole image would colour it evenly.
    inputs: one image, as a tensor (1, ...) for each input of the network. head: index of the output to explain.
    The evidence is the logit of the class minus the mean logit. A unit's share is its activation times its gradient.
    For a network that ends in global average pooling, the result is the class activation map (CAM).
    Source: Zhou et al. (2016); Draelos and Carin (2020).
    Raises ModelError if no layer tells places apart.
    """
    with untouched_random_state(module), one_thread(), torch.enable_grad():
        rows, outputs = run_once(module, [value.detach().requires_grad_() for value in inputs])
        answer = (outputs if isinstance(outputs, tuple) else (outputs,))[head][0]
        index, values, field = last_with_places(rows, inputs[0].shape[2:])
        evidence = answer[target] - answer.mean()
        (slope,) = torch.autograd.grad(evidence, values)
    shares = (slope * values).detach()[0].sum(dim=0)     # (h, w)
    exact = steps_between(evidence, values) <= LINEAR
    best = divmod(int(shares.argmax()), shares.shape[1])
    return ClassMap(layers_of(rows)[index], spread(shares, field, inputs[0].shape[2:]), box_of(field, best), exact)


def run_once(module: nn.Module, inputs: Sequence[Tensor]) -> tuple[list[Row], Tensor | tuple[Tensor, ...]]:
    """Run a CPU copy of the network once, on the image repeated BATCH times. Return the rows and the output.

    The values of the rows hold their tensors.
    """
    shapes = [tuple(value.shape[1:]) for value in inputs]
    twin = on_cpu(prepare(module, shapes)).requires_grad_(False)
    for part in twin.modules():
        if getattr(part, "inplace", False):     # would overwrite the map that the row keeps
            part.inplace = False  # type: ignore[assignment]
    recorder = Recorder(twin, keep=True)
    outputs = run(recorder, [torch.cat([value] * BATCH) for value in inputs])
    return rows_of(recorder.record), outputs


def map_of(row: Row) -> Tensor | None:
    """Return the first output of a row, (BATCH, C, H, W); None if the row has no output of four dimensions."""
    values = row.outputs[0].tensor if row.outputs else None
    return values if values is not None and values.dim() == 4 else None


def last_with_places(rows: Sequence[Row], size: Sequence[int]) -> tuple[int, Tensor, Field]:
    """Return index, output and field of the last row whose units tell places of the image apart, see `class_map`.

    size: (H, W) of the image. Raises ModelError if there is no such row.
    """
    several = False
    for index in range(len(rows) - 1, -1, -1):
        values, field = map_of(rows[index]), rows[index].field
        if values is not None and values[0, 0].numel() > 1 and field is not None and is_placed(field):
            several = True
            if seen_share(field, size) <= MOST_SEEN:
                return index, values, field
    if several:
        raise ModelError("the units of every layer see more than half of the image on average, so no map "
                         "tells where this network looks.")
    raise ModelError("no layer of this network has more than one place on the image, so there is nothing to map.")


def seen_share(field: Field, size: Sequence[int]) -> float:
    """Return the part of an image (H, W) that a unit sees, a fraction, as the mean over all units of the layer."""
    share = 1.0
    for axis, length in zip(field.axes, size, strict=True):
        spans = [span[1] - span[0] if span else 0 for span in axis.seen]
        share *= sum(spans) / max(len(spans), 1) / length
    return share


def steps_between(result: Tensor, source: Tensor) -> set[str]:
    """Return the names of the autograd functions that lead from `source` to `result`, without "Backward0"."""
    found, seen, waiting = set(), {source.grad_fn, None}, [result.grad_fn]
    while waiting:
        step = waiting.pop()
        if step in seen or step is None:
            continue
        seen.add(step)
        found.add(step.name().partition("Backward")[0])
        waiting.extend(before for before, _ in step.next_functions)
    return found


def is_placed(field: Field) -> bool:
    """Return True if the units form a two-dimensional grid on the image."""
    return len(field.axes) == 2 and all(axis.jump is not None for axis in field.axes)


def spread(shares: Tensor, field: Field, size: Sequence[int]) -> Tensor:
    """Return (H, W): each unit's share from `shares` (h, w), divided evenly over the pixels that the unit sees."""
    values = torch.zeros(*size)
    rows, columns = field.axes
    for y, vertical in enumerate(rows.seen):
        for x, horizontal in enumerate(columns.seen):
            if vertical and horizontal:
                part = values[vertical[0] : vertical[1], horizontal[0] : horizontal[1]]
                part += shares[y, x] / part.numel()
    return values


def box_of(field: Field, unit: Sequence[int]) -> Box:
    """Return (left, top, width, height) of a unit's field by rule. The box may reach over the border of the image."""
    ends = (axis.ends_at(place) or (0, 0) for axis, place in zip(field.axes, unit, strict=True))
    (top, bottom), (left, right) = ends
    return left, top, right - left, bottom - top


def middle_fields(module: nn.Module, input_shapes: Shapes = IMAGE) -> list[Seen]:
    """Return the middle unit's field in every layer on the image, by rule and by gradient.

    A layer is left out if its field is unknown or not two-dimensional, or if the network's own backward fails.
    """
    shapes: Sequence[Shape] = as_shapes(input_shapes)
    expected = rows_of(record_of(module, shapes))
    with untouched_random_state(module), one_thread():
        pixels = SurrogateRun(module, shapes, images=1)
        pixels.finish()
        rows, _ = agreeing(expected, pixels)
        found = []
        for row, layer in zip(rows, layers_of(rows), strict=True):
            if row.field is None or not pixels.has_images(row):
                continue
            if len(row.field.axes) == 2 and len(shapes[row.field.source]) == 3:
                unit = middle_unit(row.field, shapes)
                with suppress(ModelError):      # the network's own backward may fail
                    found.append(Seen(layer, box_of(row.field, unit), pixels.support(row, [unit])[0]))
        return found
