"""Convert any picture to an image like those that the network was trained on. Needs only numpy and Pillow.

Steps for handwriting:
  1. Separate the ink from the paper (ink.py).
  2. Remove dirt and crop the ink.
  3. Enlarge the ink and bring its stroke width near that of MNIST (strokes.py).
  4. Fit the ink into a box without changing its proportions.
  5. Centre the ink by its centre of mass.
  6. Remove the slant, if the network was trained on images without slant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featherweight.errors import PictureError
from featherweight.inference.ink import INK, Floats, View, border, find_ink
from featherweight.inference.lines import lines_of
from featherweight.inference.many import find_digits
from featherweight.inference.reading import read_picture
from featherweight.inference.strokes import Mask, Pieces, label_pieces, padded, stroke_width, thicken, thin
from featherweight.picture_files import squared
from featherweight.specification import PictureSpecification
from featherweight.upright import upright

__all__ = ["Prepared", "prepare", "prepare_many", "read_picture"]

Grey = NDArray[np.uint8]
EDGE = 0.25                     # fraction of the darkest ink: paler pixels outside a soft drawing are cut off
NEAR = 80                       # pixels: if the ink is smaller than this there, the search is repeated on a crop
FINE = 6                        # pixels of enlarged ink for one pixel of the finished image
INSIDE = 0.25                   # fraction of the largest area: a larger piece inside excludes those at the border
WIDE = 1.5                      # width / height: wider ink in several groups counts as several digits
MOST_PIECES = 60                # pieces in one picture; a picture with more shows grain, not a drawing
DIRT = 0.04                     # fraction of the largest piece's area: smaller pieces are dirt


AS_IT_IS = "as it is"           # way of a picture in which no ink was searched


@dataclass(frozen=True)
class Prepared:
    """A picture prepared for the network: the original, the ink found in it, and the input pixels.

    way: how the ink was found and drawn. readings: number of ways that the network was asked about.
    agreeing: number of readings with the same answer.
    """

    original: Image.Image
    ink: Grey               # (H, W), light on black, cropped, before fitting and centring
    pixels: Grey            # (C, size, size), the input of the network
    digits: int = 1         # drawings side by side; more than 1 only if the ink is also wide
    way: str = "even strokes"
    readings: int = 1
    agreeing: int = 1


@dataclass(frozen=True)
class Found:
    """The ink (H, W) that one search found in a picture, and its pieces. Both are cut to the pieces, with a margin."""

    ink: Floats
    pieces: Pieces

    @cached_property
    def digit(self) -> Floats:
        """The ink of one digit, cropped."""
        return cut_out(self.ink, around_the_largest(self.pieces))


def prepare(picture: Image.Image, specification: PictureSpecification) -> Prepared:
    """Prepare a picture from `read_picture` as one image. Raises PictureError if the picture is blank."""
    return without_search(picture, specification) or drawn(picture, look_closely(View(picture)), specification)


def without_search(picture: Image.Image, specification: PictureSpecification) -> Prepared | None:
    """Prepare a picture in which no ink is searched. Return None if its ink must be found."""
    if specification.kind == "plain":
        pixels = resize_plain(picture, specification)
        return Prepared(picture, np.asarray(picture.convert("L")), pixels, way=AS_IT_IS)
    if (own := as_trained(picture, specification)) is not None:
        return Prepared(picture, own, finished(own, specification), way=AS_IT_IS)
    return None


def drawn(picture: Image.Image, found: Found, specification: PictureSpecification) -> Prepared:
    """Prepare a picture whose ink is found, with strokes as wide as those of MNIST. Count the digits in wide ink."""
    top, bottom, left, right = box_of(found.pieces > 0)
    digits = sum(map(len, lines_of(found.pieces))) if right - left > WIDE * (bottom - top) else 1
    ink = found.digit if digits == 1 else cut_out(found.ink, found.pieces > 0)
    return Prepared(picture, as_grey(ink), finished(to_canvas(ink, specification), specification), digits)


def prepare_many(picture: Image.Image, specification: PictureSpecification) -> list[Prepared]:
    """Prepare each digit in a picture as an image, line by line from the top, each line from left to right."""
    if specification.kind == "plain":
        return [prepare(picture, specification)]
    ink, digits = find_digits(picture)
    other, found = np.where(np.logical_or.reduce(digits), 0, ink).astype(np.float32), []
    for digit in digits:
        near = with_margin(box_of(digit))
        one = cut_out(np.where(digit[near], ink[near], other[near]), digit[near])
        found.append(Prepared(picture, as_grey(one), finished(to_canvas(one, specification), specification)))
    return found


def around_the_largest(pieces: Pieces) -> Mask:
    """Return the mask of one digit: the largest piece, and all pieces within half its longer side."""
    areas = areas_of(pieces)
    if np.count_nonzero(areas) == 1:
        return pieces > 0
    top, bottom, left, right = box_of(pieces == areas.argmax())
    reach = max(bottom - top, right - left) // 2
    around = pieces[max(0, top - reach) : bottom + reach, max(0, left - reach) : right + reach]
    near = np.bincount(around.ravel(), minlength=len(areas)) > 0
    return (near & (areas > 0))[pieces]


def look_closely(view: View, find: Callable[[View], Floats | None] = find_ink, threshold: float = INK) -> Found:
    """Return the ink of a picture and its pieces. If the ink is small, repeat on a crop around it.

    find: function that returns the ink of a view, (H, W). threshold: a pixel with more ink belongs to a piece.
    Raises PictureError if the picture is blank or has too many pieces.
    """
    while True:
        ink = find(view)
        if ink is None or not (mask := ink > threshold).any():
            raise PictureError("the picture is blank: no ink stands out from its ground.")
        pieces = main_pieces(mask)
        box = top, bottom, left, right = box_of(pieces > 0)
        near = with_margin(box)
        if (specks := np.count_nonzero(areas_of(pieces[near]))) > MOST_PIECES:
            raise PictureError(f"the picture shows no drawing: {specks} specks and no stroke.")
        longer = max(bottom - top, right - left)
        if longer >= NEAR or view.scale <= 1:
            return Found(ink[near], pieces[near])
        view = view.around(box, longer / 2)


def main_pieces(mask: Mask) -> Pieces:
    """Return the pieces of a mask without dirt and without pieces that touch the border.

    Dirt: pieces far smaller than the largest. Pieces at the border stay if no large piece lies inside.
    """
    labels = label_pieces(mask)
    areas = areas_of(labels)
    inside = areas.copy()
    inside[border(labels)] = 0
    kept = inside if inside.max() > INSIDE * areas.max() else areas
    numbers: Pieces = np.arange(len(areas), dtype=np.int32) * (kept > DIRT * kept.max())
    left: Pieces = numbers[labels]
    return left


def areas_of(pieces: Pieces) -> NDArray[np.int64]:
    """Return the number of pixels of each piece, by number. That of the background (0) is given as 0."""
    areas = np.bincount(pieces.ravel())
    areas[0] = 0
    return areas


def box_of(mask: Mask) -> tuple[int, int, int, int]:
    """Return the bounding box of a mask: (top, bottom, left, right), exclusive at bottom and right."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def with_margin(box: tuple[int, int, int, int]) -> tuple[slice, slice]:
    """Return the rows and columns of a bounding box with a pixel more on each side, as indices of an array."""
    top, bottom, left, right = box
    return slice(max(0, top - 1), bottom + 1), slice(max(0, left - 1), right + 1)


def cut_out(ink: Floats, mask: Mask) -> Floats:
    """Return the ink under a mask, cropped, with its soft edges and an empty margin of one pixel."""
    kept = thicken(mask, 1)[1:-1, 1:-1]
    top, bottom, left, right = box_of(kept)
    return padded(np.where(kept, ink, 0)[top:bottom, left:right].astype(np.float32, copy=False), 1)


def to_canvas(ink: Floats, specification: PictureSpecification, *, even: bool = True) -> Grey:
    """Return ink as an image (size, size), fitted into the box and centred by its centre of mass.

    even: bring the strokes to the width of those of MNIST, or else leave them as they are.
    """
    return centre(fitted(even_strokes(ink, specification) if even else soft(ink), specification), specification.size)


def even_strokes(ink: Floats, specification: PictureSpecification) -> Floats:
    """Return ink enlarged, with strokes of a width near that of MNIST, cropped."""
    fine, longer = specification.box * FINE, max(ink.shape)
    hairline = stroke_width(ink > INK) * fine < 2 * longer      # so thin that it would vanish if reduced
    drawn = ink if hairline and longer > fine else fit(ink, fine)
    mask = cropped(with_stroke(cropped(drawn > INK * min(1.0, float(drawn.max()))), specification))
    return mask.astype(np.float32)


def soft(ink: Floats) -> Floats:
    """Return ink with its soft edges, cropped."""
    top, bottom, left, right = box_of(ink > EDGE * ink.max())
    return np.ascontiguousarray(ink[top:bottom, left:right])


def fitted(drawn: Floats, specification: PictureSpecification) -> Floats:
    """Return a drawing whose longer side is that of the box, as coarse as the training images."""
    image = scaled(Image.fromarray(drawn), specification.box)
    if specification.grain:
        coarse = specification.grain / specification.size
        image = scaled(scaled(image, round(max(image.size) * coarse)), specification.box)
    return np.asarray(image)


def cropped(mask: Mask) -> Mask:
    """Return a mask without its empty outer rows and columns."""
    top, bottom, left, right = box_of(mask)
    return mask[top:bottom, left:right]


def with_stroke(mask: Mask, specification: PictureSpecification) -> Mask:
    """Return a mask whose strokes are thinned or thickened to the range of widths in the training images."""
    width, longer, box = stroke_width(mask), max(mask.shape), specification.box
    low, high = (limit * longer / box for limit in (specification.thinnest, specification.thickest))
    if width < low:     # thickening also lengthens the longer side, hence the divisor
        return thicken(mask, round((low - width) / 2 / (1 - specification.thinnest / box)))
    if width > high:
        thinned = thin(mask, round((width - high) / 2 / (1 - specification.thickest / box)))
        return thinned if thinned.any() else mask
    return mask


def fit(ink: Floats, longer: int) -> Floats:
    """Return ink scaled so that its longer side has `longer` pixels."""
    return np.asarray(scaled(Image.fromarray(ink), longer))


def scaled(image: Image.Image, longer: int) -> Image.Image:
    """Return an image scaled so that its longer side has `longer` pixels. The proportions stay the same."""
    scale = longer / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC)


def centre(ink: Floats, size: int) -> Grey:
    """Return ink on a black square (size, size), centred by its centre of mass as in MNIST.

    The centre of mass lies in the pixel to the lower right of the middle of the square.
    """
    height, width = ink.shape
    ink = ink.clip(0, 1)
    row = (ink.sum(axis=1) * (np.arange(height) + 0.5)).sum() / ink.sum()
    column = (ink.sum(axis=0) * (np.arange(width) + 0.5)).sum() / ink.sum()
    top = int(np.clip(size // 2 - np.floor(row), 0, size - height))
    left = int(np.clip(size // 2 - np.floor(column), 0, size - width))
    square = np.zeros((size, size), np.uint8)
    square[top : top + height, left : left + width] = as_grey(ink)
    return square


def finished(drawn: Grey, specification: PictureSpecification) -> Grey:
    """Return an image (size, size) as (1, size, size), without slant if the specification says upright."""
    return upright(drawn[None]) if specification.upright else drawn[None]


def as_grey(ink: Floats) -> Grey:
    """Return ink in [0, 1] as bytes 0 to 255."""
    return (ink.clip(0, 1) * 255).round().astype(np.uint8)


def as_trained(picture: Image.Image, specification: PictureSpecification) -> Grey | None:
    """Return the picture as (size, size), light on black, if it already looks like a training image. Else None.

    Conditions: the right size, and ink whose longer side equals the box.
    """
    if picture.size != (specification.size, specification.size):
        return None
    grey = np.asarray(picture.convert("L"))
    own = grey if np.median(border(grey)) < 128 else 255 - grey
    if not own.any():
        return None
    top, bottom, left, right = box_of(own > 0)
    return own if max(bottom - top, right - left) == specification.box else None


def resize_plain(picture: Image.Image, specification: PictureSpecification) -> Grey:
    """Return a picture resized to (channels, size, size) without further changes, as a folder data set reads it."""
    grey = specification.channels == 1
    pixels = np.asarray(squared(picture.convert("L" if grey else "RGB"), specification.size, specification.fit))
    return pixels[None] if grey else pixels.transpose(2, 0, 1)
