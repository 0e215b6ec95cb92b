"""Remove the lines of forms from a mask of ink: boxes, tables, frames, squared paper. Needs only numpy.

Method: long straight runs of ink are candidates. They count as lines if they close boxes that hold other ink,
or if they are far longer than digits are tall. Strokes that cross a line are bridged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featherweight.inference.lines import marks_of, typical_height
from featherweight.inference.strokes import Mask, label_pieces, shifted, thicken

LEAST = 0.1         # length of a candidate, at least, as a fraction of the root of the picture's area
THIN = 0.5          # thickness of a line, at most, as a fraction of the shortest length
SLOPE = 0.08        # rows per column that a line may rise or fall
STRAIGHT = 2.5      # rows that a line may be off its straight course
STEP = 15           # columns after which a line that is followed may shift by a row
BARE = 0.3          # fraction of a line's columns, at least, in which no other ink makes it thicker
NEAR = 2            # pixels: ink at most twice as far apart belongs to one form, because thin lines have gaps
SMOOTH = 15         # columns on each side over which the course of a line is smoothed
SLIM = 7            # times its thickness: length of the side of a box, at least
CORNER = 0.04       # fraction of a side that a round corner may take
SHORT = 0.6         # fraction of the longest line of a form in the same direction: shorter ones are strokes
THICK = 1.8         # times the median thickness of a form's lines: thicker ones are strokes
CONTENT = 0.12      # fraction of the shortest upright line: height of the ink in a box, at least
LONG = 2.5          # times the typical height of the digits: longer lines need no box
SPAN = 0.5          # fraction of the picture's side: the same


class Line(NamedTuple):
    """A nearly horizontal line. In a transposed mask, the same describes an upright line."""

    start: int                      # first column
    courses: NDArray[np.int64]      # row of its middle in each column
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


def without_boxes(mask: Mask, faint: Mask) -> Mask:
    """Return a mask (H, W) without the lines of forms. A mask without such lines is returned unchanged.

    faint: a mask with a lower threshold, in which thin lines have no gaps.
    """
    forms = label_pieces(thicken(faint, NEAR)[NEAR:-NEAR, NEAR:-NEAR])
    least = max(8, round(LEAST * mask.size**0.5))
    across, down = straight_lines(faint, forms, least), straight_lines(faint.T, forms.T, least)
    if not across and not down:
        return mask
    rows, columns = closed(across, down, mask.shape)
    rows, columns = with_content(mask, rows, columns)
    cleared = erased(mask, rows, columns)
    more = [[line for line in lines if is_long(line, forms, side) and not any(line is one for one in taken)]
            for lines, taken, forms, side in ((across, rows, forms, mask.shape[1]), (down, columns, forms.T, mask.shape[0]))]
    if any(more):
        tall = typical_height(marks_of(label_pieces(erased(cleared, *more))))
        cleared = erased(cleared, *([line for line in lines if 4 * line.thickness <= tall <= line.length / LONG]
                                    for lines in more))
    return cleared


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
        line = Line(mark.left, mark.top + course(own), thickness_of(own), form)
        if np.ptp(line.courses) <= 2 + SLOPE * mark.width and not any(holds(other, line) for other in found):
            found.append(extended(line, mask))
    return found


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


def course(own: Mask) -> NDArray[np.int64]:
    """Return the row of a line's middle in each column, (W,): the running median of the mean rows.

    Columns in which the line is much thicker or off its straight course hold other ink too and do not count.
    """
    counts = own.sum(axis=0)
    alone = np.flatnonzero((counts > 0) & (counts <= 1.5 * thickness_of(own) + 1))
    means = (own * np.arange(len(own))[:, None]).sum(axis=0)[alone] / counts[alone]
    slope = slope_of(alone, means)
    level = means - slope * alone
    near = np.abs(level - np.median(level)) <= STRAIGHT
    rows = np.pad(np.interp(np.arange(len(counts)), alone[near], means[near]), SMOOTH, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(rows, 2 * SMOOTH + 1), axis=1).round().astype(np.int64)


def slope_of(columns: NDArray[np.int64], rows: NDArray[np.float64] | NDArray[np.int64]) -> float:
    """Return the rows per column by which a line falls: the slope between the medians of its halves."""
    half = len(rows) // 2
    if half == 0:
        return 0.0
    return float((np.median(rows[-half:]) - np.median(rows[:half]))
                 / (np.median(columns[-half:]) - np.median(columns[:half])))


def closed(across: Sequence[Line], down: Sequence[Line], shape: tuple[int, ...]) -> tuple[list[Line], list[Line]]:
    """Return the lines that close boxes: each meets two lines of the other direction far apart.

    The edges of the picture, of `shape` (H, W), count as lines. Lines far shorter than others of their form are left out.
    """
    rows, columns = not_thick(across), not_thick(down)
    while True:
        kept = ([line for line in rows if is_held(line, columns, shape[1]) and not is_short(line, rows)],
                [line for line in columns if is_held(line, rows, shape[0]) and not is_short(line, columns)])
        if not kept[0] or not kept[1]:
            return [], []
        if len(kept[0]) == len(rows) and len(kept[1]) == len(columns):
            return kept
        rows, columns = kept


def is_long(line: Line, forms: NDArray[np.int32], side: int) -> bool:
    """Return True if a line reaches from edge to edge, or spans half the picture and far more than its form is tall."""
    if line.start <= 2 and line.end >= side - 2:
        return True
    rows = np.flatnonzero((forms == line.form).any(axis=1))
    return line.length >= max(SPAN * side, LONG * (np.ptp(rows) + 1))


def is_held(line: Line, others: Sequence[Line], side: int) -> bool:
    """Return True if a line meets two of the others, or one and an edge of the picture, far apart."""
    room = 2 + line.thickness / 2 + CORNER * line.length
    met = [middle for other in others if other.form == line.form
           for middle in [other.at(line.at((line.start + line.end) / 2))]
           if line.start - room <= middle <= line.end + room
           and other.start - room <= line.at(middle) <= other.end + room]
    edges = [edge for edge, far in ((0, line.start), (side, side - line.end)) if far <= 2]
    return bool(met) and max(met + edges) - min(met + edges) >= 0.5 * line.length


def not_thick(lines: Sequence[Line]) -> list[Line]:
    """Return the lines without those that are far thicker than others of their form, or thick for their length."""
    usual = {form: np.median(np.concatenate([np.full(line.length, line.thickness) for line in lines
                                             if line.form == form])) for form in {line.form for line in lines}}
    return [line for line in lines
            if line.thickness <= THICK * usual[line.form] + 1 and line.length >= SLIM * line.thickness]


def is_short(line: Line, lines: Sequence[Line]) -> bool:
    """Return True if a line is far shorter than the longest of its form."""
    return line.length < SHORT * max(other.length for other in lines if other.form == line.form)


def with_content(mask: Mask, rows: Sequence[Line], columns: Sequence[Line]) -> tuple[list[Line], list[Line]]:
    """Return the lines of forms that hold other ink, and of empty forms that are as tall. A square 0 holds no ink."""
    cleared = erased(mask, rows, columns)
    heights = {line.form: 0 for line in columns}
    for line in columns:
        heights[line.form] = max(heights[line.form], line.length)
    full = [form for form in heights if holds_ink(cleared, form, rows, columns)]
    kept = {form for form, height in heights.items()
            if any(0.8 * heights[one] <= height <= 1.25 * heights[one] for one in full)}
    return [line for line in rows if line.form in kept], [line for line in columns if line.form in kept]


def holds_ink(cleared: Mask, form: int, rows: Sequence[Line], columns: Sequence[Line]) -> bool:
    """Return True if ink as tall as a digit is left between the lines of a form."""
    own = [line for line in rows if line.form == form], [line for line in columns if line.form == form]
    if not own[0]:
        return False
    top, bottom = min(line.courses.min() for line in own[0]), max(line.courses.max() for line in own[0])
    left, right = min(line.courses.min() for line in own[1]), max(line.courses.max() for line in own[1])
    inside = cleared[top:bottom, left:right]
    least = max(CONTENT * min(line.length for line in own[1]), 4 * max(line.thickness for line in own[0]))
    return any(mark.height >= least for mark in marks_of(label_pieces(inside)))


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
