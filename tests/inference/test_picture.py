"""Any picture -> the image the network knows."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from drawings import INK, SEVEN, box, drawing, likeness, pixels
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageDraw

from featherweight.errors import PictureError
from featherweight.inference.picture import centre, cut_out, fit, prepare, prepare_many, resize_plain
from featherweight.inference.strokes import stroke_width
from featherweight.specification import PictureSpecification, specification_of


def test_ink_becomes_light_on_black_its_longer_side_twenty_and_its_shape_kept():
    image = pixels(drawing())
    assert image.shape == (28, 28) and image.dtype == np.uint8 and image.max() == 255
    height, width = box(image)
    assert height == 20 and width == pytest.approx(20 * 90 / 135, abs=2)


def test_the_centre_of_mass_lies_where_mnist_has_it():
    """In all of MNIST it lies in [14, 15) from the edges, as the centring was done in whole pixels."""
    image = pixels(drawing()).astype(float)
    row = (image.sum(1) * (np.arange(28) + 0.5)).sum() / image.sum()
    column = (image.sum(0) * (np.arange(28) + 0.5)).sum() / image.sum()
    assert 13.9 < row < 15.1 and 13.9 < column < 15.1


@given(
    left=st.integers(-50, 50), top=st.integers(-30, 25),
    colours=st.sampled_from([(255, 0), (0, 255), (200, 60), (30, 180), (120, 165)]),
)
def test_place_and_tones_do_not_matter(left, top, colours):
    points = [(x + left, y + top) for x, y in SEVEN]
    assert likeness(pixels(drawing(points, ground=colours[0], ink=colours[1])), pixels(drawing())) > 0.98


@given(st.tuples(*[st.integers(0, 255)] * 3), st.tuples(*[st.integers(0, 255)] * 3))
def test_any_two_colours_that_differ_are_ink_and_ground(ground, ink):
    if max(abs(a - b) for a, b in zip(ground, ink, strict=True)) < 40:
        return
    assert likeness(pixels(drawing(ground=ground, ink=ink, mode="RGB")), pixels(drawing())) > 0.97


@pytest.mark.parametrize("scale", [0.2, 0.5, 2, 6])
def test_size_does_not_matter(scale):
    small = drawing([(x * scale, y * scale) for x, y in SEVEN], max(2, round(14 * scale)), (int(200 * scale),) * 2)
    assert likeness(pixels(small), pixels(drawing())) > (0.9 if scale < 0.5 else 0.96)


def test_a_small_mark_on_a_large_page_is_looked_at_from_nearer():
    page = Image.new("L", (1500, 1200), 240)
    page.paste(drawing(ground=240), (1250, 60))
    assert likeness(pixels(page), pixels(drawing())) > 0.97


@pytest.mark.parametrize("width", [1, 2, 4, 8, 20, 34])
def test_thin_and_fat_strokes_come_near_those_of_mnist(width):
    image = pixels(drawing(width=width, points=[(40, 40), (160, 40), (95, 165)]))
    drawn = stroke_width(fit(np.pad(image.astype(np.float32) / 255, 1), 180) > 0.5) / 6
    assert INK.thinnest - 0.5 < drawn < INK.thickest + 0.7


points = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=2, max_size=6)


@given(points, st.integers(1, 60), st.tuples(st.integers(4, 400), st.integers(4, 400)), st.booleans())
def test_any_line_on_any_page_is_drawn_or_refused(points, width, size, photographed):
    page = drawing(points, width, size)
    try:
        image = pixels(under_a_lamp(page, 0.7) if photographed else page)
    except PictureError:
        return
    assert image.shape == (28, 28) and image.max() > 128


@given(arrays(np.uint8, st.tuples(st.integers(4, 30), st.integers(4, 30), st.just(3))), st.integers(1, 30))
def test_any_pixels_are_drawn_or_refused(image, times):
    picture = Image.fromarray(image).resize((image.shape[1] * times, image.shape[0] * times))
    for read in (prepare, prepare_many):
        with contextlib.suppress(PictureError):
            seen = read(picture, INK)
            assert all(one.pixels.shape == (1, 28, 28) for one in (seen if read is prepare_many else [seen]))


@pytest.mark.parametrize("size", [300, 700, 2000])
def test_a_hairline_on_a_large_page_does_not_vanish(size):
    page = drawing([(x * size / 200, y * size / 200) for x, y in SEVEN], max(1, size // 400), (size, size))
    assert likeness(pixels(page), pixels(drawing(width=4))) > 0.9


def test_a_tight_crop_without_a_margin_keeps_its_polarity():
    for ground, ink in ((255, 0), (0, 255)):
        cropped = drawing(width=30, ground=ground, ink=ink).crop((52, 28, 150, 168))
        assert likeness(pixels(cropped), pixels(drawing(width=30))) > 0.97


def test_a_one_that_fills_its_picture_is_ink_all_the_same():
    one = drawing([(20, 12), (20, 188)], 24, (200, 200)).crop((6, 4, 34, 196))
    assert likeness(pixels(one), pixels(drawing([(100, 12), (100, 188)], 24))) > 0.9


def under_a_lamp(picture, shadow):
    """A page photographed: light falls off to one side, a shadow's edge crosses it, the sensor is noisy."""
    grey = np.asarray(picture, float)
    y, x = np.mgrid[0 : grey.shape[0], 0 : grey.shape[1]] / grey.shape[0]
    light = (1 - 0.4 * x) * np.where(x + y > 1.1, shadow, 1.0)
    noise = np.random.default_rng(0).normal(0, 3, grey.shape)
    return Image.fromarray((grey * light + noise).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("shadow", [1.0, 0.75, 0.55])
def test_uneven_light_and_a_shadow_are_no_ink(shadow):
    paper = drawing(ground=225, ink=40)
    assert likeness(pixels(under_a_lamp(paper, shadow)), pixels(paper)) > 0.93


def test_chalk_on_a_board_in_uneven_light_is_ink():
    board = drawing(ground=60, ink=210)
    assert likeness(pixels(under_a_lamp(board, 0.8)), pixels(board)) > 0.93


def test_specks_and_what_reaches_in_from_the_border_are_left_out():
    page = drawing()
    pen = ImageDraw.Draw(page)
    pen.rectangle((0, 0, 12, 199), fill=0)      # the edge of a table
    pen.point([(180, 180), (30, 150), (170, 100)], fill=0)
    assert likeness(pixels(page), pixels(drawing())) > 0.97


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_a_blank_picture_is_refused(ground):
    with pytest.raises(PictureError, match="blank"):
        prepare(Image.new("L", (100, 80), ground), INK)
    faint = drawing(ground=ground, ink=min(255, ground + 9) if ground < 255 else 246)
    with pytest.raises(PictureError, match="blank"):
        prepare(faint, INK)


def own(longer=20, fill=200):
    """An image as MNIST has it."""
    image = np.zeros((28, 28), np.uint8)
    image[4 : 4 + longer, 11:16] = fill
    return image


def test_an_image_as_the_data_set_has_it_is_taken_as_it_is():
    assert np.array_equal(pixels(Image.fromarray(own())), own())
    assert np.array_equal(pixels(Image.fromarray(255 - own())), own())      # dark on light is turned


def test_an_image_of_that_size_with_another_box_is_fitted():
    assert box(pixels(Image.fromarray(own(12))))[0] == 20


def test_several_digits_are_found_from_left_to_right():
    page = Image.new("L", (500, 200), 255)
    for place, width in enumerate((12, 16, 20)):
        page.paste(drawing(width=width).crop((50, 20, 160, 180)), (10 + 150 * place, 20))
    found = prepare_many(page, INK)
    assert len(found) == 3
    for one in found:
        assert likeness(one.pixels[0], pixels(drawing())) > 0.9
    assert prepare(page, INK).digits == 3       # and one who asks for one is told
    assert prepare(drawing(), INK).digits == 1


def test_a_speck_far_off_is_no_stroke():
    page = drawing([(x / 2 + 20, y / 2) for x, y in SEVEN], 8)
    ImageDraw.Draw(page).ellipse((170, 170, 180, 180), fill=0)
    assert likeness(pixels(page), pixels(drawing())) > 0.9


def test_a_stroke_above_another_is_the_same_digit():
    five = drawing([(70, 60), (65, 100), (120, 110), (110, 160), (60, 155)])
    ImageDraw.Draw(five).line([(75, 40), (140, 40)], fill=0, width=12)      # the bar does not touch
    assert len(prepare_many(five, INK)) == 1


@given(st.integers(1, 28), st.integers(1, 28), st.integers(0, 2**32 - 1))
def test_centring_loses_no_ink(height, width, seed):
    ink = np.random.default_rng(seed).integers(1, 255, (height, width)).astype(np.float32) / 255
    assert centre(ink, 28).sum() == (ink * 255).round().sum()


def test_cutting_out_keeps_a_pixel_around():
    ink = np.zeros((30, 40), np.float32)
    ink[4:9, 11:20] = 1
    cut = cut_out(ink, ink > 0.5)
    assert cut.sum() == 45 and not cut[0].any() and not cut[:, -1].any()


def test_a_plain_picture_is_resized_and_nothing_else():
    image = resize_plain(Image.new("RGB", (10, 20), (10, 20, 30)), PictureSpecification("plain", 3, 28))
    assert image.shape == (3, 28, 28)
    assert [channel[0, 0] for channel in image] == [10, 20, 30]


def test_the_specification_says_what_a_data_set_needs_and_survives_json():
    assert specification_of("mnist", 1, 28) == INK
    assert specification_of("fashion-mnist", 1, 28).kind == specification_of("folder:x", 3, 32).kind == "plain"
    own = specification_of("folder:x", 3, 32)
    assert own.fit == "letterbox" and PictureSpecification.from_dict(own.to_dict()) == own
    assert PictureSpecification.from_dict({"kind": "plain"}).fit == "stretch"       # a run of an earlier version
    with pytest.raises(ValueError, match="fit is not one of letterbox, stretch"):
        PictureSpecification.from_dict(own.to_dict() | {"fit": "crop"})
    known = INK.to_dict()
    assert PictureSpecification.from_dict(known | {"of a later version": 1}) == INK
