"""Extension of an ONNX model by the activations of its layers as outputs. The drawing page shows these activations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

GOES_ON = ("Relu", "BatchNormalization")    # nodes that count as part of the layer before them


@dataclass(frozen=True)
class Shown:
    """The activations of one layer: name of the output, the layer in words, and shape without the batch axis."""

    output: str
    title: str
    shape: tuple[int, ...]


def with_layers(model: ModelProto) -> ModelProto:
    """Return a copy with an added output for each convolution and linear layer, after its ReLU and normalisation.

    The metadata "layers" lists these layers in their order: output, title, shape ([C, H, W] or [features]).
    """
    import onnx

    shown = shown_layers(model)
    there = {output.name for output in model.graph.output}
    made = onnx.ModelProto()
    made.CopyFrom(model)
    values = {value.name: value for value in model.graph.value_info}
    made.graph.output.extend(values[layer.output] for layer in shown if layer.output not in there)
    made.metadata_props.add(key="layers", value=json.dumps([asdict(layer) for layer in shown]))
    onnx.checker.check_model(made, full_check=True)
    return made


def shown_layers(model: ModelProto) -> list[Shown]:
    """Return the convolutions and linear layers in the order of computation."""
    weights = {weight.name: tuple(weight.dims) for weight in model.graph.initializer}
    shapes = {
        value.name: tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim[1:])
        for value in (*model.graph.value_info, *model.graph.output)
    }
    found = []
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul") and node.input[1] in weights:
            end = end_of_layer(node, model.graph.node)
            found.append(Shown(end, title(node, weights[node.input[1]]), shapes[end]))
    return found


def end_of_layer(node: NodeProto, nodes: Sequence[NodeProto]) -> str:
    """Return the name of the value after the ReLU and normalisation that follow a node as its only readers."""
    readers = [reader for reader in nodes if node.output[0] in reader.input]
    if len(readers) == 1 and readers[0].op_type in GOES_ON:
        return end_of_layer(readers[0], nodes)
    return str(node.output[0])


def title(node: NodeProto, weight: Sequence[int]) -> str:
    """Return a layer in words: "conv 8 -> 16, 3x3", "conv 8, 3x3 in each channel" or "linear 32 -> 10"."""
    flags = {attribute.name: attribute.i for attribute in node.attribute}
    if node.op_type != "Conv":
        features, outputs = (weight[1], weight[0]) if flags.get("transB") else (weight[0], weight[1])
        return f"linear {features} -> {outputs}"
    kernel, group = "x".join(map(str, weight[2:])), flags.get("group", 1)
    if group == weight[0] > 1 and weight[1] == 1:
        return f"conv {weight[0]}, {kernel} in each channel"
    return f"conv {weight[1] * group} -> {weight[0]}, {kernel}" + (f", {group} groups" if group > 1 else "")
