"""A page of digits -> one image for each: lines of writing, touching digits, boxes."""

from __future__ import annotations

import functools
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont, ImageOps

from featherweight.errors import PictureError
from featherweight.inference.picture import prepare, prepare_many
from featherweight.inference.reading import read_picture
from featherweight.inference.strokes import label_pieces
from featherweight.specification import PictureSpecification

INK = PictureSpecification()
FONT = ImageFont.load_default(70)       # its digits are about 50 pixels tall


def blank(width, height):
    return Image.new("L", (width, height), 255)


def write(page, places):
    """Draw digits on a page: {(left, top): digit}."""
    for place, digit in places.items():
        ImageDraw.Draw(page).text(place, digit, fill=0, font=FONT)
    return page


def row(text, step=70, top=30):
    return write(blank(step * len(text) + 60, 140), {(30 + step * place, top): one for place, one in enumerate(text)})


@functools.cache
def alone(digit):
    return prepare(write(blank(120, 140), {(35, 30): digit}), INK).pixels[0]


def likeness(one, other):
    shifts = [np.roll(other.astype(float), (down, right), (0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    norm = np.linalg.norm(one.astype(float)) * np.linalg.norm(other.astype(float))
    return max(float((one * shifted).sum() / norm) for shifted in shifts)


def read(page):
    """Return the digits of a page as text: to each image found, the digit of the font that it is most like."""
    images = [one.pixels[0] for one in prepare_many(page, INK)]
    return "".join(max("0123456789", key=lambda digit: likeness(image, alone(digit))) for image in images)


def test_a_row_is_read_from_left_to_right():
    assert read(row("3141592")) == "3141592"


def test_lines_are_read_from_top_to_bottom():
    page = write(blank(400, 330), {(60, 20): "3", (150, 30): "1", (30, 120): "4", (110, 110): "8", (240, 120): "5",
                                   (150, 210): "9", (260, 215): "2"})
    assert read(page) == "3148592"


@pytest.mark.parametrize("degrees", [-9, 9])
def test_a_line_that_slopes_is_one_line(degrees):
    page = row("38254907").rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    assert len(prepare_many(page, INK)) == 8
    assert likeness(prepare_many(page, INK)[0].pixels[0], alone("3")) > 0.7


def test_digits_that_touch_are_parted():
    page = write(blank(300, 140), {(30, 30): "3", (63, 30): "8", (160, 30): "2"})
    assert label_pieces(np.asarray(page) < 128).max() == 2
    assert read(page) == "382"


def wide_digits():
    """Digits that are wide and must stay whole: one line of points each."""
    arc = [(100 + 60 * np.cos(t), 100 + 45 * np.sin(t)) for t in np.linspace(0, 2 * np.pi, 40)]
    return {
        "2 with a tail": [[(60, 70), (80, 50), (110, 60), (105, 90), (60, 130), (190, 128)]],
        "round 0": [arc],
        "open 0": [arc[3:38]],
        "7 with a bar": [[(40, 50), (140, 50), (80, 150)], [(60, 100), (140, 100)]],
        "open 4": [[(60, 50), (50, 105), (140, 105)], [(125, 55), (115, 150)]],
        "5 with a long bar": [[(60, 50), (58, 90), (100, 95), (105, 130), (55, 140)], [(60, 50), (170, 45)]],
    }


def drawn(strokes, width=10, size=(220, 200)):
    page = blank(*size)
    for stroke in strokes:
        ImageDraw.Draw(page).line([(float(x), float(y)) for x, y in stroke], fill=0, width=width, joint="curve")
    return page


@pytest.mark.parametrize("name", wide_digits())
def test_a_wide_digit_stays_whole(name):
    assert len(prepare_many(drawn(wide_digits()[name]), INK)) == 1


@pytest.mark.parametrize("strokes", [
    [[(75, 60), (70, 100), (115, 110), (110, 150), (60, 150)], [(100, 50), (150, 45)]],     # the bar stands off
    [[(105, 45), (70, 60), (60, 100)], [(62, 112), (80, 140), (120, 140)]],                 # a C broken in its middle
    [[(75, 40), (70, 95), (105, 95)], [(117, 40), (115, 155)]],                             # a 4 in two pieces
], ids=["bar", "upper and lower half", "two pieces side by side"])
def test_parts_of_a_digit_stay_together(strokes):
    assert len(prepare_many(drawn(strokes), INK)) == 1


def test_a_bar_beside_its_five_joins_the_five():
    page = row("38")
    five = drawn([[(60, 60), (58, 90), (85, 95), (85, 120), (50, 120)], [(84, 52), (112, 50)]], 7, (150, 140))
    both = blank(page.width + 150, 140)
    both.paste(five, (0, 0))
    both.paste(page, (150, 0))
    assert len(prepare_many(both, INK)) == 3


def boxes(page, left, top, side, count, width, down=1):
    for line in range(down + 1):
        ImageDraw.Draw(page).line([(left, top + line * side), (left + count * side, top + line * side)], 0, width)
    for line in range(count + 1):
        ImageDraw.Draw(page).line([(left + line * side, top), (left + line * side, top + down * side)], 0, width)
    return page


@pytest.mark.parametrize("width", [1, 3, 8])
def test_boxes_are_removed(width):
    assert read(boxes(row("60258", 90), 20, 20, 90, 5, width)) == "60258"


def test_a_grid_of_boxes_is_removed_and_its_lines_are_read_in_order():
    page = write(blank(340, 250), {(45, 35): "3", (135, 35): "7", (225, 35): "1", (45, 125): "9", (225, 125): "4"})
    assert read(boxes(page, 20, 30, 90, 3, 3, down=2)) == "37194"


def test_strokes_that_cross_a_box_stay_whole():
    page = boxes(row("2846", 90), 42, 20, 90, 4, 3)     # the left sides run through the digits
    ImageDraw.Draw(page).line([(42, 75), (402, 75)], 0, 3)
    found = [one.pixels[0] for one in prepare_many(page, INK)]
    assert [likeness(image, alone(digit)) > 0.9 for image, digit in zip(found, "2846", strict=True)] == [True] * 4


def test_a_frame_around_all_is_removed():
    page = row("8053")
    ImageDraw.Draw(page).rectangle((10, 10, page.width - 10, 125), outline=0, width=4)
    assert read(page) == "8053"


@pytest.mark.parametrize("start", [0, 7])
def test_squared_paper_is_removed(start):
    """With a line on the edge of the picture, the paper would be taken for ink."""
    page = row("38254")
    for at in range(start, page.width, 34):
        ImageDraw.Draw(page).line([(at, 0), (at, page.height)], 0, 2)
        ImageDraw.Draw(page).line([(0, at), (page.width, at)], 0, 2)
    assert read(page) == "38254"


def test_ruled_lines_are_removed():
    page = row("38254")
    for top in (40, 88):
        ImageDraw.Draw(page).line([(0, top), (page.width, top)], 0, 2)
    assert read(page) == "38254"


def test_straight_strokes_are_no_lines():
    strokes = [[(30, 30), (30, 150)], [(60, 30), (120, 30), (85, 150)], [(150, 30), (150, 150)], [(180, 30), (240, 30),
                                                                                           (210, 150)]]
    found = prepare_many(drawn(strokes, 8, (260, 180)).crop((24, 24, 248, 156)), INK)
    assert [one.ink.shape[1] > 40 for one in found] == [False, True, False, True]
    assert all(one.ink.shape[0] > 110 for one in found)


def test_a_square_zero_is_no_box():
    page = row("5 5 5")
    ImageDraw.Draw(page).rectangle((100, 45, 135, 95), outline=0, width=6)
    found = prepare_many(page, INK)
    assert len(found) == 4 and likeness(found[1].pixels[0], alone("0")) > 0.6


def test_small_writing_on_a_large_page_is_looked_at_closely():
    page = blank(2400, 1800)
    page.paste(row("38254"), (1900, 300))
    assert read(page) == "38254"


def test_a_blank_page_and_grain_are_refused():
    with pytest.raises(PictureError, match="blank"):
        prepare_many(blank(200, 100), INK)
    dots = blank(300, 300)
    ImageDraw.Draw(dots).point([(x, y) for x in range(3, 300, 16) for y in range(3, 300, 16)], 0)
    with pytest.raises(PictureError, match="no drawing"):
        prepare_many(dots, INK)


def stored(page, orientation=None):
    """Return a page as a JPEG file that was read again, with an EXIF orientation or without EXIF."""
    file, exif = BytesIO(), Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    page.save(file, "JPEG", quality=95, **({} if orientation is None else {"exif": exif}))
    return read_picture(BytesIO(file.getvalue()))


@pytest.mark.parametrize(("orientation", "turn"), [(3, 180), (6, 90), (8, 270)])
def test_a_page_turned_through_exif_is_read_upright(orientation, turn):
    page = write(blank(300, 250), {(60, 20): "3", (150, 30): "1", (30, 120): "4", (110, 120): "8"})
    turned = page.rotate(turn, expand=True)
    assert ImageOps.exif_transpose(turned) is not page      # without EXIF, Pillow turns nothing
    assert read(stored(turned, orientation)) == read(page) == "3148"


def test_a_page_without_exif_is_answered_as_it_lies():
    page = row("6609")
    assert read(stored(page.rotate(180))) == "6099"
