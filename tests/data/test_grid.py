"""The labelled grid: which example lies where, and that nothing is cut off."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import ImageColor

from featherweight.data import labelled_grid
from featherweight.data.grid import GAP, INK, MARGIN, NAME_POINTS, NAME_WIDTH, PAPER, _font, _wrapped

SHADES = np.array([40, 90, 140, 200], np.uint8)


def shaded(labels, channels=1, size=7):
    """Images of one shade each: the class decides which."""
    labels = np.asarray(labels)
    return np.broadcast_to(SHADES[labels][:, None, None, None], (len(labels), channels, size, size)), labels


def shades_of(picture):
    """The shade of the rows of tiles, top to bottom, each as often as it has tiles."""
    pixels = np.asarray(picture)
    grey = np.where((pixels == pixels[..., :1]).all(-1), pixels[..., 0], 0)
    tiles = {int(shade): int((grey == shade).sum()) // 56**2 for shade in SHADES}
    return {
        shade: count for shade, count in tiles.items() if count
    }  # a smoothed letter may have a pixel of it


def test_a_row_for_each_class_with_its_first_examples():
    images, labels = shaded([2, 0, 1, 1, 2, 2, 2, 0, 1])
    picture = labelled_grid(images, labels, ("ant", "bee", "cow"), columns=3)
    assert shades_of(picture) == {40: 2, 90: 3, 140: 3}
    middle = picture.height // 2
    top, bottom = MARGIN + 20, picture.height - MARGIN - 20
    row = [np.asarray(picture)[y, :, 0] for y in (top, middle, bottom)]
    assert [shade in line for shade, line in zip((40, 90, 140), row, strict=True)] == [True] * 3


def test_examples_keep_their_order_and_their_crisp_pixels():
    images = np.zeros((5, 1, 7, 7), np.uint8)
    images[np.arange(5), 0, :, np.arange(5)] = 255  # image k has a white line at k
    pixels = np.asarray(labelled_grid(images, np.zeros(5, int), ("x",), columns=4).convert("L"))
    line = pixels[MARGIN + 28]
    line = line[np.flatnonzero(line == 0)[0] - 8 :]  # from the first tile on, whose white line comes first
    for column in range(4):
        tile = line[column * (56 + GAP) :][:56].reshape(7, 8)
        assert tile.min(1).tolist() == tile.max(1).tolist() == [255 if k == column else 0 for k in range(7)]


def test_rows_columns_and_scale_bound_the_picture():
    images, labels = shaded([0, 1, 2, 3] * 5)
    names = ("a", "b", "c", "d")
    assert list(shades_of(labelled_grid(images, labels, names, rows=2))) == [40, 90]
    small, large = (labelled_grid(images, labels, names, scale=scale, columns=5) for scale in (8, 10))
    assert large.width - small.width == 5 * 7 * 2
    assert large.height - small.height == 4 * 7 * 2
    assert small.height == 2 * MARGIN + 4 * 56 + 3 * GAP


def test_colour_and_tensors_are_taken():
    images = np.zeros((2, 3, 8, 8), np.uint8)
    images[:, 1] = 255
    picture = labelled_grid(torch.from_numpy(images), torch.tensor([0, 1]), ("x", "y"), columns=1)
    assert picture.mode == "RGB"
    assert (0, 255, 0) in {color for _, color in picture.getcolors(1 << 16)}


def test_a_class_without_examples_leaves_its_row_open():
    images, labels = shaded([0, 0])
    assert shades_of(labelled_grid(images, labels, ("here", "absent"), columns=2)) == {40: 2}


@pytest.mark.parametrize(
    "name",
    [
        "x" * 120,
        "a rather long name of a class that goes on and on",
        "under_score/and-dash" * 4,
        "W" * 30,
        "çédille 漢",
    ],
)
def test_a_long_name_is_broken_and_not_cut(name):
    images, labels = shaded([0, 1])
    picture = labelled_grid(images, labels, (name, "short"), columns=2, title="a title " * 12)
    font = _font(NAME_POINTS)
    lines = _wrapped(name, font).split("\n")
    assert all(font.getlength(line) <= NAME_WIDTH for line in lines)
    assert "".join(lines).replace(" ", "") == name.replace(" ", "")
    pixels = np.asarray(picture.convert("RGB"))
    border = np.concatenate([pixels[:8].reshape(-1, 3), pixels[-8:].reshape(-1, 3)])
    sides = np.concatenate([pixels[:, :8].reshape(-1, 3), pixels[:, -8:].reshape(-1, 3)])
    assert (np.concatenate([border, sides]) == ImageColor.getrgb(PAPER)).all()


def test_the_names_are_there():
    images, labels = shaded([0, 1])
    with_name, without = (labelled_grid(images, labels, (name, " "), columns=1) for name in ("mmmm", " "))
    ink = ImageColor.getrgb(INK)
    assert ink in {color for _, color in with_name.getcolors(1 << 16)}
    assert ink not in {color for _, color in without.getcolors(1 << 16)}
    assert with_name.width > without.width
