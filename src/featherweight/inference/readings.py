"""Several readings of one picture: ways to find the ink and to draw it. Needs only numpy and Pillow.

No way is right for all pictures. A frame line makes the border dark. Thin soft strokes break at a high threshold. Thick
strokes that are thinned close their loops. answering.py lets the network decide between the readings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

from PIL import Image

from featherweight.errors import PictureError
from featherweight.inference.ink import Floats, ink_on_level_ground, ink_under_light
from featherweight.inference.picture import (
    AS_IT_IS,
    INK,
    Prepared,
    around_the_largest,
    as_grey,
    cut_out,
    finished,
    look_closely,
    prepare,
    to_canvas,
)
from featherweight.inference.strokes import Mask
from featherweight.specification import PictureSpecification

FAINT = 0.4             # threshold of ink on level ground: thin soft strokes stay whole

Drawing = tuple[Floats, Mask]       # ink (H, W), and the pixels that belong to the digit


def likely_readings(picture: Image.Image, specification: PictureSpecification) -> list[Prepared]:
    """Return the two readings that nearly all pictures need, the usual one first.

    Of a picture that needs no search for ink, return one reading. Raises PictureError if the picture is blank.
    """
    first = prepare(picture, specification)
    if first.way == AS_IT_IS:
        return [first]
    return [first, *drawings(picture, specification, first, [("one ground level, as drawn", level, False)])]


def further_readings(
    picture: Image.Image, specification: PictureSpecification, first: Prepared
) -> list[Prepared]:
    """Return readings for a picture about which the network is unsure. first: the usual reading."""
    return list(drawings(picture, specification, first, [
        ("as drawn", usual, False),
        ("one ground level, even strokes", level, True),
        ("local light, even strokes", local, True),
        ("local light, as drawn", local, False),
    ]))


def drawings(
    picture: Image.Image, specification: PictureSpecification, first: Prepared,
    ways: list[tuple[str, Callable[[Image.Image], Drawing], bool]],
) -> Iterator[Prepared]:
    """Yield a reading for each (name, function that finds the ink, even strokes). Leave out a way that finds no ink."""
    found: dict[Callable[[Image.Image], Drawing], Drawing] = {}
    for name, find, even in ways:
        with suppress(PictureError):
            if find not in found:
                found[find] = find(picture)
            ink = cut_out(*found[find])
            canvas = to_canvas(ink, specification, even=even)
            yield replace(first, ink=as_grey(ink), pixels=finished(canvas, specification), way=name)


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
