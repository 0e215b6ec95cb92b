"""Find each digit on a page: remove the lines of forms, find lines of writing, split digits that touch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from featherweight.errors import PictureError
from featherweight.inference.boxes import without_boxes
from featherweight.inference.ink import INK, Floats, View, border, find_ink
from featherweight.inference.lines import Mark, lines_of, marks_of, typical_height
from featherweight.inference.strokes import Mask, Pieces, label_pieces
from featherweight.inference.touching import split

FAINT = 0.3             # the same for the lines of forms, which may be thinner than a pixel
AREA = 300 * 200        # pixels of the reduced picture, at least: a long row of digits keeps its details
ALONE = 1.2             # factor on the height of ink that is alone in its line: nothing shows how tall its digits are
SMALL = 36              # pixels: if a typical digit is lower, the search is repeated on a crop
CROPS = 3               # searches in one picture, at most
MOST = 150              # pieces in one picture; a picture with more shows grain, not writing
DIRT = 0.04             # fraction of a typical piece's area: smaller pieces are dirt


def find_digits(picture: Image.Image) -> tuple[Floats, list[Mask]]:
    """Return the ink of a picture (H, W) without form lines, and the mask of each digit (H, W) in reading order.

    Reading order: lines from top to bottom, each from left to right.
    Raises PictureError if the picture is blank or has too many pieces.
    """
    ink, pieces = look_over(picture)
    found: list[Mask] = []
    for line in lines_of(pieces):
        tall = float(np.median([digit.height for digit in line])) * (ALONE if len(line) == 1 else 1)
        for digit in line:
            found += split(np.isin(pieces, digit.pieces), tall)
    return ink, found


def look_over(picture: Image.Image) -> tuple[Floats, Pieces]:
    """Return the ink of a picture without form lines, and its pieces without dirt. Small writing is looked at closely.

    Raises PictureError if the picture is blank or has too many pieces.
    """
    view = View(picture, AREA)
    for turn in range(CROPS):
        found = find_ink(view)
        if found is None or not (found > INK).any():
            raise PictureError("the picture is blank: no ink stands out from its ground.")
        ink, mask = without_form(found)
        pieces = without_dirt(label_pieces(mask))
        marks = marks_of(pieces)
        if len(marks) > MOST:
            raise PictureError(f"the picture shows no drawing: {len(marks)} specks and no stroke.")
        if turn + 1 == CROPS or typical_height(marks) >= SMALL or view.scale <= 1:
            break
        nearer = around(view, marks)
        if area_of(nearer) > 0.6 * area_of(view):
            break
        view = nearer
    return np.where((ink > INK) & (pieces == 0), 0, ink).astype(np.float32), pieces


def without_form(ink: Floats) -> tuple[Floats, Mask]:
    """Return ink, and its mask without the lines of forms.

    If a form's line lies on the edge of the picture, the paper was taken for ink, and both are exchanged.
    """
    mask = ink > INK
    if mask.mean() > 0.5:
        cleared = without_boxes(~mask, ink < 1 - FAINT)
        if (cleared == mask).any():
            return 1 - ink, cleared
    return ink, without_boxes(mask, ink > FAINT)


def around(view: View, marks: Sequence[Mark]) -> View:
    """Return the view of the part around the marks, with a margin of a digit's height."""
    box = (min(mark.top for mark in marks), max(mark.bottom for mark in marks),
           min(mark.left for mark in marks), max(mark.right for mark in marks))
    return view.around(box, typical_height(marks))


def area_of(view: View) -> int:
    """The pixels of a view's picture."""
    return view.picture.width * view.picture.height


def without_dirt(pieces: Pieces) -> Pieces:
    """Return the pieces that can be digits or parts of digits.

    Dirt: pieces far smaller than a typical one, and pieces at the border unless their height is that of a digit.
    """
    marks = marks_of(pieces)
    at_border = set(np.unique(border(pieces)).tolist())
    inside = [mark for mark in marks if mark.pieces[0] not in at_border]
    if sum(mark.area for mark in inside) < 0.25 * max(mark.area for mark in marks):
        inside = marks
    tall = typical_height(inside)
    areas = sorted(mark.area for mark in inside)
    half = np.searchsorted(np.cumsum(areas), sum(areas) / 2)
    kept = [mark.pieces[0] for mark in marks if mark.area > DIRT * areas[half] and (
        mark in inside or (0.6 * tall <= mark.height <= 1.6 * tall and mark.width <= 2 * mark.height))]
    return np.where(np.isin(pieces, kept), pieces, 0)
