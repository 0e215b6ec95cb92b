"""Several readings of one picture: ways to find the ink and to draw it. Needs only numpy and Pillow.

No way is right for all pictures. A frame line makes the border dark. Thin soft strokes break at a high threshold. Thick
strokes that are thinned close their loops. answering.py lets the network decide between the readings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from featherweight.errors import PictureError
from featherweight.inference.ink import INK, View, ink_on_level_ground, ink_under_light, thin_ink
from featherweight.inference.picture import (
    Found,
    Prepared,
    around_the_largest,
    as_grey,
    box_of,
    drawn,
    finished,
    look_closely,
    main_pieces,
    to_canvas,
)
from featherweight.specification import PictureSpecification

FAINT = 0.4             # threshold of ink on level ground: thin soft strokes stay whole


def likely_readings(view: View, specification: PictureSpecification) -> list[Prepared]:
    """Return the readings that nearly all pictures need: two if the ground is lit evenly, one on a photo.

    The usual reading is the first. Raises PictureError if the picture is blank.
    """
    first = drawn(view.picture, view.once(look_closely), specification)
    return [first] if view.ground is None else [first, *drawings(view, specification, first, [LEVEL_AS_DRAWN])]


def further_readings(view: View, specification: PictureSpecification, likely: Sequence[Prepared]) -> list[Prepared]:
    """Return the other readings, for a picture about which the network is unsure. likely: the first readings."""
    done = {one.way for one in likely}
    return list(drawings(view, specification, likely[0], [way for way in WAYS if way.name not in done]))


def drawings(
    view: View, specification: PictureSpecification, first: Prepared, ways: Sequence[Way]
) -> Iterator[Prepared]:
    """Yield the reading of each way. Leave out a way that finds no ink. Ways with the same search share it."""
    for way in ways:
        with suppress(PictureError):
            ink = view.once(way.find).digit
            canvas = to_canvas(ink, specification, even=way.even)
            yield replace(first, ink=as_grey(ink), pixels=finished(canvas, specification), way=way.name)


def level(view: View) -> Found:
    """Return what differs from the most frequent level of the ground."""
    return look_closely(view, ink_on_level_ground, FAINT)


def local(view: View) -> Found:
    """Return what differs from its surroundings."""
    return look_closely(view, ink_under_light)


def nearer(view: View) -> Found:
    """Return the ink that prepare() finds around the largest mark of thin strokes: not the edge of a shadow."""
    ink = thin_ink(view)
    if ink is None or not (ink > INK).any():
        raise PictureError("no thin stroke")
    box = top, bottom, left, right = box_of(around_the_largest(main_pieces(ink > INK)))
    return look_closely(view.around(box, max(bottom - top, right - left) / 2))


class Way(NamedTuple):
    """A way to read a picture. find: function that finds the ink. even: strokes are brought to the width of MNIST's."""

    name: str
    find: Callable[[View], Found]
    even: bool


AS_DRAWN = Way("as drawn", look_closely, False)
LEVEL_AS_DRAWN = Way("one ground level, as drawn", level, False)
WAYS = (
    AS_DRAWN, LEVEL_AS_DRAWN, Way("one ground level, even strokes", level, True),
    Way("local light, even strokes", local, True), Way("local light, as drawn", local, False),
    Way("thin strokes alone", nearer, True),
)
