"""Pieces, widths, thinner and thicker strokes: held against scipy."""

from __future__ import annotations

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
