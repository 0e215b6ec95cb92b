"""The nodes and constants of an ONNX model while it is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featherweight.graph.plain import Shape, StepGraph
from featherweight.shipping.quantise import Quantised

if TYPE_CHECKING:
    from onnx import NodeProto


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
        return self.shaped(found, expected, f"{name}_reshaped_{len(self.nodes)}")

    def shaped(self, value: str, shape: Sequence[int], name: str) -> str:
        """Add a Reshape node for each image and return its output `name`."""
        sizes = self.constant(f"{name}_shape", [0, *shape], np.int64)
        return self.node("Reshape", (value, sizes), name)
