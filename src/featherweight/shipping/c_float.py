"""Writer of a folded network as C code that computes in float32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from featherweight.graph.plain import (
    Activation,
    Combine,
    Concat,
    Conv,
    MeanSquare,
    Move,
    OneHot,
    Pad,
    Pool,
    PRelu,
    Relu,
    Resample,
    Scale,
    Shape,
    Softmax,
    Spread,
    Standardise,
    Step,
    StepGraph,
    in_words,
    shape_in,
)
from featherweight.shipping.c_moves import write_move
from featherweight.shipping.c_text import Body, number, shape
from featherweight.shipping.memory import MemoryPlan, plan_memory


def write_float(graph: StepGraph, kind: type[Body] = Body) -> Body:
    """Return the C code of all steps of a graph. kind: Body, or a subclass that only counts bytes."""
    graph = with_pixels(graph)
    sizes = {step.output: prod(graph.shapes[step.output]) for step in graph.steps if step.output not in graph.heads}
    plan = plan_memory(graph.steps, sizes)
    body = kind("float.c", {"most_probable"}, memory=[f"static float memory[{plan.size}];"], ram=4 * plan.size)
    for index, step in enumerate(graph.steps, 1):
        write_float_step(body, step, graph, plan, index)
    return body


def with_pixels(graph: StepGraph) -> StepGraph:
    """Return the graph with a Scale as the only reader of the images. This step converts bytes to floats.

    A normalisation of the pixels already is such a step. Otherwise a Scale with factor 1 is added.
    """
    readers = graph.readers("images")
    if len(readers) == 1 and isinstance(readers[0].layer, Scale):
        return graph
    channels = graph.shapes["images"][0]
    plain = Scale(np.ones(channels, np.float32), np.zeros(channels, np.float32))
    steps = [replace(step, inputs=tuple("pixels" if name == "images" else name for name in step.inputs))
             for step in graph.steps]
    shapes = {**graph.shapes, "pixels": graph.shapes["images"]}
    return StepGraph((Step(plain, ("images",), "pixels"), *steps), shapes, graph.heads)


@dataclass(frozen=True)
class At:
    """One step where it is written: shapes before and after, places of the inputs and the output, and its number."""

    body: Body
    step: Step
    before: Shape
    after: Shape
    places: tuple[str, ...]
    index: int
    said: str
    counts: tuple[int, int, int] = (0, 0, 0)    # of a Combine, see counts_of

    @property
    def plane(self) -> int:
        """Number of values in a channel of the input."""
        return self.before[1] * self.before[2]


def write_float_step(body: Body, step: Step, graph: StepGraph, plan: MemoryPlan, index: int) -> None:
    """Add the call of one step, with its constants."""
    layer, before, after = step.layer, shape_in(step, graph.shapes), graph.shapes[step.output]
    said = f"{in_words(layer)}: {size_in_words(after)}"
    if isinstance(layer, Conv | Scale | PRelu):
        body.title(said)
    if isinstance(layer, Concat):
        write_concat(body, step, graph, plan)
        return
    places = tuple(place(name, graph, plan) for name in (*step.inputs, step.output))
    FLOAT[type(layer)](At(body, step, before, after, places, index, said, counts_of(step, graph)), layer)


def counts_of(step: Step, graph: StepGraph) -> tuple[int, int, int]:
    """Return channels, values in a channel, and 1 if the second input has as many values as the output, else 0.

    If it has, the channels do not matter, and the output counts as one channel.
    """
    total, (channels, *_) = prod(graph.shapes[step.output]), graph.shapes[step.output]
    each = len(step.inputs) < 2 or prod(graph.shapes[step.inputs[1]]) == total
    return (1, total, 1) if each else (channels, total // channels, 0)


def write_convolution(at: At, layer: Conv) -> None:
    """Add a convolution."""
    at.body.call("convolve", write_conv(at.body, layer, at.before, at.after, at.index), *at.places, comment=at.said)


def write_pool(at: At, layer: Pool) -> None:
    """Add a pool."""
    record = at.body.record("Pool", f"pool_{at.index}", pool_fields(layer, at.before, at.after))
    at.body.call("pool", record, *at.places, comment=at.said)


def write_mean_square(at: At, layer: MeanSquare) -> None:
    """Add a mean square, with or without its root."""
    at.body.call("mean_square", at.places[0], at.before[0], at.plane, number(layer.added), int(layer.root),
                 at.places[1], comment=at.said)


def write_scale(at: At, layer: Scale) -> None:
    """Add a factor and summand for each channel; for the images also the conversion to floats."""
    factors = at.body.array(f"factor_{at.index}", layer.factor), at.body.array(f"summand_{at.index}", layer.summand)
    name = "pixels" if at.step.inputs[0] == "images" else "scale"
    at.body.call(name, at.places[0], at.before[0], at.plane, *factors, at.places[1], comment=at.said)


def write_pad(at: At, layer: Pad) -> None:
    """Add a padding."""
    shapes = f"(Shape){shape(at.before)}, (Shape){shape(at.after)}"
    at.body.call("pad", shapes, *layer.pads[:2], number(layer.value), *at.places, comment=at.said)


def write_activation(at: At, layer: Activation) -> None:
    """Add a function of single numbers."""
    ends = (number(float(np.clip(value, -FLOAT_MAX, FLOAT_MAX))) for value in layer.numbers)
    at.body.call(C_NAMES.get(layer.name, layer.name), at.places[0], prod(at.after), *ends, at.places[1],
                 comment=at.said)


def write_prelu(at: At, layer: PRelu) -> None:
    """Add a ReLU with slopes."""
    slopes = at.body.array(f"slopes_{at.index}", layer.slopes)
    at.body.call("prelu", at.places[0], at.before[0], at.plane, slopes, at.places[1], comment=at.said)


def write_standardise(at: At, layer: Standardise) -> None:
    """Add a standardisation of groups."""
    at.body.call("standardise", at.places[0], layer.groups, prod(at.after) // layer.groups, number(layer.added),
                 at.places[1], comment=at.said)


def write_spread(at: At, layer: Spread) -> None:
    """Add zeros between rows and columns."""
    shapes = f"(Shape){shape(at.before)}, (Shape){shape(at.after)}"
    at.body.call("spread", shapes, *layer.stride, number(0.0), *at.places, comment=at.said)


def write_resample(at: At, layer: Resample) -> None:
    """Add a linear interpolation."""
    tables = (("row_places", layer.row_places.astype(np.uint16)), ("rows", layer.rows.astype(np.float32)),
              ("column_places", layer.column_places.astype(np.uint16)), ("columns", layer.columns.astype(np.float32)))
    names = [at.body.array(f"{name}_{at.index}", values) for name, values in tables]
    shapes = f"(Shape){shape(at.before)}, (Shape){shape(at.after)}"
    at.body.call("resample", shapes, *names, *at.places, comment=at.said)


def write_combine(at: At, layer: Combine) -> None:
    """Add a sum or product of two values."""
    first, second, target = at.places
    at.body.call(layer.kind, first, second, *at.counts, target, comment=at.said)


def plain_call(name: str) -> Callable[[At, Any], None]:
    """Return a writer for a function of (in, count, out)."""
    return lambda at, layer: at.body.call(name, at.places[0], prod(at.after), at.places[1], comment=at.said)


C_NAMES = {"tanh": "hyperbolic_tangent", "sqrt": "square_root", "abs": "absolute"}    # names of math.h are taken
FLOAT_MAX = float(np.finfo(np.float32).max)
FLOAT: dict[type, Callable[[At, Any], None]] = {
    Conv: write_convolution, Pool: write_pool, MeanSquare: write_mean_square, Scale: write_scale, Pad: write_pad,
    Activation: write_activation, PRelu: write_prelu, Standardise: write_standardise, Spread: write_spread,
    Resample: write_resample, Combine: write_combine, Relu: plain_call("relu"), OneHot: plain_call("one_hot"),
    Move: lambda at, layer: write_move(at.body, layer.places, at.index, (at.places[0], at.places[1]), at.said),
    Softmax: lambda at, layer: plain_call("log_softmax" if layer.log else "softmax")(at, layer),
}


def write_conv(body: Body, layer: Conv, before: Shape, after: Shape, index: int) -> str:
    """Add the constants of a convolution and return the address of its C structure."""
    names = [body.array(f"weight_{index}", layer.weight), body.array(f"bias_{index}", layer.bias)]
    if layer.after:
        names += [body.array(f"factor_{index}", layer.after[0]), body.array(f"summand_{index}", layer.after[1])]
    fields = *conv_fields(layer, before, after), int(layer.relu), *names, *(() if layer.after else ("NULL", "NULL"))
    return body.record("Convolution", f"convolution_{index}", fields)


def conv_fields(layer: Conv, before: Shape, after: Shape) -> tuple[object, ...]:
    """Return the shapes, kernel, stride, dilation, pads and groups in the order of the C structure."""
    kernel = layer.weight.shape[2:]
    return (shape(before), shape(after), *kernel, *layer.stride, *layer.dilation, *layer.pads[:2], layer.groups)


def pool_fields(layer: Pool, before: Shape, after: Shape) -> tuple[object, ...]:
    """Return the shapes, kernel, stride, pads and kind in the order of the C structure."""
    counts = int(layer.kind == "mean" and layer.counts_outside)
    maximum = int(layer.kind == "max")
    return (shape(before), shape(after), *layer.kernel, *layer.stride, *layer.pads[:2], maximum, counts)


def write_concat(body: Body, step: Step, graph: StepGraph, plan: MemoryPlan) -> None:
    """Add one copy for each input of a concatenation."""
    start = plan.offsets[step.output]
    for name in step.inputs:
        count = prod(graph.shapes[name])
        body.call("copy", place(name, graph, plan), count, f"memory + {start}", comment="concatenate")
        start += count


def place(name: str, graph: StepGraph, plan: MemoryPlan) -> str:
    """Return the C expression for a value: a place in memory, or a parameter for inputs and heads."""
    if name in graph.heads:
        return parameter(name)
    return {"images": "image", "numbers": "number"}.get(name) or f"memory + {plan.offsets[name]}"


def parameter(head: str) -> str:
    """Return the name of the C parameter for the probabilities of a head."""
    return "probabilities" if head == "class" else head


def size_in_words(of: Shape) -> str:
    """Return a shape in words: "16 x 24x24", or "32" for a vector."""
    return str(of[0]) if of[1:] == (1, 1) else f"{of[0]} x {of[1]}x{of[2]}"
