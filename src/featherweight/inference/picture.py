"""Any picture that a person has -> the image that the network was trained on. numpy and Pillow only.

The story of handwriting: ink is told from paper (ink.py), freed of dirt and cut out, drawn finer, its strokes brought
near those of MNIST (strokes.py), fitted into a box keeping its shape, centred by its mass, and perhaps stood upright.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featherweight.errors import PictureError
from featherweight.inference.ink import Floats, border, find_ink
from featherweight.inference.reading import read_picture
from featherweight.inference.strokes import Mask, Pieces, label_pieces, stroke_width, thicken, thin
from featherweight.specification import PictureSpecification
from featherweight.upright import upright

__all__ = ["Prepared", "prepare", "prepare_many", "read_picture"]

Grey = NDArray[np.uint8]
INK = 0.5                       # what counts as ink
WORKING = 300                   # pixels of the longer side in which ink is sought
NEAR = 80                       # pixels: ink that is smaller there is looked at again from nearer
FINE = 6                        # pixels of finely drawn ink for one of the finished image
INSIDE = 0.25                   # of the largest piece's area: what is as large and touches no border is the drawing
OVERLAP = 0.5                   # of the narrower one's columns: pieces that share more are one digit
WIDE = 1.5                      # times its height: wider ink in several groups is several digits
MOST_PIECES = 60                # of one picture, so many digits in pieces; more is grain
DIRT = 0.04                     # of the largest piece's area: smaller pieces are no ink


@dataclass(frozen=True)
class Prepared:
    """A picture on its way to the network: as it came, the ink that was found in it, and the pixels that go in."""

    original: Image.Image
    ink: Grey               # (H, W), light on black, cut out, before it is fitted and centred
    pixels: Grey            # (C, size, size)
    digits: int = 1         # how many drawings stand side by side; more than one where the ink is wide, too


def prepare(picture: Image.Image, specification: PictureSpecification) -> Prepared:
    """What the network sees of a picture that read_picture gave. PictureError for a blank one."""
    if specification.kind == "plain":
        pixels = resize_plain(picture, specification.channels, specification.size)
        return Prepared(picture, np.asarray(picture.convert("L")), pixels)
    if (own := as_trained(picture, specification)) is not None:
        return Prepared(picture, own, finished(own, specification))
    ink, pieces = look_closely(picture)
    top, bottom, left, right = box_of(pieces > 0)
    digits = len(side_by_side(pieces)) if right - left > WIDE * (bottom - top) else 1
    ink = cut_out(ink, pieces > 0 if digits > 1 else around_the_largest(pieces))
    return Prepared(picture, as_grey(ink), finished(draw(ink, specification), specification), digits)


def prepare_many(picture: Image.Image, specification: PictureSpecification) -> list[Prepared]:
    """What the network sees of each digit in a picture, from left to right: pieces above each other are one digit."""
    if specification.kind == "plain":
        return [prepare(picture, specification)]
    ink, pieces = look_closely(picture)
    found = []
    for group in side_by_side(pieces):
        one = cut_out(ink, np.isin(pieces, group))
        found.append(Prepared(picture, as_grey(one), finished(draw(one, specification), specification)))
    return found


def side_by_side(pieces: Pieces) -> list[list[int]]:
    """The pieces in groups whose columns overlap by more than half of the narrower one's, from left to right."""
    spans = []
    for piece in np.unique(pieces[pieces > 0]).tolist():
        columns = np.flatnonzero((pieces == piece).any(axis=0)).tolist()
        spans.append((columns[0], columns[-1], piece))
    groups: list[tuple[list[int], int, int]] = []
    for left, right, piece in sorted(spans):
        if groups:
            members, first, last = groups[-1]
            if min(last, right) - left + 1 > OVERLAP * (min(last - first, right - left) + 1):
                groups[-1] = ([*members, piece], first, max(last, right))
                continue
        groups.append(([piece], left, right))
    return [members for members, _, _ in groups]


def around_the_largest(pieces: Pieces) -> Mask:
    """The largest piece and those that are nearer to it than half its longer side: the strokes of one digit."""
    areas = np.bincount(pieces.ravel())
    areas[0] = 0
    top, bottom, left, right = box_of(pieces == areas.argmax())
    reach = max(bottom - top, right - left) // 2
    around = pieces[max(0, top - reach) : bottom + reach, max(0, left - reach) : right + reach]
    near = np.bincount(around.ravel(), minlength=len(areas)) > 0
    return (near & (areas > 0))[pieces]


def look_closely(picture: Image.Image) -> tuple[Floats, Pieces]:
    """The ink of a picture and its pieces, looked at again from nearer where it holds only a small mark."""
    while True:
        working = picture
        if max(picture.size) > WORKING:
            working = picture.copy()
            working.thumbnail((WORKING, WORKING), Image.Resampling.BICUBIC)
        ink = find_ink(working)
        if ink is None or not (ink > INK).any():
            raise PictureError("the picture is blank: no ink stands out from its ground.")
        pieces = main_pieces(ink > INK)
        if (specks := len(np.flatnonzero(np.bincount(pieces.ravel()))) - 1) > MOST_PIECES:
            raise PictureError(f"the picture shows no drawing: {specks} specks and no stroke.")
        top, bottom, left, right = box_of(pieces > 0)
        scale, longer = picture.width / working.width, max(bottom - top, right - left)
        if longer >= NEAR or scale <= 1:
            return ink, pieces
        room = longer / 2
        picture = picture.crop((
            max(0, round((left - room) * scale)), max(0, round((top - room) * scale)),
            min(picture.width, round((right + room) * scale)), min(picture.height, round((bottom + room) * scale)),
        ))


def main_pieces(mask: Mask) -> Pieces:
    """The pieces of a mask without dirt, far smaller than the largest, and without what reaches in from the border."""
    labels = label_pieces(mask)
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    inside = areas.copy()
    inside[border(labels)] = 0
    kept = inside if inside.max() > INSIDE * areas.max() else areas
    return np.where((kept > DIRT * kept.max())[labels], labels, 0)


def box_of(mask: Mask) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) around a mask, exclusive at bottom and right."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def cut_out(ink: Floats, mask: Mask) -> Floats:
    """The ink of some pieces, soft edges included, with a pixel around."""
    kept = thicken(mask, 1)[1:-1, 1:-1]
    top, bottom, left, right = box_of(kept)
    return np.pad(np.where(kept, ink, 0)[top:bottom, left:right], 1).astype(np.float32)


def draw(ink: Floats, specification: PictureSpecification) -> Grey:
    """Ink -> (size, size): finely drawn, strokes near those of MNIST, fitted into the box, centred by mass."""
    fine, longer = specification.box * FINE, max(ink.shape)
    hairline = stroke_width(ink > INK) * fine < 2 * longer      # would vanish where it is made smaller
    drawn = ink if hairline and longer > fine else fit(ink, fine)
    mask = cropped(with_stroke(cropped(drawn > INK * min(1.0, float(drawn.max()))), specification))
    fitted = fit(mask.astype(np.float32), specification.box)
    if specification.grain:
        coarse = specification.grain / specification.size
        fitted = fit(fit(fitted, round(max(fitted.shape) * coarse)), specification.box)
    return centre(fitted, specification.size)


def cropped(mask: Mask) -> Mask:
    """A mask without empty rows and columns around."""
    top, bottom, left, right = box_of(mask)
    return mask[top:bottom, left:right]


def with_stroke(mask: Mask, specification: PictureSpecification) -> Mask:
    """Strokes thinned or thickened to the range of widths that the network was trained on."""
    width, longer, box = stroke_width(mask), max(mask.shape), specification.box
    low, high = (limit * longer / box for limit in (specification.thinnest, specification.thickest))
    if width < low:     # the longer side grows with the stroke
        return thicken(mask, round((low - width) / 2 / (1 - specification.thinnest / box)))
    if width > high:
        thinned = thin(mask, round((width - high) / 2 / (1 - specification.thickest / box)))
        return thinned if thinned.any() else mask
    return mask


def fit(ink: Floats, longer: int) -> Floats:
    """Scale so that the longer side is so many pixels, keeping the shape."""
    height, width = ink.shape
    scale = longer / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    way = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(ink).resize(size, way))


def centre(ink: Floats, size: int) -> Grey:
    """Lay ink on a black square, its centre of mass in the pixel right below the middle, as MNIST's is."""
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
    """(size, size) -> (1, size, size), stood upright where the network knows no leaning ink."""
    return upright(drawn[None]) if specification.upright else drawn[None]


def as_grey(ink: Floats) -> Grey:
    """[0, 1] -> 0 to 255."""
    return (ink.clip(0, 1) * 255).round().astype(np.uint8)


def as_trained(picture: Image.Image, specification: PictureSpecification) -> Grey | None:
    """The picture itself where it is already as the data set has it: its size, on black, and filling the box."""
    if picture.size != (specification.size, specification.size):
        return None
    grey = np.asarray(picture.convert("L"))
    own = grey if np.median(border(grey)) < 128 else 255 - grey
    if not own.any():
        return None
    top, bottom, left, right = box_of(own > 0)
    return own if max(bottom - top, right - left) == specification.box else None


def resize_plain(picture: Image.Image, channels: int, size: int) -> Grey:
    """A picture as a folder data set reads it: (channels, size, size), resized and nothing else."""
    resized = picture.convert("L" if channels == 1 else "RGB").resize((size, size), Image.Resampling.BICUBIC)
    pixels = np.asarray(resized)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)
