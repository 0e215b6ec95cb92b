"""Reader of an exported ONNX model, as a list of plain layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featherweight.errors import ModelError
from featherweight.shipping.graph import (
    Concat,
    Conv,
    Layer,
    OneHot,
    Pad,
    Pads,
    Pool,
    Relu,
    Scale,
    Shape,
    Softmax,
    Step,
    StepGraph,
    shape_in,
)
from featherweight.shipping.roots import find_roots
from featherweight.wording import option

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

SUPPORTED = ("Conv2d, Linear, BatchNorm, ReLU, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d(1), RootMeanSquare, ZeroPad2d, "
             "flatten, concatenation, softmax, log_softmax, Dropout")
SAME_VALUES = ("Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")    # the same array in C
Weights = Mapping[str, NDArray[Any]]


def read_graph(model: ModelProto) -> StepGraph:
    """Return the layers of a model in their order.

    Raises ModelError for the first layer that is not supported, in one line that names the layer.
    """
    import onnx

    inferred = onnx.shape_inference.infer_shapes(model).graph
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    weights |= {node.output[0]: constant(node) for node in model.graph.node if node.op_type == "Constant"}
    shapes = {value.name: shape_of(value) for value in (*inferred.input, *inferred.value_info, *inferred.output)}
    roots = find_roots(model.graph, weights)
    heads = {output.name for output in model.graph.output}
    inside = {name for root in roots.values() for name in root.inside}
    steps: list[Step] = []
    alias: dict[str, str] = {}
    for node in model.graph.node:
        computed = tuple(alias.get(name, name) for name in node.input if name and name not in weights)
        if node.op_type in SAME_VALUES and len(computed) == 1:
            alias[node.output[0]] = computed[0]
        elif root := roots.get(node.output[0]):
            steps.append(Step(root.layer, (alias.get(root.source, root.source),), node.output[0]))
        elif node.op_type != "Constant" and node.output[0] not in inside:
            if node.op_type == "Slice" and node.output[0] in heads:
                raise ModelError(f"head {node.output[0]!r} has more outputs than classes, and C and int8 cannot "
                                 "leave any out. Give the last layer one output for each class, or export with "
                                 f"{option('to', 'onnx')}.")
            reading = Reading(node, weights, shapes)
            steps.append(Step(read_layer(reading), computed, node.output[0]))
            reading.require(sees_its_shape(steps[-1], node.input[0], shapes), "after a reshape to other maps")
    known = {name: shape for name, shape in shapes.items() if shape}
    return StepGraph(tuple(steps), known, tuple(output.name for output in model.graph.output))


def sees_its_shape(step: Step, given: str, shapes: Mapping[str, Shape | None]) -> bool:
    """Return True if a step reads its input in the same shape as in the model.

    Between two layers a list of layers can flatten a value. Any other reshape gives False. Unknown shapes, and layers
    that do not depend on the shape, give True.
    """
    known = {name: shape for name, shape in shapes.items() if shape}
    if not isinstance(step.layer, Conv | Pool | Pad | Scale) or not {given, step.inputs[0]} <= known.keys():
        return True
    return shape_in(step, known) == known[given]


class Reading:
    """One ONNX node with its settings, the constants among its inputs, and the shape of its first input."""

    def __init__(self, node: NodeProto, weights: Weights, shapes: Mapping[str, Shape | None]) -> None:
        import onnx

        self.kind, self.name = node.op_type, (node.name or node.output[0]).split("/")[0]     # its place in the network
        self.settings = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
        self.weights = [weights.get(name) for name in node.input]
        self.shape = shapes.get(node.input[0])      # of the first input
        self.rank4 = self.shape is not None and self.shape[1:] != (1, 1)

    def weight(self, index: int) -> NDArray[Any]:
        """Return the constant input at `index`. Raise ModelError if this input is computed or missing."""
        found = self.weights[index] if index < len(self.weights) else None
        return found if found is not None else self.refuse("with a computed weight")

    def require(self, holds: bool, how: str) -> None:
        """Raise ModelError unless `holds`. how: the unsupported property, e.g. "with auto_pad"."""
        if not holds:
            self.refuse(how)

    def refuse(self, how: str = "") -> Any:
        """Raise ModelError: the layer is not supported."""
        kind = " ".join(part for part in (self.kind, how) if part)
        raise ModelError(f"layer {kind!r} ({self.name}) cannot go into C or int8, which take {SUPPORTED}. "
                         f"Change the network, or give {option('to', 'onnx')}.")


def read_layer(node: Reading) -> Layer:
    """Return a node as a layer. Raise ModelError for an unsupported kind of node."""
    if node.kind not in READERS:
        node.refuse()
    return READERS[node.kind](node)


def read_conv(node: Reading) -> Layer:
    """Read Conv, with or without bias."""
    weight, settings = node.weight(1), node.settings
    node.require(weight.ndim == 4, "without height and width")
    node.require(settings.get("auto_pad", b"NOTSET") == b"NOTSET", "with auto_pad")
    bias = node.weight(2) if len(node.weights) > 2 else np.zeros(len(weight), np.float32)
    return Conv(weight, bias, pair(settings, "strides"), pads_of(settings), pair(settings, "dilations"),
                settings.get("group", 1))


def read_linear(node: Reading) -> Layer:
    """Read Gemm or MatMul, x (N, I) times a constant, as a 1x1 convolution."""
    settings, weight = node.settings, node.weight(1)
    node.require(settings.get("alpha", 1.0) == 1 == settings.get("beta", 1.0), "with a factor")
    node.require(weight.ndim == 2 and not settings.get("transA"), "with other axes")
    weight = weight if settings.get("transB") else weight.T
    bias = node.weight(2) if len(node.weights) > 2 else np.zeros(len(weight), np.float32)
    return Conv(np.ascontiguousarray(weight)[:, :, None, None], np.broadcast_to(bias, len(weight)))


def read_arithmetic(node: Reading) -> Layer:
    """Read Add, Sub, Mul or Div with one constant for each channel or one for all channels."""
    node.require(node.weights[0] is None, "of a constant and a value")
    node.require(len(node.weights) == 2 and node.weights[1] is not None and node.shape is not None, "of two values")
    assert node.shape is not None
    value = node.weight(1).astype(np.float64)
    node.require(value.size in (1, node.shape[0]), "with more than one value a channel")
    spread = np.broadcast_to(value.reshape(-1), node.shape[0])
    one, zero = np.ones_like(spread), np.zeros_like(spread)
    factor, summand = {
        "Mul": (spread, zero), "Div": (1 / spread, zero), "Add": (one, spread), "Sub": (one, -spread)
    }[node.kind]
    return Scale(factor, summand)


def read_normalisation(node: Reading) -> Layer:
    """Read BatchNormalization with its stored mean and variance."""
    gain, shift, mean, variance = (node.weight(index).astype(np.float64) for index in (1, 2, 3, 4))
    factor = gain / np.sqrt(variance + node.settings.get("epsilon", 1e-5))
    return Scale(factor, shift - mean * factor)


def read_pool(node: Reading) -> Layer:
    """Read MaxPool or AveragePool."""
    settings = node.settings
    kind = "max" if node.kind == "MaxPool" else "mean"
    node.require(pair(settings, "dilations") == (1, 1), "with dilation")
    node.require(kind == "max" or not settings.get("ceil_mode"), "with ceil_mode")
    node.require(settings.get("auto_pad", b"NOTSET") == b"NOTSET", "with auto_pad")
    return Pool(kind, pair(settings, "kernel_shape"), pair(settings, "strides"), pads_of(settings),
                bool(settings.get("count_include_pad", 0)), bool(settings.get("ceil_mode", 0)))


def read_mean(node: Reading) -> Layer:
    """Read ReduceMean over height and width, or GlobalAveragePool, as a mean pool over the whole map."""
    node.require(node.shape is not None, "of an unknown shape")
    assert node.shape is not None
    if node.kind == "ReduceMean":
        axes = sorted(axis % 4 for axis in node.weight(1).tolist())
        node.require(axes == [2, 3], "over other axes than height and width")
    return Pool("mean", node.shape[1:], node.shape[1:])


def read_pad(node: Reading) -> Layer:
    """Read Pad of height and width with a constant value."""
    ends = node.weight(1).tolist()
    node.require(len(ends) == 8 and ends[:2] == ends[4:6] == [0, 0], "of other axes than height and width")
    node.require(node.settings.get("mode", b"constant") == b"constant", "with another mode than constant")
    value = float(node.weight(2)) if len(node.weights) > 2 and node.weights[2] is not None else 0.0
    return Pad((ends[2], ends[3], ends[6], ends[7]), value)


def read_one_hot(node: Reading) -> Layer:
    """Read Equal(numbers, 0..classes - 1) as a one-hot encoding."""
    classes = node.weight(1).reshape(-1)
    node.require(bool((classes == np.arange(len(classes))).all()), "with other values than 0, 1, 2, ...")
    return OneHot(len(classes))


def read_concat(node: Reading) -> Layer:
    """Read Concat of channels or features."""
    node.require(node.settings["axis"] == 1 or not node.rank4, "along other axes than channels")
    return Concat()


def read_softmax(node: Reading) -> Layer:
    """Read Softmax or LogSoftmax over classes."""
    node.require(node.settings.get("axis", -1) == 1 or not node.rank4, "along other axes than classes")
    return Softmax(log=node.kind == "LogSoftmax")


READERS: dict[str, Callable[[Reading], Layer]] = {
    "Conv": read_conv, "Gemm": read_linear, "MatMul": read_linear, "BatchNormalization": read_normalisation,
    "Mul": read_arithmetic, "Div": read_arithmetic, "Add": read_arithmetic, "Sub": read_arithmetic,
    "MaxPool": read_pool, "AveragePool": read_pool, "ReduceMean": read_mean, "GlobalAveragePool": read_mean,
    "Pad": read_pad, "Equal": read_one_hot, "Concat": read_concat, "Relu": lambda node: Relu(),
    "Softmax": read_softmax, "LogSoftmax": read_softmax,
}


def pair(settings: Mapping[str, Any], name: str) -> tuple[int, int]:
    """Return the (height, width) of a setting; (1, 1) if the node does not set it."""
    height, width = settings.get(name, (1, 1))
    return int(height), int(width)


def pads_of(settings: Mapping[str, Any]) -> Pads:
    """Return the pads of a node. ONNX has the order of Pads: top, left, bottom, right."""
    top, left, bottom, right = settings.get("pads", (0, 0, 0, 0))
    return int(top), int(left), int(bottom), int(right)


def shape_of(value: Any) -> Shape | None:
    """Return the (C, H, W) of a value without the batch axis; None if the shape is unknown.

    A vector has the shape (F, 1, 1), a scalar (1, 1, 1).
    """
    sizes = tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)[1:]
    if len(sizes) > 3 or any(size < 1 for size in sizes):
        return None
    channels, height, width = (*sizes, 1, 1, 1)[:3]
    return channels, height, width


def constant(node: NodeProto) -> NDArray[Any]:
    """Return the array stored in a Constant node."""
    import onnx

    return onnx.numpy_helper.to_array(onnx.helper.get_attribute_value(node.attribute[0]))
