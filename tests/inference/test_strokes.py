"""Pieces, widths, thinner and thicker strokes: held against scipy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from featherweight.inference.strokes import label_pieces, stroke_width, thicken, thin

masks = arrays(bool, st.tuples(st.integers(1, 14), st.integers(1, 14)))
EIGHT = np.ones((3, 3), int)


@given(masks)
def test_pieces_are_those_of_scipy(mask):
    ours, theirs = label_pieces(mask), ndimage.label(mask, EIGHT)[0]
    assert ((ours > 0) == mask).all() and ours.max() == theirs.max()
    assert len(np.unique(np.stack([ours[mask], theirs[mask]]), axis=1).T) == theirs.max()   # one to one


@given(masks, st.integers(1, 4))
def test_thickening_covers_a_diamond_and_no_more_than_a_square(mask, times):
    padded = np.pad(mask, times)
    cross = ndimage.binary_dilation(padded, iterations=times)
    square = ndimage.binary_dilation(padded, EIGHT, iterations=times)
    thick = thicken(mask, times)
    assert (cross <= thick).all() and (thick <= square).all()


@given(masks, st.integers(1, 6))
def test_thinning_never_breaks_a_piece_and_never_adds_ink(mask, times):
    thinned = thin(mask, times)
    assert (thinned <= mask).all()
    pieces = ndimage.label(mask, EIGHT)[0]
    left = ndimage.label(thinned, EIGHT)[1]
    assert left <= pieces.max()     # a 2x2 square vanishes under Zhang and Suen; nothing falls apart


def is_loose(pixels, turn):
    """The rule of Zhang and Suen for the middle of 3x3 pixels, as their paper writes it."""
    p2, p3, p4, p5, p6, p7, p8, p9 = (int(pixels[y, x]) for y, x in (
        (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0)))
    ring = [p2, p3, p4, p5, p6, p7, p8, p9, p2]
    changes = sum((before, after) == (0, 1) for before, after in pairwise(ring))
    corner = (p2 * p4 * p6, p4 * p6 * p8) if turn == 0 else (p2 * p4 * p8, p2 * p6 * p8)
    return 2 <= sum(ring[:-1]) <= 6 and changes == 1 and corner == (0, 0)


@given(masks, st.integers(1, 3))
def test_thinning_is_that_of_zhang_and_suen(mask, times):
    expected = np.pad(mask, 1)
    for turn in range(2 * times):
        loose = [(y, x) for y, x in np.argwhere(expected) if is_loose(expected[y - 1 : y + 2, x - 1 : x + 2], turn % 2)]
        for place in loose:
            expected[place] = False
    assert (thin(mask, times) == expected[1:-1, 1:-1]).all()


@pytest.mark.parametrize("width", [4, 8, 12])
@pytest.mark.parametrize("turned", [False, True])
def test_the_width_of_a_long_stroke(width, turned):
    mask = np.zeros((200, 60), bool)
    mask[10:190, 20 : 20 + width] = True
    if turned:
        mask = ndimage.rotate(mask.astype(float), 30, order=1) > 0.5
    assert stroke_width(mask) == pytest.approx(width, rel=0.35)


def test_thinning_takes_a_pixel_from_each_side():
    mask = np.zeros((40, 40), bool)
    mask[5:35, 10:22] = True
    assert thin(mask, 3)[20].sum() == 6


@given(masks)
def test_pieces_are_numbered_from_the_top(mask):
    numbers = label_pieces(mask)[mask]
    firsts = numbers[np.sort(np.unique(numbers, return_index=True)[1])]
    assert firsts.tolist() == list(range(1, len(firsts) + 1))


def test_a_spiral_and_a_comb_are_one_piece_each():
    """Pieces that only meet far below, or through many turns."""
    comb = np.zeros((60, 101), bool)
    comb[:, ::2] = comb[-1] = True
    assert label_pieces(comb).max() == 1
    spiral = np.zeros((61, 61), bool)
    for turn in range(0, 28, 2):
        spiral[turn, turn : 60 - turn] = spiral[turn : 60 - turn, 60 - turn - 1] = True
        spiral[60 - turn - 1, turn : 60 - turn] = spiral[turn + 2 : 60 - turn, turn] = True
        spiral[turn + 2, turn : turn + 3] = True
    assert label_pieces(spiral).max() == ndimage.label(spiral, EIGHT)[1] == 1


@given(masks, st.integers(1, 4))
def test_thinning_follows_the_rules_of_zhang_and_suen(mask, times):
    thinned = np.pad(mask, 1)
    for turn in range(2 * times):
        around = [np.roll(np.pad(thinned, 1), (-down, -right), (0, 1))[1:-1, 1:-1] for down, right in
                  ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))]
        count = np.sum(around, axis=0)
        changes = np.sum([~one & other for one, other in zip(around, around[1:] + around[:1], strict=True)], axis=0)
        north, east, south, west = around[::2]
        kept = (north & east & south) | (east & south & west) if turn % 2 == 0 else (
            (north & east & west) | (north & south & west))
        thinned = thinned & ~((count >= 2) & (count <= 6) & (changes == 1) & ~kept)
    assert np.array_equal(thin(mask, times), thinned[1:-1, 1:-1])
