"""Writer of a quantised network as C code that computes its sums in integers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from featherweight.graph.activations import activated
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
    Scale,
    Shape,
    Softmax,
    Spread,
    Step,
    ToBytes,
    ToFloat,
    in_words,
    shape_in,
)
from featherweight.shipping.c_float import conv_fields, counts_of, parameter, pool_fields, size_in_words
from featherweight.shipping.c_moves import write_move
from featherweight.shipping.c_text import Body, number, shape
from featherweight.shipping.memory import plan_memory
from featherweight.shipping.quantise import Grid, Quantised

UNIT = Grid(1.0, 0)


class Writer:
    """The C code that is being written, with two memory plans: one block for bytes and one for floats."""

    def __init__(self, quantised: Quantised, kind: type[Body] = Body) -> None:
        graph = quantised.graph
        self.graph, self.grids, self.kernels = graph, quantised.grids, quantised.kernels
        kept = [step.output for step in graph.steps if step.output not in graph.heads]
        sizes = {name: prod(graph.shapes[name]) for name in kept}
        self.bytes = plan_memory(graph.steps, {name: size for name, size in sizes.items() if name in self.grids})
        self.floats = plan_memory(graph.steps, {name: size for name, size in sizes.items() if name not in self.grids})
        blocks = (("uint8_t memory", self.bytes.size), ("float values", self.floats.size))
        memory = [f"static {name}[{size}];" for name, size in blocks if size]
        widest = max(graph.shapes[name][2] for name in quantised.kernels)
        self.body = kind("int8.c", {"most_probable"}, memory=memory, ram=self.bytes.size + 4 * self.floats.size)
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


def write_int8(quantised: Quantised, kind: type[Body] = Body) -> Body:
    """Return the C code of all steps of a quantised graph. kind: Body, or a subclass that only counts bytes."""
    writer = Writer(quantised, kind)
    for index, step in enumerate(quantised.graph.steps, 1):
        write_int8_step(writer, step, index)
    return writer.body


@dataclass(frozen=True)
class At:
    """One step where it is written: shapes before and after, places of the inputs and the output, and its number."""

    writer: Writer
    step: Step
    before: Shape
    after: Shape
    index: int
    said: str

    @property
    def body(self) -> Body:
        return self.writer.body

    @property
    def source(self) -> str:
        """Place of the first input."""
        return self.writer.place(self.step.inputs[0])

    @property
    def target(self) -> str:
        """Place of the output."""
        return self.writer.place(self.step.output)

    @property
    def given(self) -> Grid:
        """Grid of the first input."""
        return self.writer.grids[self.step.inputs[0]]

    @property
    def made(self) -> Grid:
        """Grid of the output. A float counts as a grid with step 1."""
        return self.writer.grids.get(self.step.output, UNIT)

    @property
    def plane(self) -> int:
        """Number of values in a channel of the input."""
        return self.before[1] * self.before[2]

    def call(self, part: str, *arguments: object) -> None:
        """Add a call with its comment."""
        self.body.call(part, *arguments, comment=self.said)


def write_int8_step(writer: Writer, step: Step, index: int) -> None:
    """Add the call of one step, with its constants."""
    layer, after = step.layer, writer.graph.shapes[step.output]
    said = f"{in_words(layer)}: {size_in_words(after)}"
    if isinstance(layer, Conv | Scale | Relu | PRelu | Activation):
        writer.body.title(said)
    if isinstance(layer, ROUNDED):
        writer.body.parts.add("to_byte")
    INT8[type(layer)](At(writer, step, shape_in(step, writer.graph.shapes), after, index, said), layer)


def write_convolution(at: At, layer: Conv) -> None:
    """Add a convolution with its constants. The factor and summand after the ReLU take real values."""
    kernel = at.writer.kernels[at.step.output]
    unit = 1.0 if layer.after else at.made.scale
    names = [
        at.body.array(f"weight_{at.index}", kernel.weight),
        at.body.array(f"step_{at.index}", narrow(kernel.scale * at.given.scale / unit)),
        at.body.array(f"bias_{at.index}", narrow(kernel.bias / unit)),
    ]
    if layer.after:
        names += [at.body.array(f"factor_{at.index}", narrow(layer.after[0] / at.made.scale)),
                  at.body.array(f"summand_{at.index}", narrow(layer.after[1] / at.made.scale))]
    fields = (*conv_fields(layer, at.before, at.after), int(layer.relu), at.given.zero, at.made.zero, *names,
              *(() if layer.after else ("NULL", "NULL")))
    record = at.body.record("Convolution", f"convolution_{at.index}", fields)
    at.call("convolve", record, at.source, *at.writer.targets(at.step.output))


def write_pool(at: At, layer: Pool) -> None:
    """Add a pool."""
    fields = (*pool_fields(layer, at.before, at.after), at.given.zero, at.made.zero,
              number(at.given.scale / at.made.scale))
    record = at.body.record("Pool", f"pool_{at.index}", fields)
    at.call("pool", record, at.source, *at.writer.targets(at.step.output))


def write_mean_square(at: At, layer: MeanSquare) -> None:
    """Add a mean square. Under a root, its steps are squares of the output's steps."""
    unit = at.made.scale**2 if layer.root else at.made.scale
    at.call("mean_square", at.source, at.before[0], at.plane, at.given.zero, at.made.zero,
            number(at.given.scale**2 / unit), number(layer.added / unit), int(layer.root),
            *at.writer.targets(at.step.output))


def write_scale(at: At, layer: Scale | Relu) -> None:
    """Add a normalisation or ReLU that is not part of a convolution, from one grid to another."""
    ones = np.ones(at.before[0])
    factor, summand = (layer.factor, layer.summand) if isinstance(layer, Scale) else (ones, 0 * ones)
    names = (at.body.array(f"factor_{at.index}", narrow(factor * at.given.scale / at.made.scale)),
             at.body.array(f"summand_{at.index}", narrow(summand / at.made.scale)))
    least = "0.0f" if isinstance(layer, Relu) else "-256.0f"
    at.call("scale", at.source, at.before[0], at.plane, at.given.zero, *names, least, at.made.zero, at.target)


def write_activation(at: At, layer: Activation) -> None:
    """Add a function of single numbers as a table of 256 bytes."""
    values = at.given.scale * (np.arange(256.0) - at.given.zero)
    table = np.rint(activated(layer, values) / at.made.scale) + at.made.zero
    name = at.body.array(f"table_{at.index}", np.clip(np.nan_to_num(table), 0, 255).astype(np.uint8))
    at.call("look_up", at.source, prod(at.after), name, at.target)


def write_prelu(at: At, layer: PRelu) -> None:
    """Add a ReLU with slopes."""
    slopes = at.body.array(f"slopes_{at.index}", narrow(layer.slopes))
    at.call("prelu", at.source, at.before[0], at.plane, at.given.zero, slopes,
            number(at.given.scale / at.made.scale), at.made.zero, at.target)


def write_pad(at: At, layer: Pad) -> None:
    """Add a padding. It keeps the grid of its input."""
    fill = int(np.clip(round(layer.value / at.made.scale) + at.made.zero, 0, 255))
    shapes = f"(Shape){shape(at.before)}, (Shape){shape(at.after)}"
    at.call("pad", shapes, *layer.pads[:2], fill, at.source, at.target)


def write_spread(at: At, layer: Spread) -> None:
    """Add zeros between rows and columns. It keeps the grid of its input."""
    shapes = f"(Shape){shape(at.before)}, (Shape){shape(at.after)}"
    at.call("spread", shapes, *layer.stride, at.made.zero, at.source, at.target)


def write_combine(at: At, layer: Combine) -> None:
    """Add a sum or product of two values, each on its own grid."""
    second = at.step.inputs[1]
    given, other, made = at.given, at.writer.grids[second], at.made
    arguments = at.source, at.writer.place(second), *counts_of(at.step, at.writer.graph), given.zero
    if layer.kind == "add":
        steps: tuple[object, ...] = (number(given.scale / made.scale), other.zero, number(other.scale / made.scale))
    else:
        steps = other.zero, number(given.scale * other.scale / made.scale)
    at.call(layer.kind, *arguments, *steps, made.zero, at.target)


def write_concat(at: At, layer: Concat) -> None:
    """Add one copy of floats for each input of a concatenation."""
    start = at.writer.floats.offsets[at.step.output]
    for name in at.step.inputs:
        part = prod(at.writer.graph.shapes[name])
        at.call("copy", at.writer.place(name), part, f"values + {start}")
        start += part


def write_to_bytes(at: At, layer: ToBytes) -> None:
    """Add the conversion of floats to bytes."""
    at.call("to_bytes", at.source, prod(at.after), number(1 / at.made.scale), at.made.zero, at.target)


def write_to_floats(at: At, layer: ToFloat) -> None:
    """Add the conversion of bytes to floats."""
    at.call("to_floats", at.source, prod(at.after), number(at.given.scale), at.given.zero, at.target)


ROUNDED = Conv, Pool, MeanSquare, Scale, Relu, PRelu, Combine, ToBytes      # layers whose C rounds to bytes
INT8: dict[type, Callable[[At, Any], None]] = {
    Conv: write_convolution, Pool: write_pool, MeanSquare: write_mean_square, Scale: write_scale, Relu: write_scale,
    Activation: write_activation, PRelu: write_prelu, Pad: write_pad, Spread: write_spread, Combine: write_combine,
    Concat: write_concat, ToBytes: write_to_bytes, ToFloat: write_to_floats,
    Move: lambda at, layer: write_move(at.body, layer.places, at.index, (at.source, at.target), at.said),
    OneHot: lambda at, layer: at.call("one_hot", at.source, prod(at.after), at.target),
    Softmax: lambda at, layer: at.call("log_softmax" if layer.log else "softmax", at.source, prod(at.after), at.target),
}


def narrow(values: np.ndarray) -> np.ndarray:
    """Return the values as float32."""
    return np.asarray(values, np.float32)
