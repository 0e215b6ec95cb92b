"""Find long straight lines of ink in a mask, and erase lines. boxes.py uses this file. Needs only numpy.

All functions work on nearly horizontal lines. In a transposed mask, the same code works on upright lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featherweight.inference.lines import marks_of
from featherweight.inference.strokes import Mask, label_pieces, shifted

THIN = 0.5          # thickness of a line, at most, as a fraction of the shortest length
SMOOTH = 15         # columns on each side over which the course of a line is smoothed
STRAIGHT = 2.5      # rows that a line may be off its straight course
STEP = 15           # columns after which a line that is followed may shift by a row
BARE = 0.3          # fraction of a line's columns, at least, in which no other ink makes it thicker
SLOPE = 0.08        # rows per column that a line may rise or fall
BENT = 2, 0.01      # rows by which a line may be bent: a constant, and for each column

Rows = NDArray[np.int64]


class Line(NamedTuple):
    """A nearly horizontal line. In a transposed mask, the same describes an upright line."""

    start: int                      # first column
    courses: Rows                   # row of its middle in each column
    thickness: int                  # pixels
    form: int                       # number of the piece of ink that the line belongs to

    @property
    def end(self) -> int:
        return self.start + len(self.courses)

    @property
    def length(self) -> int:
        return len(self.courses)

    def at(self, column: float) -> int:
        """Row of the line's middle in the nearest of its columns."""
        return int(self.courses[min(max(round(column) - self.start, 0), self.length - 1)])


def straight_lines(mask: Mask, forms: NDArray[np.int32], least: int) -> list[Line]:
    """Return the nearly horizontal lines in a mask that are at least `least` pixels long and thin.

    Each run may step by a pixel up or down, so that a line may slope and be uneven.
    """
    near = mask | shifted(mask, 1, 0) | shifted(mask, -1, 0)
    flat = long_runs(near, least) & mask
    pieces = label_pieces(flat & ~long_runs(flat.T, round(THIN * least)).T)
    found: list[Line] = []
    for mark in sorted(marks_of(pieces), key=lambda mark: -mark.width):
        if mark.width < least:
            break
        own = pieces[mark.top : mark.bottom, mark.left : mark.right] == mark.pieces[0]
        row, column = np.argwhere(own)[0]
        form = int(forms[mark.top + row, mark.left + column])
        thickness = thickness_of(own)
        line = Line(mark.left, mark.top + course(own, thickness), thickness, form)
        if is_straight(line.courses) and not any(holds(other, line) for other in found):
            found.append(extended(line, mask))
    return found


def is_straight(courses: Rows) -> bool:
    """Return True if a line is nearly level and not bent. The top of an 8 is bent."""
    places = np.arange(len(courses))
    slope = slope_of(places, courses)
    return bool(abs(slope) <= SLOPE and np.ptp(courses - slope * places) <= BENT[0] + BENT[1] * len(courses))


def holds(line: Line, other: Line) -> bool:
    """Return True if the other line lies on a line, at most two pixels off."""
    middle = (other.start + other.end) / 2
    return line.start <= middle < line.end and abs(line.at(middle) - other.at(middle)) <= 2


def extended(line: Line, mask: Mask) -> Line:
    """Return a line continued at both ends as far as there is ink, for example through a digit."""
    before = followed(int(line.courses[0]), np.arange(line.start - 1, -1, -1), mask)
    after = followed(int(line.courses[-1]), np.arange(line.end, mask.shape[1]), mask)
    return line._replace(start=line.start - len(before), courses=np.array([*before[::-1], *line.courses, *after]))


def followed(row: int, columns: NDArray[np.int64], mask: Mask) -> list[int]:
    """Return the row of a line in each of the columns, up to the first without ink. A line may shift by steps of 1."""
    courses: list[int] = []
    for start in range(0, len(columns), STEP):
        part = columns[start : start + STEP]
        inks = [mask[min(max(row + off, 0), len(mask) - 1), part] for off in (0, -1, 1)]
        row += (0, -1, 1)[int(np.argmax([ink.sum() for ink in inks]))]
        length = int(np.argmin(np.append(np.logical_or.reduce(inks), False)))
        courses += [row] * length
        if length < len(part):
            break
    return courses


def long_runs(mask: Mask, least: int) -> Mask:
    """Return the pixels in horizontal runs of at least `least` pixels."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    long = ends - starts >= least
    steps = np.zeros((mask.shape[0], mask.shape[1] + 1), np.int8)
    steps[rows[long], starts[long]] += 1
    steps[rows[long], ends[long]] -= 1
    return steps.cumsum(axis=1)[:, :-1] > 0


def thickness_of(own: Mask) -> int:
    """Return the thickness of a line, cropped, in pixels. In some of its columns, other ink may make it thicker."""
    counts = own.sum(axis=0)
    return int(np.quantile(counts[counts > 0], BARE, method="nearest"))


def course(own: Mask, thickness: int) -> Rows:
    """Return the row of a line's middle in each column, (W,): the running median of the mean rows.

    Columns in which the line is much thicker or off its straight course hold other ink too and do not count.
    """
    counts = own.sum(axis=0)
    alone = np.flatnonzero((counts > 0) & (counts <= 1.5 * thickness + 1))
    means = (own * np.arange(len(own))[:, None]).sum(axis=0)[alone] / counts[alone]
    slope = slope_of(alone, means)
    level = means - slope * alone
    near = np.abs(level - np.median(level)) <= STRAIGHT
    rows = np.pad(np.interp(np.arange(len(counts)), alone[near], means[near]), SMOOTH, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(rows, 2 * SMOOTH + 1)
    middles: Rows = np.median(windows, axis=1).round().astype(np.int64)
    return middles


def slope_of(columns: NDArray[np.int64], rows: NDArray[np.float64] | NDArray[np.int64]) -> float:
    """Return the rows per column by which a line falls: the slope between the medians of its halves.

    columns: sorted.
    """
    half = len(rows) // 2
    if half == 0:
        return 0.0
    low, high = (half - 1) // 2, half // 2      # places of the median in a sorted half
    across = (columns[-half:] - columns[:half])[[low, high]].sum() / 2
    return float((np.median(rows[-half:]) - np.median(rows[:half])) / across)


def erased(mask: Mask, rows: Sequence[Line], columns: Sequence[Line]) -> Mask:
    """Return a mask without the horizontal lines `rows` and the upright lines `columns`."""
    mask = mask.copy()
    for line in rows:
        erase(mask, line)
    for line in columns:
        erase(mask.T, line)
    return mask


def erase(mask: Mask, line: Line) -> None:
    """Remove a nearly horizontal line from a mask in place. Ink that continues on both sides is bridged."""
    height, width = mask.shape
    columns = np.arange(max(0, line.start - line.thickness), min(width, line.end + line.thickness))
    middle = line.courses[(columns - line.start).clip(0, line.length - 1)]
    band = middle - (line.thickness - 1) // 2 - 2 + np.arange(line.thickness + 4)[:, None]     # with a row on each side
    inside = (band >= 0) & (band < height)
    ink = mask[band.clip(0, height - 1), columns] & inside
    kept = ink.copy()
    kept[1:-1] &= bridges(ink[0], ink[-1], len(ink) - 2)
    where = np.nonzero(inside)
    mask[band[where], columns[where[1]]] = kept[where]


def bridges(above: Mask, below: Mask, depth: int) -> Mask:
    """Return the pixels (depth, W) between runs of ink above and below a line that continue each other."""
    filled = np.zeros((depth, len(above)), bool)
    share = (np.arange(depth) + 1) / (depth + 1)
    for start, end in runs(above):
        for other_start, other_end in runs(below):
            if start - depth < other_end and other_start - depth < end:
                low, high = start + (other_start - start) * share, end + (other_end - end) * share
                places = np.arange(len(above))
                filled |= (places >= low.round()[:, None]) & (places < high.round()[:, None])
    return filled


def runs(mask: Mask) -> list[tuple[int, int]]:
    """Return the runs of a mask (W,): start and end, exclusive."""
    edges = np.diff(np.pad(mask, 1).astype(np.int8))
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))
