"""Several readings of one picture: ways to find the ink and to draw it. Needs only numpy and Pillow.

No way is right for all pictures. A frame line makes the border dark. Thin soft strokes break at a high threshold. Thick
strokes that are thinned close their loops. answering.py lets the network decide between the readings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from PIL import Image

from featherweight.errors import PictureError
from featherweight.inference.ink import INK, Floats, has_even_ground, ink_on_level_ground, ink_under_light, thin_ink
from featherweight.inference.picture import (
    AS_IT_IS,
    Prepared,
    around_the_largest,
    as_grey,
    box_of,
    cut_out,
    finished,
    look_closely,
    main_pieces,
    prepare,
    to_canvas,
)
from featherweight.inference.strokes import Mask
from featherweight.inference.zoom import cut_around, reduced
from featherweight.specification import PictureSpecification

FAINT = 0.4             # threshold of ink on level ground: thin soft strokes stay whole

Drawing = tuple[Floats, Mask]       # ink (H, W), and the pixels that belong to the digit


def likely_readings(picture: Image.Image, specification: PictureSpecification) -> list[Prepared]:
    """Return the readings that nearly all pictures need: two if the ground is lit evenly, one on a photo.

    The usual reading is the first. Raises PictureError if the picture is blank.
    """
    first = prepare(picture, specification)
    if first.way == AS_IT_IS or not has_even_ground(reduced(picture)):
        return [first]
    return [first, *drawings(picture, specification, first, [LEVEL_AS_DRAWN])]


def further_readings(
    picture: Image.Image, specification: PictureSpecification, likely: Sequence[Prepared]
) -> list[Prepared]:
    """Return the other readings, for a picture about which the network is unsure. likely: the first readings."""
    done = {one.way for one in likely}
    return list(drawings(picture, specification, likely[0], [way for way in WAYS if way.name not in done]))


def drawings(
    picture: Image.Image, specification: PictureSpecification, first: Prepared, ways: Sequence[Way]
) -> Iterator[Prepared]:
    """Yield the reading of each way. Leave out a way that finds no ink."""
    found: dict[Callable[[Image.Image], Drawing], Drawing] = {}
    for way in ways:
        with suppress(PictureError):
            if way.find not in found:
                found[way.find] = way.find(picture)
            ink = cut_out(*found[way.find])
            canvas = to_canvas(ink, specification, even=way.even)
            yield replace(first, ink=as_grey(ink), pixels=finished(canvas, specification), way=way.name)


def usual(picture: Image.Image) -> Drawing:
    """Return the ink that prepare() finds, and the digit in it."""
    ink, pieces = look_closely(picture)
    return ink, around_the_largest(pieces)


def level(picture: Image.Image) -> Drawing:
    """Return what differs from the most frequent level of the ground, and the digit in it."""
    ink, pieces = look_closely(picture, ink_on_level_ground, FAINT)
    return ink, around_the_largest(pieces)


def local(picture: Image.Image) -> Drawing:
    """Return what differs from its surroundings, and the digit in it."""
    ink, pieces = look_closely(picture, ink_under_light, INK)
    return ink, around_the_largest(pieces)


def nearer(picture: Image.Image) -> Drawing:
    """Return the ink that prepare() finds around the largest mark of thin strokes: not the edge of a shadow."""
    working = reduced(picture)
    ink = thin_ink(working)
    if ink is None or not (ink > INK).any():
        raise PictureError("no thin stroke")
    box = top, bottom, left, right = box_of(around_the_largest(main_pieces(ink > INK)))
    return usual(cut_around(picture, box, max(bottom - top, right - left) / 2, picture.width / working.width))


class Way(NamedTuple):
    """A way to read a picture. find: function that finds the ink. even: strokes are brought to the width of MNIST's."""

    name: str
    find: Callable[[Image.Image], Drawing]
    even: bool


AS_DRAWN = Way("as drawn", usual, False)
LEVEL_AS_DRAWN = Way("one ground level, as drawn", level, False)
WAYS = (
    AS_DRAWN, LEVEL_AS_DRAWN, Way("one ground level, even strokes", level, True),
    Way("local light, even strokes", local, True), Way("local light, as drawn", local, False),
    Way("thin strokes alone", nearer, True),
)
