"""Writer of a list of plain layers as an ONNX model, in float or in 8 bits.

The 8-bit form has a QuantizeLinear and a DequantizeLinear node (QDQ) for each value on a grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING

from featherweight.graph.plain import StepGraph
from featherweight.shipping.onnx_layers import write_node
from featherweight.shipping.onnx_writer import Writer
from featherweight.shipping.quantise import Quantised

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET, IR_VERSION = 20, 10


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
