"""Remove the lines of forms from a mask of ink: boxes, tables, frames, squared paper. Needs only numpy.

Long straight lines (rulings.py) are removed if they close boxes that hold other ink. Lines that are far longer than
digits are tall are removed too. many.py uses this file.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from featherweight.inference.lines import marks_of, typical_height
from featherweight.inference.rulings import Line, erased, straight_lines
from featherweight.inference.strokes import Mask, label_pieces, thicken

LEAST = 0.1         # length of a candidate, at least, as a fraction of the root of the picture's area
NEAR = 2            # pixels: ink at most twice as far apart belongs to one form, because thin lines have gaps
SLIM = 7            # times its thickness: length of the side of a box, at least
SHORT = 0.6         # fraction of the longest line of a form in the same direction: shorter ones are strokes
THICK = 1.8         # times the median thickness of a form's lines: thicker ones are strokes
CONTENT = 0.12      # fraction of the shortest upright line: height of the ink in a box, at least
LONG = 2.5          # times the typical height of the digits: longer lines need no box
SPAN = 0.5          # fraction of the picture's side: the same


def without_boxes(mask: Mask, faint: Mask) -> Mask:
    """Return a mask (H, W) without the lines of forms. A mask without such lines is returned unchanged.

    faint: a mask with a lower threshold, in which thin lines have no gaps.
    """
    forms = label_pieces(thicken(faint, NEAR)[NEAR:-NEAR, NEAR:-NEAR])
    least = max(8, round(LEAST * mask.size**0.5))
    across, down = straight_lines(faint, forms, least), straight_lines(faint.T, forms.T, least)
    if not across and not down:
        return mask
    rows, columns = closed(across, down, faint)
    rows, columns = with_content(mask, rows, columns)
    cleared = erased(mask, rows, columns)
    long = ([line for line in across if is_long(line, forms) and not is_among(line, rows)],
            [line for line in down if is_long(line, forms.T) and not is_among(line, columns)])
    if any(long):
        tall = typical_height(marks_of(label_pieces(erased(cleared, *long))))
        cleared = erased(cleared, *([line for line in lines if 4 * line.thickness <= tall <= line.length / LONG]
                                    for lines in long))
    return cleared


def closed(across: Sequence[Line], down: Sequence[Line], faint: Mask) -> tuple[list[Line], list[Line]]:
    """Return the lines that close boxes: each meets two lines of the other direction far apart.

    The edges of the picture count as lines. Lines far shorter than others of their form are not returned.
    faint: the mask (H, W) in which the lines were found.
    """
    rows, columns = not_thick(across), not_thick(down)
    while True:
        kept = ([line for line in rows if is_held(line, columns, faint) and not is_short(line, rows)],
                [line for line in columns if is_held(line, rows, faint.T) and not is_short(line, columns)])
        if not kept[0] or not kept[1]:
            return [], []
        if len(kept[0]) == len(rows) and len(kept[1]) == len(columns):
            return kept
        rows, columns = kept


def is_among(line: Line, lines: Sequence[Line]) -> bool:
    """Return True if this very line is among the lines."""
    return any(line is one for one in lines)


def is_long(line: Line, forms: NDArray[np.int32]) -> bool:
    """Return True if a line reaches from edge to edge, or spans half the picture and far more than its form is tall."""
    side = forms.shape[1]
    if line.start <= 2 and line.end >= side - 2:
        return True
    rows = np.flatnonzero((forms == line.form).any(axis=1))
    tall = int(rows[-1]) - int(rows[0]) + 1
    return bool(line.length >= max(SPAN * side, LONG * tall))


def is_held(line: Line, others: Sequence[Line], faint: Mask) -> bool:
    """Return True if a line meets two of the others, or one and an edge of the picture, far apart.

    Lines meet where there is ink. The straight sides of a round 0 do not: the corner between them is empty.
    """
    room, side = 2 + line.thickness / 2, faint.shape[1]
    met = []
    for other in others:
        column = other.at(line.at((line.start + line.end) / 2))
        row = line.at(column)
        if (other.form == line.form and line.start - room <= column <= line.end + room
                and other.start - room <= row <= other.end + room
                and faint[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].any()):
            met.append(column)
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
    longest = max(other.length for other in lines if other.form == line.form)
    return line.length < SHORT * longest


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
