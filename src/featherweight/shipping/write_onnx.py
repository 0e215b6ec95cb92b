"""Writer of a list of plain layers as an ONNX model, in float or in 8 bits.

The 8-bit form has a QuantizeLinear and a DequantizeLinear node (QDQ) for each value on a grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

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
    ToBytes,
    ToFloat,
    shape_in,
)
from featherweight.shipping.quantise import Quantised

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

OPSET, IR_VERSION = 20, 10
UNSIGNED = 128      # zero point of uint8 weights: uint8 x int8 saturates in onnxruntime on processors without VNNI


class Writer:
    """The nodes and constants of an ONNX model that is being written. Values keep their names from the graph."""

    def __init__(self, graph: StepGraph, quantised: Quantised | None) -> None:
        self.graph, self.quantised = graph, quantised
        self.grids = quantised.grids if quantised else {}
        self.nodes: list[NodeProto] = []
        self.constants: list[Any] = []

    def node(self, kind: str, inputs: Sequence[str], output: str, **settings: Any) -> str:
        """Add a node with one output and return the output's name."""
        import onnx

        self.nodes.append(onnx.helper.make_node(kind, list(inputs), [output], **settings))
        return output

    def constant(self, name: str, values: NDArray[Any] | list[int] | float, kind: Any = np.float32) -> str:
        """Add an initializer and return its name."""
        import onnx

        self.constants.append(onnx.numpy_helper.from_array(np.array(values, kind), name))
        return name

    def grid(self, name: str) -> tuple[str, str]:
        """Add the scale and zero of a value's grid as constants and return their names."""
        grid = self.grids[name]
        return self.constant(f"{name}_scale", grid.scale), self.constant(f"{name}_zero", grid.zero, np.uint8)

    def onto_grid(self, value: str, name: str) -> None:
        """Add nodes that round the float `value` to the grid of `name`. The rounded float is named NAME_values."""
        scale = self.grid(name)
        self.node("QuantizeLinear", (value, *scale), f"{name}_rounded")
        self.node("DequantizeLinear", (f"{name}_rounded", *scale), f"{name}_values")

    def read(self, name: str, expected: Shape) -> str:
        """Return the name of a value as float in the expected shape; adds a Reshape node if the shapes differ."""
        found = f"{name}_values" if name in self.grids or name == "images" else name
        if name == "numbers" or self.graph.shapes[name] == expected:
            return found
        shape = self.constant(f"{name}_shape_{len(self.nodes)}", [0, *expected], np.int64)
        return self.node("Reshape", (found, shape), f"{name}_reshaped_{len(self.nodes)}")


def write_graph(graph: StepGraph, outputs: Sequence[str] = (), quantised: Quantised | None = None,
                metadata: Mapping[str, str] | None = None) -> ModelProto:
    """Return the graph as an ONNX model that onnx has checked.

    outputs: names of the values to return instead of the heads.
    quantised: write its graph, in 8 bits, instead of `graph`.
    """
    import onnx
    from onnx import TensorProto, helper

    graph = quantised.graph if quantised else graph
    writer = Writer(graph, quantised)
    if quantised:
        scale = writer.grid("images")
        writer.node("DequantizeLinear", ("images", *scale), "images_values")
    else:
        writer.node("Cast", ("images",), "images_values", to=TensorProto.FLOAT)
    for step in graph.steps:
        write_node(writer, step)
    inputs = [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", *graph.shapes["images"]])]
    if graph.takes_number:
        inputs.append(helper.make_tensor_value_info("numbers", TensorProto.INT64, ["N"]))
    sizes: dict[str, list[str | int | None]] = {
        name: ["N", prod(graph.shapes[name])] if name in graph.heads else ["N", *graph.shapes[name]]
        for name in outputs or graph.heads
    }
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, size) for name, size in sizes.items()]
    body = helper.make_graph(writer.nodes, "featherweight", inputs, made, writer.constants)
    model = helper.make_model(body, producer_name="featherweight", ir_version=IR_VERSION,
                              opset_imports=[helper.make_opsetid("", OPSET)])
    helper.set_model_props(model, dict(metadata or {}))
    onnx.checker.check_model(model, full_check=True)
    return model


def write_node(writer: Writer, step: Step) -> None:
    """Add the nodes of a step. If its output has a grid, the output is rounded to the grid."""
    layer, name, shapes = step.layer, step.output, writer.graph.shapes
    if isinstance(layer, ToBytes):
        return writer.onto_grid(step.inputs[0], name)
    if isinstance(layer, OneHot):
        write_one_hot(writer, layer, name)
    elif isinstance(layer, Concat):
        parts = [writer.read(each, (prod(shapes[each]), 1, 1) if shapes[name][1:] == (1, 1) else shapes[each])
                 for each in step.inputs]
        writer.node("Concat", parts, name, axis=1)
    else:
        source = writer.read(step.inputs[0], shape_in(step, shapes))
        write_layer(writer, step, source)
    if name in writer.grids:
        writer.onto_grid(name, name)
    return None


def write_layer(writer: Writer, step: Step, source: str) -> None:
    """Add the nodes of a layer with one input, the value named `source`."""
    layer, name = step.layer, step.output
    if isinstance(layer, Conv):
        write_conv(writer, step, layer, source)
    elif isinstance(layer, Pool):
        settings: dict[str, Any] = {"kernel_shape": layer.kernel, "strides": layer.stride, "pads": layer.pads,
                                    "ceil_mode": int(layer.rounds_up)}
        settings |= {"count_include_pad": int(layer.counts_outside)} if layer.kind == "mean" else {}
        writer.node("MaxPool" if layer.kind == "max" else "AveragePool", (source,), name, **settings)
    elif isinstance(layer, RootMeanSquare):
        writer.node("Mul", (source, source), f"{name}_squares")
        writer.node("GlobalAveragePool", (f"{name}_squares",), f"{name}_mean")
        writer.node("Add", (f"{name}_mean", writer.constant(f"{name}_added", layer.added)), f"{name}_sum")
        writer.node("Sqrt", (f"{name}_sum",), name)
    elif isinstance(layer, Scale):
        write_scale(writer, layer.factor, layer.summand, source, name)
    elif isinstance(layer, Pad):
        top, left, bottom, right = layer.pads
        ends = writer.constant(f"{name}_pads", [0, 0, top, left, 0, 0, bottom, right], np.int64)
        writer.node("Pad", (source, ends, writer.constant(f"{name}_fill", layer.value)), name)
    elif isinstance(layer, Softmax):
        write_softmax(writer, layer, source, name)
    elif isinstance(layer, Relu):
        writer.node("Relu", (source,), name)
    elif isinstance(layer, ToFloat):
        writer.node("Identity", (source,), name)


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


def write_softmax(writer: Writer, layer: Softmax, source: str, name: str) -> None:
    """Add a softmax over channels. A head is first reshaped to (N, classes)."""
    kind = "LogSoftmax" if layer.log else "Softmax"
    if name not in writer.graph.heads:
        writer.node(kind, (source,), name, axis=1)
        return
    classes = writer.constant(f"{name}_shape", [0, prod(writer.graph.shapes[name])], np.int64)
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
