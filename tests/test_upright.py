"""Leaning ink is stood upright: by hand, as properties, and on the digits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from featherweight import upright as module
from featherweight.data import load_dataset
from featherweight.upright import row_shifts, upright

images = arrays(np.uint8, st.tuples(st.integers(1, 4), st.integers(1, 12), st.integers(1, 12)))


def stroke(lean: float, size: int = 28) -> np.ndarray:
    """A soft line that moves by lean columns to the right in each row downwards, through the middle."""
    y, x = np.mgrid[:size, :size]
    middle = (size - 1) / 2
    away = np.abs(x - middle - lean * (y - middle))
    inside = np.abs(y - middle) < size / 3
    return (255 * np.clip(2 - away, 0, 1) * inside).astype(np.uint8)


def lean_of(image: np.ndarray) -> float:
    """Columns a row: the regression of ink's column on its row, with moments about the centre."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    ink = image.astype(float)
    x = x - (ink * x).sum() / ink.sum()
    y = y - (ink * y).sum() / ink.sum()
    return float((ink * x * y).sum() / (ink * y * y).sum())


def by_hand(image: np.ndarray) -> np.ndarray:
    """One image in plain floats, pixel by pixel."""
    height, width = image.shape
    if not image.any():
        return image.astype(float)
    centre = sum(y * float(image[y, x]) for y in range(height) for x in range(width)) / image.sum()
    rows = np.flatnonzero(image.any(axis=1))
    lean = 0.0 if len(rows) < 2 else min(1.0, max(-1.0, lean_of(image)))
    out = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            place = x + lean * (y - centre)
            left, part = math.floor(place), place - math.floor(place)
            pair = [float(image[y, at]) if 0 <= at < width else 0.0 for at in (left, left + 1)]
            out[y, x] = pair[0] * (1 - part) + pair[1] * part
    return out


@given(images)
def test_it_is_what_a_hand_would_do(found):
    for image, stood in zip(found, upright(found), strict=True):
        assert np.abs(stood - by_hand(image)).max() <= 2        # 255 levels in 256ths of a pixel, rounded


@given(images)
def test_shape_and_type_stay_and_no_row_gains_ink(found):
    stood = upright(found)
    assert stood.shape == found.shape and stood.dtype == np.uint8
    more = stood.sum(axis=2, dtype=int) - found.sum(axis=2, dtype=int)
    assert more.max() <= found.shape[2]                         # half a level a pixel, of rounding
    assert not stood[~found.any(axis=2)].any()


@pytest.mark.parametrize("lean", [-0.9, -0.5, -0.1, 0.3, 0.8])
def test_a_leaning_stroke_stands(lean):
    leaning = stroke(lean)
    assert lean_of(leaning) == pytest.approx(lean, abs=0.05)
    stood = upright(leaning[None])[0]
    assert abs(lean_of(stood)) < 0.02
    assert np.abs(stood.astype(int) - stroke(0)).mean() < 6


def test_an_upright_stroke_and_a_blank_image_stay():
    both = np.stack([stroke(0), np.zeros((28, 28), np.uint8)])
    assert np.array_equal(upright(both), both)
    assert upright(both[:0]).shape == (0, 28, 28)


def test_ink_that_leans_too_far_is_straightened_by_a_column_a_row_at_most():
    flat = stroke(3.0)
    assert np.abs(np.diff(row_shifts(flat[None])[0])).max() == pytest.approx(1)


def test_a_mirrored_image_gives_the_mirrored_result():
    digits = load_dataset("digits").test.images[:50, 0].numpy()
    straight, mirrored = upright(digits), upright(digits[:, :, ::-1])[:, :, ::-1]
    assert np.abs(straight.astype(int) - mirrored).max() <= 2


def test_digits_stand_and_doing_it_again_changes_next_to_nothing():
    digits = load_dataset("digits").test.images[:, 0].numpy()
    once = upright(digits)
    assert np.mean([abs(lean_of(image)) for image in once]) < 0.1 * np.mean([abs(lean_of(image)) for image in digits])
    assert np.abs(upright(once).astype(int) - once).mean() < 0.05 * np.abs(once.astype(int) - digits).mean()


def test_each_image_is_its_own_business(monkeypatch):
    digits = load_dataset("digits").test.images[:20, 0].numpy()
    whole = upright(digits)
    monkeypatch.setattr(module, "AT_ONCE", 7)
    assert np.array_equal(upright(digits), whole)
    assert np.array_equal(np.concatenate([upright(image[None]) for image in digits]), whole)
