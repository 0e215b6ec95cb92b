"""Group the pieces of ink on a page into digits and lines of writing. many.py uses this file. Needs only numpy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from featherweight.inference.strokes import Pieces

PART = 0.5          # fraction of the typical height: lower marks are parts of a digit
MOST = 0.6          # fraction of the ink that lies in marks up to the typical height
LONELY = 0.4        # fraction of the typical height: smaller marks without a digit near them are not digits
ASIDE = 0.25        # fraction of the typical height: largest gap in columns between a part and its digit
ABOVE = 0.4         # the same for the gap in rows
OVERLAP = 0.5       # fraction of the narrower mark's columns that two parts of one digit share
TALLEST = 1.3       # fraction of the typical height: the two parts of a broken digit are together at most this tall
SHORTER = 0.7       # fraction of the typical height: one of the two parts is lower than this
CLOSE = 0.25        # fraction of the typical height: largest gap in rows between two halves of a broken digit
TOUCHING = 0.15     # fraction of the typical height: the same between two low halves
BESIDE = 0.07       # fraction of the typical height: distance in columns of two slim halves side by side, at most
FLAT = 1.2          # height / width of a low half, at most
SLIM = 0.65         # width / height of two slim halves together, at most
SAME_LINE = 0.2     # fraction of the lower digit's height that neighbours in one line share


class Mark(NamedTuple):
    """One or several pieces of ink and their bounding box, exclusive at bottom and right."""

    pieces: tuple[int, ...]
    area: int
    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left


def lines_of(pieces: Pieces) -> list[list[Mark]]:
    """Return the digits of a label map (H, W) as lines from top to bottom, each from left to right."""
    marks = marks_of(pieces)
    tall = typical_height(marks)
    digits = with_their_parts([mark for mark in marks if mark.height > PART * tall],
                              [mark for mark in marks if mark.height <= PART * tall], tall)
    return in_lines(halves_joined(digits, tall))


def marks_of(pieces: Pieces) -> list[Mark]:
    """Return one mark for each piece of a label map, by number."""
    rows, columns = np.nonzero(pieces)
    numbers, areas = np.unique(pieces[rows, columns], return_counts=True)
    place = np.searchsorted(numbers, pieces[rows, columns])
    low, high = np.full((2, len(numbers)), max(pieces.shape)), np.zeros((2, len(numbers)), np.int64)
    for axis, values in enumerate((rows, columns)):
        np.minimum.at(low[axis], place, values)
        np.maximum.at(high[axis], place, values + 1)
    return [Mark((number,), *box) for number, *box in np.stack([numbers, areas, low[0], high[0], low[1], high[1]]).T
            .tolist()]


def typical_height(marks: Sequence[Mark]) -> int:
    """Return the height of a typical digit: most of the ink lies in marks that are lower or equal."""
    order = sorted(marks, key=lambda mark: mark.height)
    ink = np.cumsum([mark.area for mark in order])
    return order[int(np.searchsorted(ink, MOST * ink[-1]))].height if order else 0


def with_their_parts(digits: list[Mark], parts: Sequence[Mark], tall: int) -> list[Mark]:
    """Return the digits, each joined with the low marks near it. A large mark that is near no digit is a digit.

    Example of a part: the bar of a 5 that does not touch its body.
    """
    digits = list(digits)
    for part in sorted(parts, key=lambda mark: -mark.area):
        near = [(distance, place) for place, digit in enumerate(digits)
                if (distance := distance_of(part, digit, tall)) is not None]
        if near:
            place = min(near)[1]
            digits[place] = joined((digits[place], part))
        elif max(part.height, part.width) >= LONELY * tall and part.height >= LONELY / 2 * tall:
            digits.append(part)
    return digits


def distance_of(part: Mark, digit: Mark, tall: int) -> float | None:
    """Return the distance of a low mark from a digit if the mark can be a part of it, or None.

    A mark beside the middle of a digit is no part of it. Such a mark is a low digit, for example a flat 2.
    """
    aside = gap(part.left, part.right, digit.left, digit.right)
    above = gap(part.top, part.bottom, digit.top, digit.bottom)
    if aside > ASIDE * tall or above > ABOVE * tall:
        return None
    middle = ((part.top + part.bottom) / 2 - digit.top) / digit.height
    return None if aside > 0 and 0.3 < middle < 0.7 else max(0, aside) + max(0, above)


def halves_joined(digits: Sequence[Mark], tall: int) -> list[Mark]:
    """Return the digits, with two marks joined if they are the halves of a broken digit."""
    found: list[Mark] = []
    for digit in sorted(digits, key=lambda mark: mark.top):
        place = next((place for place, other in enumerate(found) if are_halves(other, digit, tall)), None)
        if place is None:
            found.append(digit)
        else:
            found[place] = joined((found[place], digit))
    return found


def are_halves(one: Mark, other: Mark, tall: int) -> bool:
    """Return True if two marks are halves of one broken digit: above each other, or beside each other and very near."""
    both = joined((one, other))
    aside, above = gap(one.left, one.right, other.left, other.right), gap(one.top, one.bottom, other.top, other.bottom)
    if above < 0 and abs(aside) <= BESIDE * tall:
        return both.width <= SLIM * both.height
    if -aside <= OVERLAP * min(one.width, other.width) or above > CLOSE * tall:
        return False
    low = min(one.height, other.height) < SHORTER * tall and both.height <= TALLEST * tall
    flat = all(mark.height <= FLAT * mark.width for mark in (one, other)) and both.width <= TALLEST * both.height
    return low or (flat and above <= TOUCHING * tall)


def in_lines(digits: Sequence[Mark]) -> list[list[Mark]]:
    """Return the digits as lines of writing. A line may slope: each digit is compared with the last two of a line."""
    lines: list[list[Mark]] = []
    for digit in sorted(digits, key=lambda mark: mark.left + mark.right):
        shares = [shared_height(line[-2:], digit) for line in lines]
        if shares and max(shares) >= SAME_LINE:
            lines[int(np.argmax(shares))].append(digit)
        else:
            lines.append([digit])
    return sorted(lines, key=lambda line: sum(digit.top + digit.bottom for digit in line) / len(line))


def shared_height(line: Sequence[Mark], digit: Mark) -> float:
    """Return the rows that a digit shares with the end of a line, as a fraction of the lower of the two."""
    top, bottom = (sum(rows) / len(line) for rows in zip(*((mark.top, mark.bottom) for mark in line), strict=True))
    return float(-gap(top, bottom, digit.top, digit.bottom) / min(bottom - top, digit.height))


def gap(start: float, end: float, other_start: float, other_end: float) -> float:
    """Return the distance between two intervals. A negative distance is the length that both share."""
    return max(start, other_start) - min(end, other_end)


def joined(marks: Iterable[Mark]) -> Mark:
    """Return one mark that holds the pieces of all."""
    pieces, areas, tops, bottoms, lefts, rights = zip(*marks, strict=True)
    return Mark(sum(pieces, ()), sum(areas), min(tops), max(bottoms), min(lefts), max(rights))
