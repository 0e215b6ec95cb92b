"""What a network computes on one image: its activation maps, its first kernels, and where its answer comes from."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from featherweight.anatomy.cost import Shape
from featherweight.anatomy.geometry import Field
from featherweight.anatomy.layers import IMAGE, Layer, Shapes, as_shapes, layers_of
from featherweight.anatomy.receptive_field import SurrogateRun, agreeing, middle_unit
from featherweight.anatomy.trace import BATCH, Row, Tracer, prepare, run, trace
from featherweight.anatomy.twin import kind_of, on_cpu, one_thread, untouched_random_state
from featherweight.errors import ModelError

LINEAR = {      # autograd's steps that keep a sum a sum; what log-softmax takes from all classes, the mean gives back
    "Add", "Addmm", "AdaptiveAvgPool2D", "AvgPool2D", "Convolution", "LogSoftmax", "Mean", "Mm", "NativeBatchNorm",
    "ReshapeAlias", "Select", "Squeeze", "Sub", "T", "UnsafeView", "View",
}
Box = tuple[float, float, float, float]     # left, top, width, height in pixels


@dataclass(frozen=True)
class ClassMap:
    """Which parts of an image speak for a class, measured against the mean over all classes.

    values (H, W), in pixels of the image: each unit's share of the evidence, spread evenly over the pixels that it
    sees. unit: the box of the unit with the largest share. exact: what follows the layer is linear, so that the values
    sum to the whole evidence, up to the biases; elsewhere they are its first-order part.
    """

    layer: Layer
    values: Tensor
    unit: Box
    exact: bool


@dataclass(frozen=True)
class Seen:
    """What the unit in the middle of a layer sees: the rule's box, and the pixels that the gradient reaches (H, W)."""

    layer: Layer
    box: Box
    support: Tensor


def activation_maps(module: nn.Module, inputs: Sequence[Tensor]) -> list[tuple[Layer, Tensor]]:
    """Every layer that gives maps, with what it gives, (C, H, W), on inputs of one image, (1, ...) each."""
    with untouched_random_state(module), one_thread(), torch.no_grad():
        tracer, _ = run_once(module, inputs)
    pairs = zip(layers_of(tracer.rows), tracer.rows, strict=True)
    return [(layer, row.tensors[0][0]) for layer, row in pairs if row.tensors and row.tensors[0].dim() == 4]


def first_kernels(module: nn.Module) -> Tensor | None:
    """The weights of the first two-dimensional convolution, (O, I, h, w); None where there is none."""
    found = (part for part in module.modules() if isinstance(part, nn.Conv2d) or kind_of(part) == "Conv2d")
    weight: Any = getattr(next(found, None), "weight", None)
    return None if weight is None or is_lazy(weight) or weight.is_meta else weight.detach().cpu()


def class_map(module: nn.Module, inputs: Sequence[Tensor], target: int, head: int = 0) -> ClassMap:
    """Where the evidence for a class lies, seen from the last layer that still has more than one place.

    inputs: one image, (1, ...) each. The evidence is the class's logit less the mean logit; each unit's share is its
    activation times its gradient. For a network that ends in global average pooling this is the class activation map.
    Source: Zhou et al. (2016); Draelos and Carin (2020). Raises ModelError where no layer has places.
    """
    with untouched_random_state(module), one_thread(), torch.enable_grad():
        tracer, outputs = run_once(module, [value.detach().requires_grad_() for value in inputs])
        answer = (outputs if isinstance(outputs, tuple) else (outputs,))[head][0]
        index = last_with_places(tracer.rows)
        row = tracer.rows[index]
        evidence = answer[target] - answer.mean()
        (slope,) = torch.autograd.grad(evidence, row.tensors[0])
    shares = (slope * row.tensors[0]).detach()[0].sum(dim=0)     # (h, w)
    assert row.field is not None
    exact = steps_between(evidence, row.tensors[0]) <= LINEAR
    best = divmod(int(shares.argmax()), shares.shape[1])
    return ClassMap(layers_of(tracer.rows)[index], spread(shares, row.field, inputs[0].shape[2:]),
                    box_of(row.field, best), exact)


def run_once(module: nn.Module, inputs: Sequence[Tensor]) -> tuple[Tracer, Tensor | tuple[Tensor, ...]]:
    """One pass of a copy on the CPU, its rows with their outputs, and what came out: the image BATCH times."""
    shapes = [tuple(value.shape[1:]) for value in inputs]
    twin = on_cpu(prepare(module, shapes)).requires_grad_(False)
    for part in twin.modules():
        if getattr(part, "inplace", False):     # would overwrite what is to be looked at
            part.inplace = False  # type: ignore[assignment]
    tracer = Tracer(twin, keep_tensors=True)
    return tracer, run(tracer, [torch.cat([value] * BATCH) for value in inputs])


def last_with_places(rows: Sequence[Row]) -> int:
    """The last row with more than one place whose fields are known."""
    for index in range(len(rows) - 1, -1, -1):
        tensors, field = rows[index].tensors, rows[index].field
        if tensors and tensors[0].dim() == 4 and tensors[0][0, 0].numel() > 1 and is_placed(field):
            return index
    raise ModelError("no layer of this network has more than one place on the image, so there is nothing to map.")


def steps_between(result: Tensor, source: Tensor) -> set[str]:
    """The kinds of steps that lead from one tensor to the other, as autograd calls them without "Backward0"."""
    found, seen, waiting = set(), {source.grad_fn, None}, [result.grad_fn]
    while waiting:
        step = waiting.pop()
        if step in seen or step is None:
            continue
        seen.add(step)
        found.add(step.name().partition("Backward")[0])
        waiting.extend(before for before, _ in step.next_functions)
    return found


def is_placed(field: Field | None) -> bool:
    """Whether the units lie side by side on an image."""
    return field is not None and len(field.axes) == 2 and all(axis.jump is not None for axis in field.axes)


def spread(shares: Tensor, field: Field, size: Sequence[int]) -> Tensor:
    """The shares of the units, (h, w), over the pixels (H, W) that each unit sees."""
    values = torch.zeros(*size)
    rows, columns = field.axes
    for y, vertical in enumerate(rows.seen):
        for x, horizontal in enumerate(columns.seen):
            if vertical and horizontal:
                part = values[vertical[0] : vertical[1], horizontal[0] : horizontal[1]]
                part += shares[y, x] / part.numel()
    return values


def box_of(field: Field, unit: Sequence[int]) -> Box:
    """A unit's box by rule: left, top, width, height; it may reach over the border of the image."""
    ends = (axis.ends_at(place) or (0, 0) for axis, place in zip(field.axes, unit, strict=True))
    (top, bottom), (left, right) = ends
    return left, top, right - left, bottom - top


def middle_fields(module: nn.Module, input_shapes: Shapes = IMAGE) -> list[Seen]:
    """For every layer that has places on the image: what the unit in its middle sees, by rule and by gradient."""
    shapes: Sequence[Shape] = as_shapes(input_shapes)
    seen = trace(module, shapes)
    with untouched_random_state(module), one_thread():
        pixels = SurrogateRun(module, shapes, images=1)
        pixels.finish()
        rows, _ = agreeing(seen.rows, pixels)
        found = []
        for row, layer in zip(rows, layers_of(rows), strict=True):
            if row.field is None or not pixels.has_images(row):
                continue
            if len(row.field.axes) == 2 and len(shapes[row.field.source]) == 3:
                unit = middle_unit(row.field, shapes)
                with suppress(ModelError):      # a backward of the network's own, that fails
                    found.append(Seen(layer, box_of(row.field, unit), pixels.support(row, [unit])[0]))
        return found
