"""Rules for writing plain layers as ONNX nodes: a table from the layer's type to its rule."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    Softmax,
    Spread,
    Standardise,
    Step,
    ToBytes,
    ToFloat,
    shape_in,
)
from featherweight.shipping.onnx_writer import Writer

UNSIGNED = 128      # zero point of uint8 weights: uint8 x int8 saturates in onnxruntime on processors without VNNI


def write_node(writer: Writer, step: Step) -> None:
    """Add the nodes of a step. If its output has a grid, the output is rounded to the grid."""
    layer, name = step.layer, step.output
    if isinstance(layer, ToBytes):
        return writer.onto_grid(step.inputs[0], name)
    if isinstance(layer, OneHot):
        write_one_hot(writer, layer, name)
    else:
        source = "" if isinstance(layer, Concat) else writer.read(step.inputs[0], shape_in(step, writer.graph.shapes))
        ONNX[type(layer)](writer, step, layer, source)
    if name in writer.grids:
        writer.onto_grid(name, name)
    return None


def write_concat(writer: Writer, step: Step, layer: Concat, source: str) -> None:
    """Add a concatenation along the channels. Parts of other heights and widths are joined flattened."""
    shapes, name = writer.graph.shapes, step.output
    alike = all(shapes[each][1:] == shapes[name][1:] for each in step.inputs)
    parts = [writer.read(each, shapes[each] if alike else (prod(shapes[each]), 1, 1)) for each in step.inputs]
    if alike or shapes[name][1:] == (1, 1):
        writer.node("Concat", parts, name, axis=1)
        return
    writer.node("Concat", parts, f"{name}_flat", axis=1)
    writer.shaped(f"{name}_flat", shapes[name], name)


def write_pool(writer: Writer, step: Step, layer: Pool, source: str) -> None:
    """Add a pool."""
    settings: dict[str, Any] = {"kernel_shape": layer.kernel, "strides": layer.stride, "pads": layer.pads,
                                "ceil_mode": int(layer.rounds_up)}
    settings |= {"count_include_pad": int(layer.counts_outside)} if layer.kind == "mean" else {}
    writer.node("MaxPool" if layer.kind == "max" else "AveragePool", (source,), step.output, **settings)


def write_mean_square(writer: Writer, step: Step, layer: MeanSquare, source: str) -> None:
    """Add a mean square, with or without its root."""
    name = step.output
    writer.node("Mul", (source, source), f"{name}_squares")
    writer.node("GlobalAveragePool", (f"{name}_squares",), f"{name}_mean")
    added = writer.constant(f"{name}_added", layer.added)
    writer.node("Add", (f"{name}_mean", added), f"{name}_sum" if layer.root else name)
    if layer.root:
        writer.node("Sqrt", (f"{name}_sum",), name)


def write_pad(writer: Writer, step: Step, layer: Pad, source: str) -> None:
    """Add a padding."""
    (top, left, bottom, right), name = layer.pads, step.output
    ends = writer.constant(f"{name}_pads", [0, 0, top, left, 0, 0, bottom, right], np.int64)
    writer.node("Pad", (source, ends, writer.constant(f"{name}_fill", layer.value)), name)


def write_activation(writer: Writer, step: Step, layer: Activation, source: str) -> None:
    """Add a function of single numbers."""
    name = step.output
    if layer.name in SINGLE:
        kind, settings = SINGLE[layer.name]
        writer.node(kind, (source,), name, **settings)
    elif layer.name in ("leaky_relu", "elu"):
        writer.node({"leaky_relu": "LeakyRelu", "elu": "Elu"}[layer.name], (source,), name, alpha=layer.numbers[0])
    elif layer.name == "clip":
        ends = [writer.constant(f"{name}_end_{k}", end) for k, end in enumerate(layer.numbers)]
        writer.node("Clip", (source, *ends), name)
    elif layer.name == "silu":
        writer.node("Sigmoid", (source,), f"{name}_gate")
        writer.node("Mul", (source, f"{name}_gate"), name)
    else:
        writer.node("Mul", (source, source), name)      # square


def write_prelu(writer: Writer, step: Step, layer: PRelu, source: str) -> None:
    """Add a ReLU with slopes."""
    slopes = writer.constant(f"{step.output}_slopes", layer.slopes[:, None, None])
    writer.node("PRelu", (source, slopes), step.output)


def write_standardise(writer: Writer, step: Step, layer: Standardise, source: str) -> None:
    """Add a standardisation: each group becomes one channel of an instance normalisation."""
    name, shape = step.output, writer.graph.shapes[step.output]
    groups = writer.shaped(source, (layer.groups, prod(shape) // layer.groups, 1), f"{name}_groups")
    ones = writer.constant(f"{name}_gain", np.ones(layer.groups))
    zeros = writer.constant(f"{name}_shift", np.zeros(layer.groups))
    writer.node("InstanceNormalization", (groups, ones, zeros), f"{name}_standard", epsilon=layer.added)
    writer.shaped(f"{name}_standard", shape, name)


def write_move(writer: Writer, step: Step, layer: Move, source: str) -> None:
    """Add a move of values. A head, such as the first 10 of 12 outputs, gets the shape (N, classes)."""
    name, shape = step.output, writer.graph.shapes[step.output]
    flat = writer.shaped(source, (prod(writer.graph.shapes[step.inputs[0]]), 1, 1), f"{name}_flat")
    places = writer.constant(f"{name}_places", layer.places, np.int64)
    writer.node("Gather", (flat, places), f"{name}_moved", axis=1)
    writer.shaped(f"{name}_moved", (prod(shape),) if name in writer.graph.heads else shape, name)


def write_spread(writer: Writer, step: Step, layer: Spread, source: str) -> None:
    """Add zeros between rows and columns: a transposed convolution of each channel with a single 1."""
    channels = writer.graph.shapes[step.output][0]
    ones = writer.constant(f"{step.output}_ones", np.ones((channels, 1, 1, 1)))
    writer.node("ConvTranspose", (source, ones), step.output, strides=layer.stride, group=channels)


def write_resample(writer: Writer, step: Step, layer: Resample, source: str) -> None:
    """Add a linear interpolation as two matrix products."""
    (_, height, width), name = shape_in(step, writer.graph.shapes), step.output
    rows = writer.constant(f"{name}_rows", matrix(layer.row_places, layer.rows, height))
    columns = writer.constant(f"{name}_columns", matrix(layer.column_places, layer.columns, width).T)
    writer.node("MatMul", (rows, source), f"{name}_between")
    writer.node("MatMul", (f"{name}_between", columns), name)


def matrix(places: NDArray[np.int64], weights: NDArray[Any], size: int) -> NDArray[Any]:
    """Return the weights of an interpolation as a matrix (outputs, inputs)."""
    made = np.zeros((len(places), size))
    for side in (0, 1):
        made[np.arange(len(places)), places[:, side]] += weights[:, side]
    return made


def write_combine(writer: Writer, step: Step, layer: Combine, source: str) -> None:
    """Add a sum or product of two values."""
    shape = writer.graph.shapes[step.output]
    names = []
    for each in step.inputs:
        size = prod(writer.graph.shapes[each])
        names.append(writer.read(each, shape if size == prod(shape) else (size, 1, 1)))
    writer.node({"add": "Add", "multiply": "Mul"}[layer.kind], names, step.output)


def write_conv(writer: Writer, step: Step, layer: Conv, source: str) -> None:
    """Add a convolution with its ReLU and the factor and summand after the ReLU."""
    name = step.output
    parts = [f"{name}_sum"] + [f"{name}_relu"] * layer.relu
    parts = parts if layer.after else [*parts[:-1], name]
    weights = kernel(writer, step) if writer.quantised else (
        writer.constant(f"{name}_weight", layer.weight), writer.constant(f"{name}_bias", layer.bias))
    writer.node("Conv", (source, *weights), parts[0], strides=layer.stride, pads=layer.pads, group=layer.groups,
                dilations=layer.dilation, kernel_shape=layer.weight.shape[2:])
    if layer.relu:
        writer.node("Relu", (parts[0],), parts[1])
    if layer.after:
        write_scale(writer, *layer.after, parts[-1], name)


def kernel(writer: Writer, step: Step) -> tuple[str, str]:
    """Add a convolution's integer weights and bias with nodes that convert both to float; return the names of both."""
    assert writer.quantised
    name, made = step.output, writer.quantised.kernels[step.output]
    scale = writer.constant(f"{name}_weight_scale", made.scale)
    zeros = writer.constant(f"{name}_weight_zero", np.full(len(made.scale), UNSIGNED), np.uint8)
    weight = writer.constant(f"{name}_weight_8", made.weight.astype(np.int16) + UNSIGNED, np.uint8)
    unit = made.scale * np.float32(writer.grids[step.inputs[0]].scale)
    bias = writer.constant(f"{name}_bias_32", np.rint(made.bias / unit), np.int32)
    units = writer.constant(f"{name}_bias_scale", unit)
    writer.node("DequantizeLinear", (weight, scale, zeros), f"{name}_weight", axis=0)
    writer.node("DequantizeLinear", (bias, units), f"{name}_bias", axis=0)
    return f"{name}_weight", f"{name}_bias"


def write_scale(writer: Writer, factor: NDArray[Any], summand: NDArray[Any], source: str, name: str) -> None:
    """Add nodes for factor * x + summand, with one factor and summand for each channel."""
    factors = writer.constant(f"{name}_factor", factor[:, None, None])
    summands = writer.constant(f"{name}_summand", summand[:, None, None])
    writer.node("Mul", (source, factors), f"{name}_product")
    writer.node("Add", (f"{name}_product", summands), name)


def write_softmax(writer: Writer, step: Step, layer: Softmax, source: str) -> None:
    """Add a softmax over channels. Its input is first flattened, for a head to (N, classes)."""
    kind, name, shape = "LogSoftmax" if layer.log else "Softmax", step.output, writer.graph.shapes[step.output]
    if name not in writer.graph.heads:
        flat = source if shape_in(step, writer.graph.shapes) == shape else writer.shaped(source, shape, f"{name}_flat")
        writer.node(kind, (flat,), name, axis=1)
        return
    classes = writer.constant(f"{name}_shape", [0, prod(shape)], np.int64)
    writer.node("Reshape", (source, classes), f"{name}_logits")
    writer.node(kind, (f"{name}_logits",), name, axis=1)


def write_one_hot(writer: Writer, layer: OneHot, name: str) -> None:
    """Add nodes for the one-hot encoding: numbers (N,) -> (N, classes, 1, 1)."""
    from onnx import TensorProto

    axes = writer.constant(f"{name}_axes", [1, 2, 3], np.int64)
    writer.node("Unsqueeze", ("numbers", axes), f"{name}_numbers")
    classes = writer.constant(f"{name}_classes", np.arange(layer.classes)[:, None, None], np.int64)
    writer.node("Equal", (f"{name}_numbers", classes), f"{name}_equal")
    writer.node("Cast", (f"{name}_equal",), name, to=TensorProto.FLOAT)


SINGLE: dict[str, tuple[str, dict[str, Any]]] = {      # activations that are one node
    "sigmoid": ("Sigmoid", {}), "tanh": ("Tanh", {}), "gelu": ("Gelu", {}), "hardswish": ("HardSwish", {}),
    "gelu_tanh": ("Gelu", {"approximate": "tanh"}), "hardsigmoid": ("HardSigmoid", {"alpha": 1 / 6}),
    "softplus": ("Softplus", {}), "mish": ("Mish", {}), "sqrt": ("Sqrt", {}), "abs": ("Abs", {}),
}
ONNX: dict[type, Callable[[Writer, Step, Any, str], object]] = {
    Conv: write_conv, Pool: write_pool, MeanSquare: write_mean_square, Pad: write_pad, Activation: write_activation,
    PRelu: write_prelu, Standardise: write_standardise, Move: write_move, Spread: write_spread,
    Resample: write_resample, Combine: write_combine, Concat: write_concat,
    Scale: lambda writer, step, layer, source: write_scale(
        writer, layer.factor, layer.summand, source, step.output),
    Softmax: write_softmax,
    Relu: lambda writer, step, layer, source: writer.node("Relu", (source,), step.output),
    ToFloat: lambda writer, step, layer, source: writer.node("Identity", (source,), step.output),
}
