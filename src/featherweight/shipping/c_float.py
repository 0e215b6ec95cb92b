"""Writer of a folded network as C code that computes in float32."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from featherweight.shipping.c_text import Body, number, shape
from featherweight.shipping.graph import (
    Concat,
    Conv,
    OneHot,
    Pad,
    Pool,
    Relu,
    RootMeanSquare,
    Scale,
    Shape,
    Softmax,
    Step,
    StepGraph,
    in_words,
    shape_in,
)
from featherweight.shipping.memory import MemoryPlan, plan_memory


def write_float(graph: StepGraph) -> Body:
    """Return the C code of all steps of a graph."""
    graph = with_pixels(graph)
    sizes = {step.output: prod(graph.shapes[step.output]) for step in graph.steps if step.output not in graph.heads}
    plan = plan_memory(graph.steps, sizes)
    body = Body("float.c", {"most_probable"}, memory=[f"static float memory[{plan.size}];"], ram=4 * plan.size)
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


def write_float_step(body: Body, step: Step, graph: StepGraph, plan: MemoryPlan, index: int) -> None:
    """Add the call of one step, with its constants."""
    layer, before, after = step.layer, shape_in(step, graph.shapes), graph.shapes[step.output]
    places = [place(name, graph, plan) for name in (*step.inputs, step.output)]
    said = f"{in_words(layer)}: {size_in_words(after)}"
    if isinstance(layer, Conv | Scale):
        body.title(said)
    if isinstance(layer, Conv):
        body.call("convolve", write_conv(body, layer, before, after, index), *places, comment=said)
    elif isinstance(layer, Pool):
        body.call("pool", body.record("Pool", f"pool_{index}", pool_fields(layer, before, after)), *places,
                  comment=said)
    elif isinstance(layer, RootMeanSquare):
        body.call("root_mean_square", places[0], before[0], before[1] * before[2], number(layer.added), places[1],
                  comment=said)
    elif isinstance(layer, Scale):
        factors = body.array(f"factor_{index}", layer.factor), body.array(f"summand_{index}", layer.summand)
        name = "pixels" if step.inputs[0] == "images" else "scale"
        body.call(name, places[0], before[0], before[1] * before[2], *factors, places[1], comment=said)
    elif isinstance(layer, Pad):
        shapes = f"(Shape){shape(before)}, (Shape){shape(after)}"
        body.call("pad", shapes, *layer.pads[:2], number(layer.value), *places, comment=said)
    elif isinstance(layer, Concat):
        write_concat(body, step, graph, plan)
    else:
        name = {Relu: "relu", OneHot: "one_hot"}.get(type(layer), "")
        if isinstance(layer, Softmax):
            name = "log_softmax" if layer.log else "softmax"
        body.call(name, places[0], prod(after), places[1], comment=said)


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
