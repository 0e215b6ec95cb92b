"""The root of a mean square: four ONNX nodes in a row that are one layer."""

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
    """Square, mean over places, sum, root: the value that goes in, and those between the nodes."""

    source: str
    layer: RootMeanSquare
    inside: tuple[str, ...]


def find_roots(graph: GraphProto, weights: Weights) -> dict[str, Root]:
    """The value that comes out of each -> the root. Where another node reads a value between, there is none."""
    read = Counter(name for node in graph.node for name in set(node.input))
    read.update(output.name for output in graph.output)
    alone = {node.output[0]: node for node in graph.node if read[node.output[0]] == 1}
    found = {node.output[0]: root_at(node, alone, weights) for node in graph.node if node.op_type == "Sqrt"}
    return {name: root for name, root in found.items() if root}


def root_at(last: NodeProto, alone: Mapping[str, NodeProto], weights: Weights) -> Root | None:
    """From the Sqrt back to the square; None where other nodes are on the way."""
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
    """Over height and width."""
    if node.op_type == "GlobalAveragePool":
        return True
    axes = weights.get(node.input[1]) if node.op_type == "ReduceMean" and len(node.input) > 1 else None
    return axes is not None and sorted(axis % 4 for axis in axes.tolist()) == [2, 3]


def is_square(node: NodeProto, weights: Weights) -> bool:
    """x * x, or x ** 2."""
    if node.op_type == "Mul":
        return bool(node.input[0] == node.input[1])
    exponent = weights.get(node.input[1]) if node.op_type == "Pow" else None
    return exponent is not None and exponent.size == 1 and bool(exponent.item() == 2)
