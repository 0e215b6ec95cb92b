"""Any picture -> the image the network knows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from featherweight.errors import PictureError
from featherweight.inference.picture import (
    centre_by_mass,
    ink_box,
    light_on_dark,
    prepare_ink,
    prepare_plain,
    read_picture,
)


def drawing(size=(200, 300), at=(40, 60, 70, 160), ground=255, ink=0):
    """A page with one filled box of ink on it."""
    picture = Image.new("L", size, ground)
    ImageDraw.Draw(picture).rectangle(at, fill=ink)
    return picture


def test_dark_ink_on_white_becomes_light_on_black_centred_in_a_box_of_twenty():
    pixels = prepare_ink(drawing(), 28)
    rows, columns = np.nonzero(pixels > 128)
    assert pixels.shape == (28, 28) and pixels.dtype == np.uint8
    assert rows.max() - rows.min() + 1 == 20            # the longer side fills the box
    assert 5 <= columns.max() - columns.min() + 1 <= 7  # the shape is kept: 31 x 101
    mass = pixels.sum()
    assert (pixels.sum(1) * (np.arange(28) + 0.5)).sum() / mass == pytest.approx(14, abs=0.6)
    assert (pixels.sum(0) * (np.arange(28) + 0.5)).sum() / mass == pytest.approx(14, abs=0.6)


@given(st.integers(0, 90), st.integers(0, 150), st.sampled_from([(255, 0), (0, 255), (200, 60), (30, 180)]))
def test_place_and_colours_do_not_matter(left, top, colours):
    ground, ink = colours
    moved = drawing(at=(left + 5, top + 5, left + 35, top + 105), ground=ground, ink=ink)
    assert np.array_equal(prepare_ink(moved, 28), prepare_ink(drawing(at=(45, 60, 75, 160)), 28))


def test_an_image_of_the_networks_own_size_is_taken_as_it_is():
    own = np.zeros((28, 28), np.uint8)
    own[5:20, 10:14] = 200
    assert np.array_equal(prepare_ink(Image.fromarray(own), 28), own)
    assert np.array_equal(prepare_ink(Image.fromarray(255 - own), 28), own)     # and dark on light is turned


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_a_blank_picture_is_refused(ground):
    with pytest.raises(PictureError, match="blank"):
        prepare_ink(Image.new("L", (100, 80), ground), 28)


def test_polarity_comes_from_the_border():
    page = np.full((10, 10), 240, np.uint8)
    page[3:7, 3:7] = 10
    assert light_on_dark(page)[0, 0] == 15
    assert light_on_dark(255 - page)[0, 0] == 15


def test_ink_box_is_exact():
    page = np.zeros((30, 40), np.uint8)
    page[4:9, 11:20] = 255
    assert ink_box(page) == (4, 9, 11, 20)


@given(st.integers(1, 28), st.integers(1, 28), st.integers(0, 2**32 - 1))
def test_centring_loses_no_ink(height, width, seed):
    ink = np.random.default_rng(seed).integers(1, 255, (height, width)).astype(np.uint8)
    assert centre_by_mass(ink, 28).sum() == ink.sum()


def test_transparency_lies_on_white(tmp_path):
    picture = Image.new("RGBA", (50, 50), (0, 0, 0, 0))
    ImageDraw.Draw(picture).rectangle((10, 10, 20, 40), fill=(0, 0, 0, 255))
    picture.save(tmp_path / "clear.png")
    pixels = np.asarray(read_picture(tmp_path / "clear.png").convert("L"))
    assert pixels[0, 0] == 255 and pixels[20, 15] == 0


def test_exif_rotation_is_followed(tmp_path):
    picture = drawing(size=(60, 100), at=(5, 5, 15, 15))
    exif = picture.getexif()
    exif[0x0112] = 6                                        # turn by 90 degrees to see it upright
    picture.save(tmp_path / "turned.png", exif=exif)
    assert read_picture(tmp_path / "turned.png").size == (100, 60)


def test_sixteen_bit_palette_and_cmyk_are_read(tmp_path):
    deep = Image.fromarray(np.full((8, 8), 40_000, np.uint16))
    deep.save(tmp_path / "deep.png")
    assert np.asarray(read_picture(tmp_path / "deep.png"))[0, 0] == 40_000 >> 8
    drawing().convert("P").save(tmp_path / "palette.png")
    drawing().convert("CMYK").save(tmp_path / "print.tif")
    for name in ("palette.png", "print.tif"):
        assert prepare_ink(read_picture(tmp_path / name), 28).max() > 200


def test_a_plain_picture_is_resized_and_nothing_else():
    picture = Image.new("RGB", (10, 20), (10, 20, 30))
    pixels = prepare_plain(picture, 3, 28)
    assert pixels.shape == (3, 28, 28)
    assert [channel[0, 0] for channel in pixels] == [10, 20, 30]


def test_faults_are_one_line_that_names_the_file(tmp_path):
    (tmp_path / "text.png").write_text("not a picture")
    drawing().save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:90])
    for name, words in (("gone.png", "does not exist"), (".", "folder"), ("text.png", "cannot"), ("cut.png", "cannot")):
        with pytest.raises(PictureError, match=words) as fault:
            read_picture(tmp_path / name)
        assert str(tmp_path) in str(fault.value) and "\n" not in str(fault.value)


def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch):
    drawing().save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(PictureError, match="Shrink"):
        read_picture(tmp_path / "bomb.png")
