"""Drawings and what the network sees of them, for the tests of reading pictures."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from featherweight.inference.picture import prepare
from featherweight.specification import PictureSpecification

INK = PictureSpecification()
SEVEN = [(60, 40), (140, 40), (95, 165)]


def drawing(points=SEVEN, width=14, size=(200, 200), ground=255, ink=0, mode="L"):
    """A page with one line of ink."""
    picture = Image.new(mode, size, ground)
    ImageDraw.Draw(picture).line(points, fill=ink, width=width, joint="curve")
    return picture


def pixels(picture, specification=INK):
    return prepare(picture, specification).pixels[0]


def likeness(one, other):
    """The cosine between two images, 1 where they are the same but for a pixel's shift, which centring rounds to."""
    shifts = [np.roll(other.astype(float), (down, right), (0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    norm = np.linalg.norm(one.astype(float)) * np.linalg.norm(other.astype(float))
    return max(float((one * shifted).sum() / norm) for shifted in shifts)


def box(image, threshold=0):
    rows, columns = np.nonzero(image > threshold)
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
