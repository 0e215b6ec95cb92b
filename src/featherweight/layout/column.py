"""A column of a drawn graph: its content before and after placement, and the curves of its lines.

All lengths are in points (1/72 inch), y downwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

GAP, LAYER_GAP, LANE = 12.0, 19.0, 7.0      # between boxes, between layers, between parallel lines

Point = tuple[float, float]
Line = tuple[Point, ...]
Size = tuple[float, float]
Key = int | tuple[int, int | str]      # a node; (node, layer that its edges pass); (node, "in" or "out"): a port
Link = tuple[Key, Key]


@dataclass(frozen=True)
class Column:
    """Part of a graph before placement: nodes and ports with their sizes, layers (ranks) and links.

    A port is a point where edges enter or leave the column.
    """

    sizes: Mapping[Key, Size]
    ranks: Mapping[Key, int]
    links: tuple[Link, ...]


@dataclass(frozen=True)
class Placed:
    """Column after placement: centres and lines. The upper left corner is (0, 0)."""

    centres: Mapping[Key, Point]
    lines: Mapping[Link, Line]
    width: float
    height: float


Place = Callable[[Column], Placed]


def weights_of(links: Iterable[Link], ranks: Mapping[Key, int]) -> dict[Key, float]:
    """Return a weight for each key: keys on long paths get high weights, so that such paths are drawn straight.

    The weight grows with the longest path to the key or the longest path from the key, whichever is shorter.
    """
    before, after = dict.fromkeys(ranks, 0), dict.fromkeys(ranks, 0)
    downwards = sorted(links, key=lambda link: ranks[link[0]])
    for start, end in downwards:
        before[end] = max(before[end], before[start] + 1)
    for start, end in sorted(downwards, key=lambda link: -ranks[link[1]]):
        after[start] = max(after[start], after[end] + 1)
    return {key: (1.0 + min(before[key], after[key], 3)) ** 12 for key in ranks}


def boxed(centres: Mapping[Key, Point], lines: Mapping[Link, Line], sizes: Mapping[Key, Size]) -> Placed:
    """Return the column, moved so that the upper left corner of all boxes and lines is (0, 0)."""
    corners = [point for line in lines.values() for point in line]
    for key, (x, y) in centres.items():
        width, height = sizes[key]
        corners += [(x - width / 2, y - height / 2), (x + width / 2, y + height / 2)]
    (left, right), (top, bottom) = ((min(each), max(each)) for each in zip(*corners, strict=True))
    return shifted(Placed(centres, lines, right - left, bottom - top), -left, -top)


def shifted(placed: Placed, right: float, down: float) -> Placed:
    """Return the column, moved by `right` and `down`."""
    centres = {key: (x + right, y + down) for key, (x, y) in placed.centres.items()}
    lines = {link: tuple((x + right, y + down) for x, y in line) for link, line in placed.lines.items()}
    return Placed(centres, lines, placed.width, placed.height)


def bezier(control: Sequence[Point], steps: int = 10) -> list[Point]:
    """Return `steps + 1` points of a cubic Bezier curve with four control points."""
    points = []
    for t in (step / steps for step in range(steps + 1)):
        shares = ((1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3)
        x, y = (sum(share * point[axis] for share, point in zip(shares, control, strict=True)) for axis in (0, 1))
        points.append((x, y))
    return points


def bent(start: Point, end: Point) -> list[Point]:
    """Return a curve that is vertical at both ends.

    The last quarter of the curve's height is straight, so that an arrowhead fits.
    """
    if abs(start[0] - end[0]) < 0.1:
        return [start, end]
    arrived = end[1] - 0.25 * (end[1] - start[1])
    middle = (start[1] + arrived) / 2
    return [*bezier((start, (start[0], middle), (end[0], middle), (end[0], arrived))), end]


def rounded(corners: Sequence[Point]) -> list[Point]:
    """Return a right-angled line with rounded corners."""
    points = [corners[0]]
    for before, at, after in zip(corners, corners[1:], corners[2:], strict=False):
        near = [_towards(at, other, LANE / 2) for other in (before, after)]
        points += bezier((near[0], at, at, near[1]), 4)
    return [*points, corners[-1]]


def _towards(start: Point, end: Point, most: float) -> Point:
    length = abs(end[0] - start[0]) + abs(end[1] - start[1])      # the line is horizontal or vertical
    share = min(most, length / 2) / length if length else 0.0
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])
