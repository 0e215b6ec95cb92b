"""The estimate of uneven light: held against scipy and numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy import ndimage

from featherweight.inference.ink import along_main_colour
from featherweight.inference.light import blocks, closed, spread_max, window_of

grids = arrays(np.float32, st.tuples(st.integers(1, 20), st.integers(1, 20)), elements=st.floats(-9, 9, width=32))


@given(grids, st.integers(0, 12))
def test_the_largest_value_of_each_window_is_that_of_scipy(values, room):
    expected = ndimage.maximum_filter(values, 2 * room + 1, mode="constant", cval=-np.inf)
    assert np.array_equal(spread_max(values, 2 * room + 1), expected)


@given(grids, st.floats(0.05, 0.6))
def test_a_closing_is_never_below_the_values(values, part):
    assert (closed(values, part) >= values).all() and window_of(part, values) % 2 == 1


@given(grids, st.integers(1, 7))
def test_a_block_holds_its_largest_value(values, step):
    found = blocks(values, step)
    for row, column in np.ndindex(found.shape):
        part = values[row * step : (row + 1) * step, column * step : (column + 1) * step]
        assert found[row, column] == part.max()


@pytest.mark.parametrize("colour", [(1, 0, 0), (0.2, 0.9, 0.1), (0.5, 0.5, 0.7)])
def test_colours_are_projected_on_the_axis_along_which_they_vary(colour):
    random = np.random.default_rng(0)
    amount = random.uniform(0, 200, (30, 40))
    pixels = 20 + amount[..., None] * np.array(colour) + random.normal(0, 1, (30, 40, 3))
    along = along_main_colour(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)))
    assert np.corrcoef(along.ravel(), amount.ravel())[0, 1] > 0.99
