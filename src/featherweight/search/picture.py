"""The picture of accuracy against one cost, as places and texts for the SVG in templates/picture.html."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from featherweight.search.best import Mark, best_of

WIDTH, HEIGHT = 420, 330
LEFT, RIGHT, TOP, BOTTOM = 40, 408, 24, 288
RADIUS, LETTER, LINE = 9, 4.7, 10       # of a network of the front; width and height of a letter of a label
WORST = 4       # other networks are drawn if their error is at most this many times the lowest of the front
WIDER = 3       # tried candidates are drawn up to this many times the highest error of the networks in the picture
FAR = 3         # other networks are drawn if their cost is within this factor of the front's
STEPS = ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))     # of ticks in each power of ten
MOST_TICKS = 6

Box = tuple[float, float, float, float]     # left, top, right, bottom


@dataclass(frozen=True)
class Scale:
    """A logarithmic scale: the values low and high stand at start and end."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        """Return round values on the scale, at most MOST_TICKS of them if possible."""
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        found: list[float] = []
        for steps in STEPS:
            found = [step * 10.0**power for power in powers for step in steps
                     if self.low <= step * 10.0**power <= self.high]
            if len(found) <= MOST_TICKS:
                break
        return found


@dataclass(frozen=True)
class Label:
    """A text beside a mark. anchor: SVG's text-anchor."""

    x: float
    y: float
    anchor: Literal["start", "end", "middle"]


@dataclass(frozen=True)
class Placed:
    """A mark in the picture. label: None if the text finds no room."""

    mark: Mark
    x: float
    y: float
    low: float
    high: float
    label: Label | None = None


@dataclass(frozen=True)
class Picture:
    """All parts of the picture for one cost. Places are in units of the SVG's viewBox."""

    cost: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    front: list[Placed]
    others: list[Placed]
    line: str               # SVG path through the best networks of the front
    tried: str              # SVG path with a dot for each tried candidate
    below: int              # tried candidates whose accuracy is below the picture
    limit: float | None     # place of the budget


def draw(
    cost: str, front: Sequence[Mark], others: Sequence[Mark], tried: Sequence[Mark], limit: float | None, floor: float
) -> Picture | None:
    """Return the picture of accuracy against a cost, such as "parameters". None if there is nothing to draw.

    others: networks to compare with. limit: the budget. floor: the lowest error that is told from 0.
    """
    near = near_to(front, others, cost, floor)
    shown = [*front, *near] or good_ones(tried, floor)
    if not shown:
        return None
    across, down = scales(cost, shown, tried, limit, floor)
    seen = [mark for mark in tried if across.low <= mark.cost(cost) <= across.high and error(mark, floor) <= down.high]

    def place(mark: Mark) -> Placed:
        low, high = (down(min(max(1 - value, down.low), down.high)) for value in (mark.low, mark.high))
        return Placed(mark, across(mark.cost(cost)), down(error(mark, floor)), low, high)

    circles = [place(mark) for mark in front]
    best = best_of(front, cost)
    return Picture(
        cost, [(across(tick), short(tick)) for tick in across.ticks()],
        [(down(tick), f"{100 - 100 * tick:.6g}") for tick in down.ticks()],
        circles, labelled([place(mark) for mark in near], circles),
        path([(one.x, one.y) for one in circles if one.mark in best]),
        "".join(sorted({f"M{across(mark.cost(cost)):.0f} {down(error(mark, floor)):.0f}h0" for mark in seen})),
        len(tried) - len(seen), across(limit) if limit and across.low <= limit <= across.high else None,
    )


def near_to(front: Sequence[Mark], others: Sequence[Mark], cost: str, floor: float) -> list[Mark]:
    """Return the other networks that can be compared with the front: of similar cost, and not much less accurate."""
    if not front:
        return []
    least, most = (end(mark.cost(cost) for mark in front) for end in (min, max))
    worst = WORST * min(error(mark, floor) for mark in front)
    return [mark for mark in others if least / FAR <= mark.cost(cost) <= most * FAR and error(mark, floor) <= worst]


def good_ones(tried: Sequence[Mark], floor: float) -> list[Mark]:
    """Return the candidates that are not much less accurate than the best."""
    lowest = min((error(mark, floor) for mark in tried), default=0)
    return [mark for mark in tried if error(mark, floor) <= WORST * lowest]


def error(mark: Mark, floor: float) -> float:
    """Return the fraction of wrong predictions, at least `floor`."""
    return max(1 - mark.accuracy, floor)


def scales(
    cost: str, shown: Sequence[Mark], tried: Sequence[Mark], limit: float | None, floor: float
) -> tuple[Scale, Scale]:
    """Return the scale of the cost, and that of the error, which falls from the bottom to the top."""
    worst = max(error(mark, floor) for mark in shown)
    close = [mark for mark in tried if error(mark, floor) <= WIDER * worst]
    errors = [error(mark, floor) for mark in (*shown, *close)] + [max(1 - mark.high, floor) for mark in shown]
    costs = [mark.cost(cost) for mark in (*shown, *close)] + ([limit] if limit else [])
    return (Scale(*room(min(costs), max(costs), 1.3), LEFT, RIGHT),
            Scale(*room(min(errors), max(errors), 1.15), TOP, BOTTOM))


def room(low: float, high: float, factor: float) -> tuple[float, float]:
    """Return the ends of a scale with room at both, which differ at least by a factor of 1.8."""
    low, high = low / factor, high * factor
    wider = max(1.0, math.sqrt(1.8 * low / high))
    return low / wider, high * wider


def short(value: float) -> str:
    """Return a cost as a short text: 3000 gives "3,000", 20000 gives "20 k", 1500000 gives "1.5 M"."""
    if value >= 1e6:
        return f"{value / 1e6:.6g} M"
    return f"{value / 1e3:.6g} k" if value >= 1e4 else f"{value:,.6g}"


def path(places: Sequence[tuple[float, float]]) -> str:
    """Return an SVG path with straight lines between places, from left to right."""
    return "".join(f"{'L' if n else 'M'}{x} {y}" for n, (x, y) in enumerate(sorted(places)))


def labelled(placed: Sequence[Placed], circles: Sequence[Placed]) -> list[Placed]:
    """Return the marks with labels that cover no other mark and no other label."""
    taken = [(one.x - RADIUS, one.y - RADIUS, one.x + RADIUS, one.y + RADIUS) for one in circles]
    taken += [(one.x - 4, one.y - 4, one.x + 4, one.y + 4) for one in placed]
    taken += [(one.x - 1, one.high, one.x + 1, one.low) for one in placed]      # the bars
    found = []
    for one in placed:
        free = next((label for label in labels(one) if is_free(box_of(one, label), taken)), None)
        if free:
            taken.append(box_of(one, free))
        found.append(Placed(one.mark, one.x, one.y, one.low, one.high, free))
    return found


def labels(one: Placed) -> list[Label]:
    """Return the places for the text of a mark, the best first: right, left, below, above."""
    return [Label(one.x + 7, one.y + 3, "start"), Label(one.x - 7, one.y + 3, "end"),
            Label(one.x, max(one.y + 4, one.low) + LINE, "middle"),
            Label(one.x, min(one.y - 4, one.high) - 4, "middle")]


def box_of(one: Placed, label: Label) -> Box:
    """Return the box of a label's text."""
    width = LETTER * len(one.mark.name)
    left = label.x - {"start": 0.0, "end": width, "middle": width / 2}[label.anchor]
    return left, label.y - LINE + 2, left + width, label.y + 2


def is_free(box: Box, taken: Sequence[Box]) -> bool:
    """Return True if the box is inside the picture and meets none of the others."""
    apart: Callable[[Box], bool] = lambda other: (  # noqa: E731
        box[2] <= other[0] or other[2] <= box[0] or box[3] <= other[1] or other[3] <= box[1]
    )
    return box[0] > LEFT and box[2] < WIDTH and box[1] >= TOP and box[3] <= BOTTOM and all(map(apart, taken))
