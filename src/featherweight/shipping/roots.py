"""Search for root-mean-square layers in an ONNX graph. One layer is three or four nodes in a row.

The nodes are a square (Mul or Pow), a mean over height and width, an optional Add of a constant, and a Sqrt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from featherweight.shipping.graph import RootMeanSquare

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

Weights = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Root:
    """One root-mean-square layer found in an ONNX graph.

    source: the value that the square reads. inside: the values between the nodes.
    """

    source: str
    layer: RootMeanSquare
    inside: tuple[str, ...]


def find_roots(graph: GraphProto, weights: Weights) -> dict[str, Root]:
    """Return all root-mean-square layers of a graph, by the name of the value that each computes.

    Nodes are not combined into a layer if another node reads a value between them.
    """
    read = Counter(name for node in graph.node for name in set(node.input))
    read.update(output.name for output in graph.output)
    alone = {node.output[0]: node for node in graph.node if read[node.output[0]] == 1}
    found = {node.output[0]: root_at(node, alone, weights) for node in graph.node if node.op_type == "Sqrt"}
    return {name: root for name, root in found.items() if root}


def root_at(last: NodeProto, alone: Mapping[str, NodeProto], weights: Weights) -> Root | None:
    """Return the layer that ends in the Sqrt node `last`; None if the nodes before the Sqrt do not match.

    alone: each value that is read exactly once -> the node that computes the value.
    """
    mean, added, inside = alone.get(last.input[0]), 0.0, [last.input[0]]
    if mean is not None and mean.op_type == "Add":
        summand = weights.get(mean.input[1])
        if summand is None or summand.size != 1:
            return None
        added = summand.item()
        inside.append(mean.input[0])
        mean = alone.get(mean.input[0])
    if mean is None or not is_mean(mean, weights):
        return None
    square = alone.get(mean.input[0])
    if square is None or not is_square(square, weights):
        return None
    return Root(square.input[0], RootMeanSquare(added), (*inside, mean.input[0]))


def is_mean(node: NodeProto, weights: Weights) -> bool:
    """Return True if a node is a mean over height and width."""
    if node.op_type == "GlobalAveragePool":
        return True
    axes = weights.get(node.input[1]) if node.op_type == "ReduceMean" and len(node.input) > 1 else None
    return axes is not None and sorted(axis % 4 for axis in axes.tolist()) == [2, 3]


def is_square(node: NodeProto, weights: Weights) -> bool:
    """Return True if a node computes x * x or x ** 2."""
    if node.op_type == "Mul":
        return bool(node.input[0] == node.input[1])
    exponent = weights.get(node.input[1]) if node.op_type == "Pow" else None
    return exponent is not None and exponent.size == 1 and bool(exponent.item() == 2)
