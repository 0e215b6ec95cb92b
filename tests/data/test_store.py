"""Views of stored images: what they show, and that they copy nothing."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from featherweight.data import Images, load_dataset

CPU = torch.device("cpu")


def stored(count=7):
    pixels = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(count, 1, 2, 2).contiguous()
    return Images.of(pixels, torch.arange(count) % 3, [0.5], [0.25])


@given(st.lists(st.integers(0, 6), max_size=10), st.data())
def test_a_view_of_a_view_shows_the_rows_of_both(rows, data):
    images = stored().taught(torch.eye(7))
    outer = images.pick(torch.tensor(rows, dtype=torch.int64))
    places = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=5) if rows else st.just([]))
    inner = outer.pick(torch.tensor(places, dtype=torch.int64))
    expected = [rows[place] for place in places]
    assert inner.images[:, 0, 0, 0].tolist() == expected and len(inner) == len(expected)
    assert inner.labels.tolist() == [row % 3 for row in expected]
    assert inner.soft.argmax(dim=1).tolist() == expected
    assert inner.pixels(slice(1, 3))[:, 0, 0, 0].tolist() == expected[1:3]


def test_holding_out_shares_the_stored_images():
    whole = load_dataset("digits")
    splits = [whole.hold_out(100, seed) for seed in range(20)]
    for one in splits:
        assert one.train.stored is whole.train.stored and one.validation.stored is whole.train.stored
        assert len(one.train) == len(whole.train) - 100 and len(one.validation) == 100
        rows = torch.cat([one.train.rows, one.validation.rows]).sort().values
        assert rows.equal(torch.arange(len(whole.train)))
    assert not splits[0].train.rows.equal(splits[1].train.rows)


def test_a_device_it_is_on_already_shares_the_tensors():
    images = stored()
    assert images.to(CPU).stored is images.stored


@pytest.mark.parametrize("count", [0, 3, 7, 50])
def test_the_first_images(count):
    assert stored().first(count).images[:, 0, 0, 0].tolist() == list(range(min(count, 7)))


def test_without_a_teacher_there_are_no_soft_labels():
    assert stored().soft is None and stored().first(2).soft is None


def test_the_shape_is_that_of_an_image():
    assert stored().first(0).shape == (1, 2, 2)
