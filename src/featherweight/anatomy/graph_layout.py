"""Where the boxes and arrows of a graph go: layers from top to bottom, a long graph in columns side by side.

Layers by longest path, order by barycentre (Sugiyama, Tagawa and Toda 1981, "Methods for visual understanding
of hierarchical system structures"), places within a layer by least squares. Where Graphviz is installed, its dot
places each column instead. All lengths are in points (1/72 inch), y downwards.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import accumulate, pairwise

from featherweight.anatomy.graph import Edge, Graph, Node
from featherweight.anatomy.graph_column import (
    GAP,
    LANE,
    LAYER_GAP,
    Column,
    Key,
    Line,
    Link,
    Place,
    Placed,
    Size,
    rounded,
    shifted,
)
from featherweight.anatomy.graph_dot import by_graphviz
from featherweight.anatomy.graph_layers import by_layers

TITLE_SIZE, LINE_SIZE, LINE_HEIGHT, PADDING = 9.0, 8.5, 11.5, 6.0
WIDEST, TALLEST = 940.0, 640.0              # a graph folds into more columns to be less tall, while it is no wider
CUT = 0.2       # of a column's height: how far from an even share a cut may lie to save one line from being cut
NARROW, WIDE = frozenset("ijltfr.,:;!|'()[] -_"), frozenset("mwMWNGOQDH@%&")


@dataclass(frozen=True)
class Box:
    """A node's place: centre, width and height."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """Boxes by node id, and for each edge the points that its line goes through, from border to border."""

    boxes: Mapping[int, Box]
    lines: Mapping[Edge, Line]
    width: float
    height: float


def layout(graph: Graph, place: Place | None = None) -> Layout:
    """Place a graph, in as many columns as make it less tall than TALLEST and not wider than WIDEST.

    place: by_layers or by_graphviz; None is by_graphviz where its dot is installed, and by_layers where it is
    not or where dot makes a page too wide. No two boxes overlap.
    """
    if not graph.nodes:
        return Layout({}, {}, 0.0, 0.0)
    if place is None:
        found = layout(graph, by_graphviz) if shutil.which("dot") else None
        return found if found and found.width <= WIDEST else layout(graph, by_layers)
    sizes: dict[Key, Size] = {node.id: size_of(node) for node in graph.nodes}
    ranks = layers(graph)
    best = side_by_side(graph, sizes, [place(column) for column in fold(graph, sizes, ranks, 1)])
    for count in range(2, len(ranks) + 1):
        if best.height <= TALLEST:
            break
        folded = side_by_side(graph, sizes, [place(column) for column in fold(graph, sizes, ranks, count)])
        if folded.width > WIDEST or folded.height >= best.height:
            break
        best = folded
    return best


def size_of(node: Node) -> Size:
    """Width and height of a node's box. Titles are bold; a parameter's, of which there are many, is not."""
    title = text_width(node.title, TITLE_SIZE, bold=node.kind != "parameter")
    widest = max([title, *(text_width(line, LINE_SIZE) for line in node.lines)])
    return widest + 2 * PADDING, LINE_HEIGHT * (1 + len(node.lines)) + PADDING


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """How wide a text is in DejaVu Sans: not measured, but on the safe side."""
    wide = sum(letter in WIDE or letter > "\u1100" for letter in text)      # from there on, East Asian scripts
    narrow = sum(letter in NARROW for letter in text)
    return size * (0.75 * len(text) + 0.35 * wide - 0.27 * narrow) * (1.0 if bold else 0.93)


def layers(graph: Graph) -> dict[int, int]:
    """The layer of each node: below all that lead to it; what can wait is moved down to what needs it.

    Raises graphlib.CycleError where edges go in a circle.
    """
    before: dict[int, list[int]] = {node.id: [] for node in graph.nodes}
    after: dict[int, list[int]] = {node.id: [] for node in graph.nodes}
    for edge in graph.edges:
        before[edge.end].append(edge.start)
        after[edge.start].append(edge.end)
    ordered = list(TopologicalSorter(before).static_order())
    ranks: dict[int, int] = {}
    for node in ordered:
        ranks[node] = max((ranks[one] + 1 for one in before[node]), default=0)
    for node in reversed(ordered):
        if len(before[node]) <= len(after[node]) > 0:
            ranks[node] = min(ranks[one] for one in after[node]) - 1
    return ranks


def fold(graph: Graph, sizes: Mapping[Key, Size], ranks: Mapping[int, int], count: int) -> list[Column]:
    """Cut a graph between layers into this many parts; where a node's edges are cut, there is one port for all."""
    bounds = cuts(graph, sizes, ranks, count)
    part = {node: sum(rank >= bound for bound in bounds[1:-1]) for node, rank in ranks.items()}
    own: list[dict[Key, int]] = [{} for _ in bounds[1:]]
    links: list[dict[Link, None]] = [{} for _ in bounds[1:]]
    for node, rank in ranks.items():
        own[part[node]][node] = rank
    for edge in graph.edges:
        for k, (start, end) in _pieces(edge, part):
            own[k].setdefault(start, bounds[k] - 1)
            own[k].setdefault(end, bounds[k + 1])
            links[k][start, end] = None
    return [
        Column({key: sizes.get(key, (0.0, 0.0)) for key in ranked}, ranked, tuple(linked))
        for ranked, linked in zip(own, links, strict=True)
    ]


def _pieces(edge: Edge, part: Mapping[int, int]) -> Iterator[tuple[int, Link]]:
    """The columns that an edge goes through, and the link that it is there."""
    first, last = part[edge.start], part[edge.end]
    for k in range(first, last + 1):
        yield k, (edge.start if k == first else (edge.start, "in"), edge.end if k == last else (edge.start, "out"))


def cuts(graph: Graph, sizes: Mapping[Key, Size], ranks: Mapping[int, int], count: int) -> list[int]:
    """The first layer of each column, and the one after the last: near even shares, where few lines are cut."""
    heights = [0.0] * (max(ranks.values()) + 1)
    for node, rank in ranks.items():
        heights[rank] = max(heights[rank], sizes[node][1] + LAYER_GAP)
    passing: list[list[int]] = [[] for _ in heights]        # where edges come from that a cut there would cut
    for edge in graph.edges:
        for rank in range(ranks[edge.start] + 1, ranks[edge.end] + 1):
            passing[rank].append(edge.start)
    tops = [0.0, *accumulate(heights)]
    share = tops[-1] / count
    found = [0]
    for target in (share * k for k in range(1, count)):
        costs = {
            rank: abs(tops[rank] - target) / share + CUT * (len(set(passing[rank])) + len(passing[rank]) / 2)
            for rank in range(found[-1] + 1, len(heights)) if abs(tops[rank] - target) < 0.4 * share
        }
        if costs:
            found.append(min(costs, key=costs.__getitem__))
    return [*found, len(heights)]


def side_by_side(graph: Graph, sizes: Mapping[Key, Size], columns: Sequence[Placed]) -> Layout:
    """Columns from left to right; what goes on in the next one runs under its column and up between the two."""
    cut = [sum(isinstance(key, tuple) and key[1] == "out" for key in column.centres) for column in columns]
    top = LANE * (1 + max(cut)) if any(cut) else 0.0
    lefts = [0.0, *accumulate(c.width + 2 * GAP + LANE * lanes for c, lanes in zip(columns, cut, strict=True))]
    places = [shifted(column, left, top) for column, left in zip(columns, lefts, strict=False)]
    onward = [_onward(*two, left - GAP, top) for two, left in zip(pairwise(places), lefts[1:], strict=False)]
    part = {key: k for k, column in enumerate(places) for key in column.centres if isinstance(key, int)}
    lines: dict[Edge, Line] = {}
    for edge in graph.edges:
        for k, link in _pieces(edge, part):
            lines[edge] = lines.get(edge, ()) + places[k].lines[link]
            if k < part[edge.end]:
                lines[edge] += onward[k][edge.start]
    boxes = {key: Box(*places[k].centres[key], *sizes[key]) for key, k in part.items()}
    width = max(left + column.width for left, column in zip(lefts, columns, strict=False))
    below = (c.height + (LANE * (lanes + 1) if lanes else 0.0) for c, lanes in zip(columns, cut, strict=True))
    return Layout(boxes, lines, width, top + max(below))


def _onward(column: Placed, following: Placed, right: float, top: float) -> dict[int, Line]:
    """For each node with edges into the next column, the way from port to port, left of `right`, above `top`."""
    ports = sorted((-x, key[0]) for key, (x, _) in column.centres.items() if isinstance(key, tuple) and key[1] == "out")
    ways = {}
    for lane, (_, node) in enumerate(ports):        # from the right: so the ways lie in one another and do not cross
        (x, y), (end, head) = column.centres[node, "out"], following.centres[node, "in"]
        under, over = top + column.height + LANE * (lane + 1), top - LANE * (len(ports) - lane)
        beside = right - LANE * (len(ports) - lane)
        ways[node] = tuple(rounded(((x, y), (x, under), (beside, under), (beside, over), (end, over), (end, head))))
    return ways
