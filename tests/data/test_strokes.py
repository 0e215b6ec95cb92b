"""Digits drawn in the forms of many countries: like MNIST in size, place and pen, the same for the same seed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from featherweight.data import load_dataset
from featherweight.data.forms import FORMS
from featherweight.data.pen import draw_form, form_of, spline
from featherweight.data.strokes import KINDS, drawn_digits, rounded
from featherweight.errors import DataError


def boxes(images):
    for image in images:
        rows, columns = np.flatnonzero(image.max(axis=1)), np.flatnonzero(image.max(axis=0))
        yield rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


def test_the_same_seed_draws_the_same_digits(tmp_path):
    first, labels = drawn_digits(300, 5, tmp_path / "one")
    again, labels_again = drawn_digits(300, 5, tmp_path / "two")
    assert np.array_equal(first, again) and np.array_equal(labels, labels_again)
    other, _ = drawn_digits(300, 6, tmp_path / "one")
    assert not np.array_equal(first, other)


def test_classes_are_equally_frequent(tmp_path):
    images, labels = drawn_digits(1000, 1, tmp_path)
    assert images.shape == (1000, 28, 28) and images.dtype == np.uint8
    assert np.bincount(labels).min() >= 94 and np.bincount(labels).max() <= 106
    assert (images.max(axis=(1, 2)) > 200).all()


def test_images_are_read_from_the_cache_and_a_damaged_one_is_drawn_again(tmp_path):
    images, labels = map(np.array, drawn_digits(200, 1, tmp_path))
    file, = (tmp_path / "strokes").iterdir()
    again, labels_again = drawn_digits(200, 1, tmp_path)
    assert isinstance(again, np.memmap) and np.array_equal(images, again) and np.array_equal(labels, labels_again)
    file.write_bytes(file.read_bytes()[:-500])
    assert np.array_equal(images, drawn_digits(200, 1, tmp_path)[0])


@pytest.mark.parametrize("text", [text for _, text in KINDS])
def test_ink_has_the_size_and_the_place_of_mnist(text):
    images = draw_form(form_of(text), 30, np.random.default_rng(0))
    for image, (top, bottom, left, right) in zip(images, boxes(images), strict=True):
        assert 17 <= max(bottom - top, right - left) <= 22
        row, column = (np.average(np.arange(28), weights=image.sum(axis=axis).astype(float)) + 0.5 for axis in (1, 0))
        assert 12 < row < 17 and 12 < column < 17


def test_forms_of_a_digit_are_many_and_different():
    assert sorted(FORMS) == list(range(10)) and min(len(texts) for texts in FORMS.values()) >= 5
    assert len({text for _, text in KINDS}) == len(KINDS)


def test_a_curve_passes_through_its_points():
    points = np.array([[0, 0], [3, 8], [9, 2], [0, 0]], np.float32)
    for closed in (False, True):
        curve = spline(4, closed=closed) @ points
        assert np.allclose(curve[::6], points, atol=1e-5)
    closed = spline(4, closed=True) @ points
    assert np.allclose(closed[1] - closed[0], closed[-1] - closed[-2], atol=1.2)     # no corner where it closes
    assert np.allclose(spline(2, closed=False).sum(axis=1), 1)


def test_rounding_keeps_the_sum():
    assert rounded(np.array([0.5, 0.5, 1.0])).tolist() in ([1, 0, 1], [0, 1, 1])
    assert rounded(np.full(10, 0.7)).sum() == 7


def test_strokes_are_a_data_set():
    data = load_dataset("strokes", validation=100)
    assert len(data.train) == 19_900 and len(data.test) == 2_000 and data.source == "drawn by featherweight"
    assert data.train.shape == (1, 28, 28) and data.drawn == 0
    assert load_dataset("strokes", size=14, upright=True).test.shape == (1, 14, 14)


def test_drawn_digits_are_refused_for_other_data():
    with pytest.raises(DataError, match=r"data\.marks: drawn images are like those of mnist, not like those of"):
        load_dataset("digits", strokes=10)


def test_drawn_digits_follow_the_published_images_and_none_is_held_out(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("FEATHERWEIGHT_CACHE", str(tmp_path / "cache"))
    folder = tiny.write(tmp_path / "data")
    (folder / "tiny").rename(folder / "mnist")
    named = dataclasses.replace(tiny.source, name="mnist")

    def load(strokes, validation):
        return load_dataset("mnist", size=8, data_dir=folder, sources={"mnist": named}, strokes=strokes,
                            validation=validation)

    plain, more = load(0, 5), load(30, 5)
    assert torch.equal(plain.validation.images, more.validation.images) and more.drawn == 30
    assert torch.equal(plain.train.images, more.train.images[:7]) and len(more.train) == 37
    assert torch.equal(plain.test.images, more.test.images)
    drawn, labels = drawn_digits(30, 0, tmp_path / "cache")
    assert more.train.labels[7:].tolist() == labels.tolist() and drawn.any()
