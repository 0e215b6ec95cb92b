"""Where the boxes and arrows of a graph go: layers from top to bottom, a long graph in columns side by side.

Layers by longest path, order by barycentre (Sugiyama, Tagawa and Toda 1981, "Methods for visual understanding
of hierarchical system structures"), places within a layer by least squares. Where Graphviz is installed, its dot
places each column instead. All lengths are in points (1/72 inch), y downwards.
"""

from __future__ import annotations

import shutil
import subprocess
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import accumulate, chain, pairwise

from featherweight.anatomy.graph import Edge, Graph, Node

TITLE_SIZE, LINE_SIZE, LINE_HEIGHT, PADDING = 9.0, 8.5, 11.5, 6.0
GAP, LAYER_GAP, LANE = 12.0, 19.0, 7.0      # between boxes, between layers, between lines that run side by side
WIDEST, TALLEST = 940.0, 640.0              # a graph folds into more columns to be less tall, while it is no wider
CUT = 0.2       # of a column's height: how far from an even share a cut may lie to save one line from being cut
SWEEPS = 8
SIDES = {"in": "source", "out": "sink"}     # of a column, in our words and in dot's
NARROW, WIDE = frozenset("ijltfr.,:;!|'()[] -_"), frozenset("mwMWNGOQDH@%&")

Point = tuple[float, float]
Line = tuple[Point, ...]
Size = tuple[float, float]
Key = int | tuple[int, int | str]      # a node; where its edges pass a layer, or go "in" or "out" of a column
Link = tuple[Key, Key]


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


@dataclass(frozen=True)
class Column:
    """A part of a graph: its nodes and the ports where edges come in and go out, with sizes, layers and links."""

    sizes: Mapping[Key, Size]
    ranks: Mapping[Key, int]
    links: tuple[Link, ...]


@dataclass(frozen=True)
class Placed:
    """A column's centres and lines; its upper left corner is (0, 0)."""

    centres: Mapping[Key, Point]
    lines: Mapping[Link, Line]
    width: float
    height: float


Place = Callable[[Column], Placed]


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
    places = [_shifted(column, left, top) for column, left in zip(columns, lefts, strict=False)]
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
        ways[node] = tuple(_rounded(((x, y), (x, under), (beside, under), (beside, over), (end, over), (end, head))))
    return ways


def by_layers(column: Column) -> Placed:
    """Our own placement: needs nothing, keeps what a long way leads through in one vertical line."""
    ranks, near = dict(column.ranks), defaultdict[Key, list[Key]](list)
    chains: dict[Link, list[Key]] = {}
    for start, end in column.links:
        owner = start if isinstance(start, int) else start[0]      # all that comes from one node shares its trunk
        dummies: dict[Key, int] = {(owner, rank): rank for rank in range(ranks[start] + 1, ranks[end])}
        chains[start, end] = [start, *dummies, end]
        ranks |= dummies
    pairs = dict.fromkeys(pair for passed in chains.values() for pair in pairwise(passed))
    for above, below in pairs:
        near[above].append(below)
        near[below].append(above)
    rows = _ordered([[key for key in ranks if ranks[key] == rank] for rank in sorted(set(ranks.values()))], near)
    sizes = dict.fromkeys(ranks, (0.0, 0.0)) | dict(column.sizes)
    weights = _weights(pairs, ranks)
    x = _across(rows, near, sizes, weights)
    heights = [max(sizes[key][1] for key in row) for row in rows]
    tops = [0.0, *accumulate(height + LAYER_GAP for height in heights)]
    spans = {key: (tops[k], tops[k] + heights[k]) for k, row in enumerate(rows) for key in row}
    centres = {key: (x[key], sum(spans[key]) / 2) for key in ranks}
    lines = {link: _through(passed, centres, spans, sizes) for link, passed in chains.items()}
    return _boxed({key: centres[key] for key in column.ranks}, lines, column.sizes)


def _ordered(rows: list[list[Key]], near: Mapping[Key, list[Key]]) -> list[list[Key]]:
    """The rows in the order with the fewest crossings that sweeps of sorting by the neighbours' mean find."""
    best, fewest = rows, _crossings(rows, near)
    for sweep in range(SWEEPS):
        rows, step = [list(row) for row in rows], 1 if sweep % 2 == 0 else -1
        for k in range(1, len(rows)) if step == 1 else range(len(rows) - 2, -1, -1):
            seen = {key: place for place, key in enumerate(rows[k - step])}
            mean = {}
            for place, key in enumerate(rows[k]):
                towards = [seen[one] for one in near[key] if one in seen]
                mean[key] = sum(towards) / len(towards) if towards else place
            rows[k].sort(key=mean.__getitem__)
        if (count := _crossings(rows, near)) < fewest:
            best, fewest = rows, count
    return best


def _crossings(rows: Sequence[Sequence[Key]], near: Mapping[Key, list[Key]]) -> int:
    count = 0
    for above, below in pairwise(rows):
        place = {key: index for index, key in enumerate(below)}
        passed: list[int] = []
        for key in above:
            ends = sorted(place[one] for one in near[key] if one in place)
            count += sum(len(passed) - bisect_right(passed, end) for end in ends)
            passed = sorted([*passed, *ends])
    return count


def _across(
    rows: Sequence[Sequence[Key]],
    near: Mapping[Key, list[Key]],
    sizes: Mapping[Key, Size],
    weights: Mapping[Key, float],
) -> dict[Key, float]:
    """x of all: row after row is drawn to the one above it, then to the one below it; the straightest is kept."""
    x: dict[Key, float] = {}
    for row in rows:
        x |= zip(row, spaced([0.0] * len(row), [sizes[key][0] for key in row], [1.0] * len(row)), strict=True)
    best, least = x, float("inf")
    for sweep in range(2 * SWEEPS):
        x, step = dict(x), 1 if sweep % 2 == 0 else -1
        for k in range(1, len(rows)) if step == 1 else range(len(rows) - 2, -1, -1):
            row, towards = rows[k], set(rows[k - step])
            wanted = []
            for key in row:
                pulls = [(weights[one], x[one]) for one in near[key] if one in towards]
                wanted.append(sum(w * at for w, at in pulls) / sum(w for w, _ in pulls) if pulls else x[key])
            x |= zip(row, spaced(wanted, [sizes[key][0] for key in row], [weights[key] for key in row]), strict=True)
        aside = sum(min(weights[a], weights[b]) ** 0.25 * abs(x[a] - x[b]) for a in near for b in near[a])
        if aside < least:
            best, least = x, aside
    return best


def _weights(links: Iterable[Link], ranks: Mapping[Key, int]) -> dict[Key, float]:
    """How much each stays in line: by how long a way leads to it and from it, whichever is shorter."""
    before, after = dict.fromkeys(ranks, 0), dict.fromkeys(ranks, 0)
    downwards = sorted(links, key=lambda link: ranks[link[0]])
    for start, end in downwards:
        before[end] = max(before[end], before[start] + 1)
    for start, end in sorted(downwards, key=lambda link: -ranks[link[1]]):
        after[start] = max(after[start], after[end] + 1)
    return {key: (1.0 + min(before[key], after[key], 3)) ** 12 for key in ranks}


def spaced(wanted: Sequence[float], widths: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Centres in this order and GAP apart, as near as least squares get them to those wanted.

    Pool adjacent violators: what would overlap moves as one block to its weighted mean.
    """
    shifts = [0.0, *accumulate((a + b) / 2 + GAP for a, b in pairwise(widths))]
    blocks: list[tuple[float, float, int]] = []     # mean, weight, count
    for want, shift, own in zip(wanted, shifts, weights, strict=False):
        mean, weight, count = want - shift, own, 1
        while blocks and blocks[-1][0] > mean:
            before, heavy, many = blocks.pop()
            mean = (mean * weight + before * heavy) / (weight + heavy)
            weight, count = weight + heavy, count + many
        blocks.append((mean, weight, count))
    means = [mean for mean, _, count in blocks for _ in range(count)]
    return [mean + shift for mean, shift in zip(means, shifts, strict=False)]


def _through(
    passed: Sequence[Key], centres: Mapping[Key, Point], spans: Mapping[Key, Point], sizes: Mapping[Key, Size]
) -> Line:
    """Straight down within a layer, where boxes are; sideways only between two layers."""
    points = [(centres[passed[0]][0], centres[passed[0]][1] + sizes[passed[0]][1] / 2)]
    for above, below in pairwise(passed):
        points += _bent((centres[above][0], spans[above][1]), (centres[below][0], spans[below][0]))
    x, y = centres[passed[-1]]
    return tuple(dict.fromkeys([*points, (x, y - sizes[passed[-1]][1] / 2)]))


def by_graphviz(column: Column) -> Placed:
    """Placed by Graphviz' dot; by our own layers where dot fails."""
    keys = list(column.sizes)
    number = {key: index for index, key in enumerate(keys)}
    try:
        text = _dot(column, number)
        done = subprocess.run(["dot", "-Tplain"], input=text, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return by_layers(column)
    centres: dict[Key, Point] = {}
    lines: dict[Link, Line] = {}
    for words in map(str.split, done.stdout.splitlines()):
        if words[0] == "node":
            centres[keys[int(words[1])]] = (72 * float(words[2]), -72 * float(words[3]))
        elif words[0] == "edge":
            numbers = [72 * float(word) for word in words[4 : 4 + 2 * int(words[3])]]
            spline = [(x, -y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
            curves = [_bezier(spline[k : k + 4]) for k in range(0, len(spline) - 1, 3)]
            lines[keys[int(words[1])], keys[int(words[2])]] = tuple(dict.fromkeys(chain.from_iterable(curves)))
    return _boxed(centres, lines, column.sizes)


def _dot(column: Column, number: Mapping[Key, int]) -> str:
    """The column in dot's language, in inches; ports are points, above and below all else."""
    ports = {kind: [at for key, at in number.items() if isinstance(key, tuple) and key[1] == kind] for kind in SIDES}
    ranked = ((SIDES[kind], " ".join(map(str, who))) for kind, who in ports.items())
    weights = _weights(column.links, column.ranks)
    sizes = (f"{number[key]} [width={w / 72:.4f} height={h / 72:.4f}]" for key, (w, h) in column.sizes.items())
    return "\n".join([
        f"digraph {{ graph [nodesep={GAP / 72:.4f} ranksep={LAYER_GAP / 72:.4f}]",
        'node [shape=box fixedsize=true label=""] edge [dir=none]',
        *sizes,
        *(f"{{ rank={where} {who} }}" for where, who in ranked if who),
        *(f"{number[a]} -> {number[b]} [weight={min(weights[a], weights[b]) ** 0.25:.0f}]" for a, b in column.links),
        "}",
    ])


def _boxed(centres: Mapping[Key, Point], lines: Mapping[Link, Line], sizes: Mapping[Key, Size]) -> Placed:
    """Moved so that the upper left corner of all boxes and lines is (0, 0)."""
    corners = [point for line in lines.values() for point in line]
    for key, (x, y) in centres.items():
        width, height = sizes[key]
        corners += [(x - width / 2, y - height / 2), (x + width / 2, y + height / 2)]
    (left, right), (top, bottom) = ((min(each), max(each)) for each in zip(*corners, strict=True))
    return _shifted(Placed(centres, lines, right - left, bottom - top), -left, -top)


def _shifted(placed: Placed, right: float, down: float) -> Placed:
    centres = {key: (x + right, y + down) for key, (x, y) in placed.centres.items()}
    lines = {link: tuple((x + right, y + down) for x, y in line) for link, line in placed.lines.items()}
    return Placed(centres, lines, placed.width, placed.height)


def _bezier(control: Sequence[Point], steps: int = 10) -> list[Point]:
    """Points of a cubic Bezier curve."""
    points = []
    for t in (step / steps for step in range(steps + 1)):
        shares = ((1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3)
        x, y = (sum(share * point[axis] for share, point in zip(shares, control, strict=True)) for axis in (0, 1))
        points.append((x, y))
    return points


def _bent(start: Point, end: Point) -> list[Point]:
    """A line that leaves and arrives vertically, straight for the length of an arrow's head."""
    if abs(start[0] - end[0]) < 0.1:
        return [start, end]
    arrived = end[1] - 0.25 * (end[1] - start[1])
    middle = (start[1] + arrived) / 2
    return [*_bezier((start, (start[0], middle), (end[0], middle), (end[0], arrived))), end]


def _rounded(corners: Sequence[Point]) -> list[Point]:
    """A line with right angles, its corners rounded."""
    points = [corners[0]]
    for before, at, after in zip(corners, corners[1:], corners[2:], strict=False):
        near = [_towards(at, other, LANE / 2) for other in (before, after)]
        points += _bezier((near[0], at, at, near[1]), 4)
    return [*points, corners[-1]]


def _towards(start: Point, end: Point, most: float) -> Point:
    length = abs(end[0] - start[0]) + abs(end[1] - start[1])      # along one axis
    share = min(most, length / 2) / length if length else 0.0
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])
