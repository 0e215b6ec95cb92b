"""Quantisation to 8 bits: weights and values between layers on grids of 256 steps, sums in 32-bit integers.

The grids come from the ranges of the values on training images. Logits stay float, so that rounding creates no ties
between classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from featherweight.errors import ModelError
from featherweight.graph.plain import (
    Activation,
    Array,
    Combine,
    Concat,
    Conv,
    MeanSquare,
    Move,
    OneHot,
    Pad,
    Pool,
    PRelu,
    Ranges,
    Relu,
    Scale,
    Softmax,
    Spread,
    Step,
    StepGraph,
    ToBytes,
    ToFloat,
    in_words,
)
from featherweight.shipping.balance import balance
from featherweight.wording import option

ON_BYTES = (        # layers that compute on bytes
    Conv, Pool, MeanSquare, Pad, Scale, Relu, Activation, PRelu, Move, Spread, Combine,
)
ON_FLOATS = Concat, Softmax, OneHot     # layers that int8 computes on floats
KEEP_GRID = Pad, Move, Spread           # and max pooling
BIAS_BITS = 24      # most bits of a bias, in units of its channel's integer sums


@dataclass(frozen=True)
class Grid:
    """A grid of 256 steps: byte q represents the value scale * (q - zero)."""

    scale: float
    zero: int


@dataclass(frozen=True, eq=False)
class Kernel:
    """The quantised weights of a convolution, which represent weight * scale.

    weight: int8 (O, I / groups, kh, kw). scale: (O,). bias: (O,), in float.
    """

    weight: NDArray[np.int8]
    scale: Array
    bias: Array


@dataclass(frozen=True)
class Quantised:
    """A graph with the grids of its values and the kernels of its convolutions. Values without a grid are float."""

    graph: StepGraph
    grids: Mapping[str, Grid]
    kernels: Mapping[str, Kernel]       # by the convolution's output


def check_int8(graph: StepGraph, kinds: Mapping[str, str] | None = None) -> None:
    """Raise ModelError for the first layer that has no exact rule in integers, in one line with its name and class.

    kinds: name of a layer in the network -> its class. A function gets the words of its step instead.
    """
    for step in graph.steps:
        if not isinstance(step.layer, ON_BYTES + ON_FLOATS):
            name = step.output.partition("#")[0]
            kind = (kinds or {}).get(name, in_words(step.layer))
            raise ModelError(f"layer {name} ({kind}) cannot go into int8, which has no exact rule for it. Change the "
                             f"network, or export in float: {option('to', 'c')}.")


def quantise(graph: StepGraph, ranges: Ranges) -> Quantised:
    """Return the folded graph in 8 bits. ranges: lowest and highest of each value on training images."""
    graph, ranges = balance(graph, ranges)
    graph, on_bytes = with_crossings(graph)
    grids = {"images": Grid(1.0, 0)}
    kernels = {}
    for step in graph.steps:
        if step.output in on_bytes:
            keeps = isinstance(step.layer, KEEP_GRID) or (isinstance(step.layer, Pool) and step.layer.kind == "max")
            origin = step.output.removesuffix(BYTES)
            grids[step.output] = grids[step.inputs[0]] if keeps else grid_of(*ranges[origin])
        if isinstance(step.layer, Conv):
            kernels[step.output] = kernel_of(step.layer, grids[step.inputs[0]])
    return Quantised(graph, grids, kernels)


BYTES = "_bytes"


def with_crossings(graph: StepGraph) -> tuple[StepGraph, set[str]]:
    """Return the graph with ToBytes and ToFloat steps inserted, and the names of all values that are bytes.

    The inserted steps stand between layers that compute on bytes and layers that compute on floats.
    """
    on_bytes, steps, shapes = {"images"}, list[Step](), dict(graph.shapes)
    for step in graph.steps:
        if not isinstance(step.layer, ON_BYTES) or is_cut(graph, step):
            steps.append(step)
            continue
        sources = tuple(name if name in on_bytes else name + BYTES for name in step.inputs)
        for name, source in zip(step.inputs, sources, strict=True):
            if source not in on_bytes:
                steps.append(Step(ToBytes(), (name,), source))
                on_bytes.add(source)
        stays = all(isinstance(reader.layer, ON_BYTES) for reader in graph.readers(step.output))
        is_mean = isinstance(step.layer, Pool) and step.layer.kind == "mean"
        gives_float = is_mean or isinstance(step.layer, Conv | MeanSquare)
        if stays or gives_float:
            steps.append(replace(step, inputs=sources))
            on_bytes |= {step.output} if stays else set()
        else:
            steps += [Step(step.layer, sources, step.output + BYTES),
                      Step(ToFloat(), (step.output + BYTES,), step.output)]
            on_bytes.add(step.output + BYTES)
    shapes |= {name: shapes[name.removesuffix(BYTES)] for name in on_bytes}
    return StepGraph(tuple(steps), shapes, graph.heads), on_bytes


def is_cut(graph: StepGraph, step: Step) -> bool:
    """Return True for a head that holds the first probabilities of a softmax with more outputs. It stays float."""
    maker = graph.maker(step.inputs[0])
    return isinstance(step.layer, Move) and step.output in graph.heads and maker is not None \
        and isinstance(maker.layer, Softmax) and bool((np.diff(step.layer.places) == 1).all())


def grid_of(lows: Array, highs: Array) -> Grid:
    """Return the grid that covers all values from the lowest to the highest and represents 0 exactly."""
    lowest, highest = min(float(lows.min()), 0.0), max(float(highs.max()), 0.0)
    scale = float(np.float32((highest - lowest) / 255)) or 1.0
    return Grid(scale, int(np.clip(round(-lowest / scale), 0, 255)))


def kernel_of(conv: Conv, grid: Grid) -> Kernel:
    """Return a convolution's weights as symmetric int8 (-127..127), with a scale for each output channel.

    grid: the grid of the convolution's input.
    """
    largest = np.abs(conv.weight).max(axis=(1, 2, 3))
    least = np.abs(conv.bias) / (grid.scale * 2**BIAS_BITS)     # keeps the bias in range if all weights are almost 0
    scale = np.maximum(largest / 127, least).astype(np.float32)
    scale[scale == 0] = 1
    weight = np.clip(np.rint(conv.weight / scale[:, None, None, None]), -127, 127).astype(np.int8)
    return Kernel(weight, scale, conv.bias)
