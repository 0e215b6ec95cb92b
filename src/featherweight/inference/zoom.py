"""Reduce a picture to a working size, and cut out the part of it around a box. Needs only Pillow."""

from __future__ import annotations

from PIL import Image

WORKING = 300                   # pixels: longer side of the reduced picture in which ink is searched


def reduced(picture: Image.Image, area: int = 0) -> Image.Image:
    """Return a picture reduced to the working size. A small picture is returned unchanged.

    area: pixels that the reduced picture has at least, so that a long row of digits keeps its details.
    """
    longer = max(WORKING, round(max(picture.size) * (area / (picture.width * picture.height)) ** 0.5))
    if max(picture.size) <= longer:
        return picture
    working = picture.copy()
    working.thumbnail((longer, longer), Image.Resampling.BICUBIC)
    return working


def cut_around(picture: Image.Image, box: tuple[int, int, int, int], room: float, scale: float) -> Image.Image:
    """Return the part of a picture around a box, with a margin.

    box: (top, bottom, left, right) in a reduced picture, exclusive at bottom and right. room: the margin there.
    scale: pixels of the picture for one pixel of the reduced picture.
    """
    top, bottom, left, right = box
    return picture.crop((
        max(0, round((left - room) * scale)), max(0, round((top - room) * scale)),
        min(picture.width, round((right + room) * scale)), min(picture.height, round((bottom + room) * scale)),
    ))
