"""A network's drawing as nodes and edges, without positions. `layout` places it and `plots` draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["input", "layer", "operation", "junction", "output", "parameter", "loss"]


@dataclass(frozen=True)
class Node:
    """Box of a graph. A layer has parameters and an operation has none. At a junction, flows meet or split."""

    id: int
    kind: Kind
    title: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Edge:
    """Arrow from one node to another, by their ids."""

    start: int
    end: int


@dataclass(frozen=True)
class Graph:
    """Nodes, and edges between them, without cycles and without duplicate edges."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def by(shape: Sequence[int]) -> str:
    """Return a shape as text, such as "16x24x24"; "1" for a scalar."""
    return "x".join(str(n) for n in shape) or "1"
