"""Layout of a graph: positions of boxes and arrows, layers from top to bottom, a long graph in several columns.

Method: layers by longest path, order by barycentre, positions within a layer by least squares. If Graphviz is
installed, dot places each column instead. All lengths are in points (1/72 inch), y downwards.
Source: Sugiyama, Tagawa and Toda 1981, "Methods for visual understanding of hierarchical system structures".
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import accumulate, pairwise

from featherweight.anatomy.graph import Edge, Graph, Node
from featherweight.layout.column import (
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
from featherweight.layout.dot import by_graphviz
from featherweight.layout.layers import by_layers

TITLE_SIZE, LINE_SIZE, LINE_HEIGHT, PADDING = 9.0, 8.5, 11.5, 6.0
WIDEST, TALLEST = 940.0, 640.0              # a graph that is too tall gets more columns, until it is too wide
CUT = 0.2       # share of a column's height by which a cut may move away from its even place, to cut one line less
NARROW, WIDE = frozenset("ijltfr.,:;!|'()[] -_"), frozenset("mwMWNGOQDH@%&")


@dataclass(frozen=True)
class Box:
    """Position of a node: centre, width and height."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """Boxes by node id. For each edge, the points of its line from border to border."""

    boxes: Mapping[int, Box]
    lines: Mapping[Edge, Line]
    width: float
    height: float


def layout(graph: Graph, place: Place | None = None) -> Layout:
    """Place a graph, in several columns if a single one is taller than TALLEST. No two boxes overlap.

    Columns are added until the height fits or stops falling, or until the next one would exceed WIDEST.
    place: by_layers or by_graphviz. None: by_graphviz if dot is installed and the page is not too wide, else by_layers.
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
    """Return (width, height) of a node's box. Titles are bold, except the titles of parameters."""
    title = text_width(node.title, TITLE_SIZE, bold=node.kind != "parameter")
    widest = max([title, *(text_width(line, LINE_SIZE) for line in node.lines)])
    return widest + 2 * PADDING, LINE_HEIGHT * (1 + len(node.lines)) + PADDING


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return an upper estimate of a text's width in DejaVu Sans, without measuring."""
    wide = sum(letter in WIDE or letter > "\u1100" for letter in text)      # East Asian scripts start there
    narrow = sum(letter in NARROW for letter in text)
    return size * (0.75 * len(text) + 0.35 * wide - 0.27 * narrow) * (1.0 if bold else 0.93)


def layers(graph: Graph) -> dict[int, int]:
    """Return the layer of each node, below the layers of all its predecessors.

    A node with at least as many outgoing as incoming edges moves down, to the layer above its first successor.
    Raises graphlib.CycleError if the edges form a cycle.
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
    """Cut a graph between layers into `count` columns.

    In each column, all cut edges of a node share one port.
    """
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
    """Yield (column, link) for each column that an edge passes through."""
    first, last = part[edge.start], part[edge.end]
    for k in range(first, last + 1):
        yield k, (edge.start if k == first else (edge.start, "in"), edge.end if k == last else (edge.start, "out"))


def cuts(graph: Graph, sizes: Mapping[Key, Size], ranks: Mapping[int, int], count: int) -> list[int]:
    """Return the first layer of each column, followed by the number of layers.

    The columns are nearly equal in height. Cuts are preferred where they cut few lines.
    """
    heights = [0.0] * (max(ranks.values()) + 1)
    for node, rank in ranks.items():
        heights[rank] = max(heights[rank], sizes[node][1] + LAYER_GAP)
    passing: list[list[int]] = [[] for _ in heights]        # start nodes of the edges that a cut there cuts
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
    """Join columns from left to right into one layout.

    A line to the next column runs under its own column and then up between the two.
    """
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
    """Return, for each node with edges into the next column, the line from port to port.

    right: limit of the lines to the right. top: limit of their upper parts, which run above the columns.
    """
    ports = sorted((-x, key[0]) for key, (x, _) in column.centres.items() if isinstance(key, tuple) and key[1] == "out")
    ways = {}
    for lane, (_, node) in enumerate(ports):        # from the right, so that the lines are nested and do not cross
        (x, y), (end, head) = column.centres[node, "out"], following.centres[node, "in"]
        under, over = top + column.height + LANE * (lane + 1), top - LANE * (len(ports) - lane)
        beside = right - LANE * (len(ports) - lane)
        ways[node] = tuple(rounded(((x, y), (x, under), (beside, under), (beside, over), (end, over), (end, head))))
    return ways
