"""Writer of a quantised network as C code that computes its sums in integers."""

from __future__ import annotations

from math import prod

import numpy as np

from featherweight.shipping.c_float import conv_fields, parameter, pool_fields, size_in_words
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
    ToBytes,
    ToFloat,
    in_words,
    shape_in,
)
from featherweight.shipping.memory import plan_memory
from featherweight.shipping.quantise import Grid, Quantised

UNIT = Grid(1.0, 0)


class Writer:
    """The C code that is being written, with two memory plans: one block for bytes and one for floats."""

    def __init__(self, quantised: Quantised) -> None:
        graph = quantised.graph
        self.graph, self.grids, self.kernels = graph, quantised.grids, quantised.kernels
        kept = [step.output for step in graph.steps if step.output not in graph.heads]
        sizes = {name: prod(graph.shapes[name]) for name in kept}
        self.bytes = plan_memory(graph.steps, {name: size for name, size in sizes.items() if name in self.grids})
        self.floats = plan_memory(graph.steps, {name: size for name, size in sizes.items() if name not in self.grids})
        blocks = (("uint8_t memory", self.bytes.size), ("float values", self.floats.size))
        memory = [f"static {name}[{size}];" for name, size in blocks if size]
        widest = max(graph.shapes[name][2] for name in quantised.kernels)
        self.body = Body("int8.c", {"most_probable"}, memory=memory, ram=self.bytes.size + 4 * self.floats.size)
        self.body.settings = f"enum {{ WIDEST = {widest} }};   /* columns of the widest layer's output */\n"

    def place(self, name: str) -> str:
        """Return the C expression for a value: a place in memory, or a parameter for inputs and heads."""
        if name in self.graph.heads:
            return parameter(name)
        if name in ("images", "numbers"):
            return name[:-1]
        return f"memory + {self.bytes.offsets[name]}" if name in self.grids else f"values + {self.floats.offsets[name]}"

    def targets(self, name: str) -> tuple[str, str]:
        """Return the C arguments `out` and `values` for a result in bytes or in floats.

    The one that is not used is NULL.
    """
        return (self.place(name), "NULL") if name in self.grids else ("NULL", self.place(name))


def write_int8(quantised: Quantised) -> Body:
    """Return the C code of all steps of a quantised graph."""
    writer = Writer(quantised)
    for index, step in enumerate(quantised.graph.steps, 1):
        write_int8_step(writer, step, index)
    return writer.body


def write_int8_step(writer: Writer, step: Step, index: int) -> None:
    """Add the call of one step, with its constants."""
    layer, body, shapes = step.layer, writer.body, writer.graph.shapes
    before, after = shape_in(step, shapes), shapes[step.output]
    said = f"{in_words(layer)}: {size_in_words(after)}"
    source, target, count = writer.place(step.inputs[0]), writer.place(step.output), prod(after)
    if isinstance(layer, Conv | Scale | Relu):
        body.title(said)
    if isinstance(layer, Conv):
        body.parts.add("to_byte")
        address = write_conv(writer, step, layer, before, after, index)
        body.call("convolve", address, source, *writer.targets(step.output), comment=said)
    elif isinstance(layer, Pool):
        body.parts.add("to_byte")
        address = write_pool(writer, step, layer, before, after, index)
        body.call("pool", address, source, *writer.targets(step.output), comment=said)
    elif isinstance(layer, RootMeanSquare):
        write_root(writer, step, layer, before, said)
    elif isinstance(layer, Scale | Relu):
        write_scale(writer, step, before, index, said)
    elif isinstance(layer, Pad):
        grid = writer.grids[step.output]
        fill = int(np.clip(round(layer.value / grid.scale) + grid.zero, 0, 255))
        shapes_given = f"(Shape){shape(before)}, (Shape){shape(after)}"
        body.call("pad", shapes_given, *layer.pads[:2], fill, source, target, comment=said)
    elif isinstance(layer, ToBytes):
        body.parts.add("to_byte")
        grid = writer.grids[step.output]
        body.call("to_bytes", source, count, number(1 / grid.scale), grid.zero, target, comment=said)
    elif isinstance(layer, ToFloat):
        grid = writer.grids[step.inputs[0]]
        body.call("to_floats", source, count, number(grid.scale), grid.zero, target, comment=said)
    elif isinstance(layer, Concat):
        start = writer.floats.offsets[step.output]
        for name in step.inputs:
            part = prod(shapes[name])
            body.call("copy", writer.place(name), part, f"values + {start}", comment=said)
            start += part
    elif isinstance(layer, OneHot):
        body.call("one_hot", source, count, target, comment=said)
    elif isinstance(layer, Softmax):
        body.call("log_softmax" if layer.log else "softmax", source, count, target, comment=said)


def write_conv(writer: Writer, step: Step, layer: Conv, before: Shape, after: Shape, index: int) -> str:
    """Add the constants of a convolution and return the address of its C structure."""
    body, kernel = writer.body, writer.kernels[step.output]
    given, made = writer.grids[step.inputs[0]], writer.grids.get(step.output, UNIT)
    unit = 1.0 if layer.after else made.scale       # the factor and summand after the ReLU take real values
    names = [
        body.array(f"weight_{index}", kernel.weight),
        body.array(f"step_{index}", narrow(kernel.scale * given.scale / unit)),
        body.array(f"bias_{index}", narrow(kernel.bias / unit)),
    ]
    if layer.after:
        names += [body.array(f"factor_{index}", narrow(layer.after[0] / made.scale)),
                  body.array(f"summand_{index}", narrow(layer.after[1] / made.scale))]
    fields = (*conv_fields(layer, before, after), int(layer.relu), given.zero, made.zero, *names,
              *(() if layer.after else ("NULL", "NULL")))
    return body.record("Convolution", f"convolution_{index}", fields)


def write_pool(writer: Writer, step: Step, layer: Pool, before: Shape, after: Shape, index: int) -> str:
    """Add the C structure of a pool and return its address."""
    given, made = writer.grids[step.inputs[0]], writer.grids.get(step.output, UNIT)
    fields = *pool_fields(layer, before, after), given.zero, made.zero, number(given.scale / made.scale)
    return writer.body.record("Pool", f"pool_{index}", fields)


def write_root(writer: Writer, step: Step, layer: RootMeanSquare, before: Shape, said: str) -> None:
    """Add the call of a root mean square. Its argument `added` is in squares of the output's steps."""
    given, made = writer.grids[step.inputs[0]], writer.grids.get(step.output, UNIT)
    writer.body.parts.add("to_byte")
    writer.body.call("root_mean_square", writer.place(step.inputs[0]), before[0], before[1] * before[2], given.zero,
                     made.zero, number(given.scale / made.scale), number(layer.added / made.scale**2),
                     *writer.targets(step.output), comment=said)


def write_scale(writer: Writer, step: Step, before: Shape, index: int, said: str) -> None:
    """Add the call of a normalisation or ReLU that is not part of a convolution, from one grid to another."""
    layer, body = step.layer, writer.body
    given, made = writer.grids[step.inputs[0]], writer.grids[step.output]
    ones = np.ones(before[0])
    factor, summand = (layer.factor, layer.summand) if isinstance(layer, Scale) else (ones, 0 * ones)
    names = (body.array(f"factor_{index}", narrow(factor * given.scale / made.scale)),
             body.array(f"summand_{index}", narrow(summand / made.scale)))
    body.parts.add("to_byte")
    least = "0.0f" if isinstance(layer, Relu) else "-256.0f"
    body.call("scale", writer.place(step.inputs[0]), before[0], before[1] * before[2], given.zero, *names, least,
              made.zero, writer.place(step.output), comment=said)


def narrow(values: np.ndarray) -> np.ndarray:
    """Return the values as float32."""
    return np.asarray(values, np.float32)
