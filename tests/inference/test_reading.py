"""Files that people and attackers have -> pictures, or one line."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageDraw

from featherweight.errors import PictureError
from featherweight.inference import reading
from featherweight.inference.reading import read_picture


def drawing(mode="L", ground=255, ink=0, size=(60, 90)):
    picture = Image.new(mode, size, ground)
    ImageDraw.Draw(picture).rectangle((10, 20, 20, 70), fill=ink)
    return picture


def png_of(width, height):
    """A PNG that claims a size and holds next to nothing."""
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def grey_of(picture):
    return np.asarray(picture.convert("L")).astype(int)


@pytest.mark.parametrize(("mode", "ground", "ink", "name"), [
    ("L", 255, 0, "a.png"), ("1", 1, 0, "a.png"), ("RGB", "white", "black", "a.jpg"), ("L", 255, 0, "a.gif"),
    ("CMYK", (0, 0, 0, 0), (0, 0, 0, 255), "a.tif"), ("CMYK", (0, 0, 0, 0), (0, 0, 0, 255), "a.jpg"),
    ("RGBA", (0, 0, 0, 0), (0, 0, 0, 255), "a.png"), ("LA", (0, 0), (0, 255), "a.png"), ("F", 1.0, 0.0, "a.tif"),
    ("RGB", "white", "black", "a.webp"), ("RGB", "white", "black", "a.bmp"), ("L", 255, 0, "wrong-ending.pdf"),
])
def test_every_mode_and_format_is_dark_ink_on_white(tmp_path, mode, ground, ink, name):
    drawing(mode, ground, ink).save(tmp_path / name, None if "wrong" not in name else "PNG")
    picture = read_picture(tmp_path / name)
    assert picture.mode in ("L", "RGB")
    assert grey_of(picture)[2, 2] > 245 and grey_of(picture)[45, 15] < 12


def test_sixteen_bits_are_cut_to_eight(tmp_path):
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(tmp_path / "deep.png")
    assert grey_of(read_picture(tmp_path / "deep.png"))[0, 0] == 40_000 >> 8


def test_a_palette_with_transparency_lies_on_white(tmp_path):
    drawing("RGBA", (0, 0, 0, 0), (0, 0, 0, 255)).quantize(8).save(tmp_path / "palette.png")
    assert grey_of(read_picture(tmp_path / "palette.png"))[2, 2] > 245


def test_white_ink_on_nothing_lies_on_black(tmp_path):
    drawing("RGBA", (0, 0, 0, 0), (255, 255, 255, 255)).save(tmp_path / "light.png")
    grey = grey_of(read_picture(tmp_path / "light.png"))
    assert grey[2, 2] < 12 and grey[45, 15] > 245


def test_exif_rotation_is_followed_also_where_a_picture_is_shrunk(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6                                        # turn by 90 degrees to see it upright
    for size, name in (((60, 100), "a.png"), ((1800, 4000), "b.png"), ((1800, 4000), "c.jpg")):
        Image.new("L", size, 255).save(tmp_path / name, exif=exif)
        picture = read_picture(tmp_path / name)
        assert picture.width > picture.height and max(picture.size) < 3200


def test_of_an_animation_the_first_frame_counts(tmp_path):
    drawing().save(tmp_path / "a.gif", save_all=True, append_images=[Image.new("L", (60, 90), 0)])
    assert grey_of(read_picture(tmp_path / "a.gif"))[2, 2] > 245


def test_a_grey_picture_in_colours_becomes_grey():
    stored = io.BytesIO()
    drawing("RGB", "white", "black").save(stored, "PNG")
    stored.seek(0)
    assert read_picture(stored).mode == "L"


FAULTS = {
    "gone.png": (None, "does not exist"),
    "text.png": (b"not a picture", "no known picture format"),
    "empty.png": (b"", "no known picture format"),
    "bomb.png": (png_of(60_000, 60_000), "far more pixels"),
    "large.png": (png_of(9_000, 9_000), "at most 37,500,000"),
    "one.png": (png_of(1, 1), "at least 4 x 4"),
    "line.png": (png_of(20_000, 1), "20,000 x 1"),
    "ribbon.png": (png_of(20_000, 10), "50 times the other"),
    "cut.png": (png_of(50, 50), "cannot be read"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_one_line_that_names_the_file_and_the_next_move(tmp_path, name):
    content, words = FAULTS[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(PictureError, match=words) as fault:
        read_picture(tmp_path / name)
    assert str(tmp_path / name) in str(fault.value) and "\n" not in str(fault.value) and str(fault.value)[-1] == "."


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(PictureError, match="is a folder"):
        read_picture(tmp_path)


def test_a_truncated_jpeg_is_refused_and_a_stream_has_no_name(tmp_path):
    stored = io.BytesIO()
    Image.effect_noise((90, 90), 50).save(stored, "JPEG")
    with pytest.raises(PictureError, match=r"^the picture cannot be read"):
        read_picture(io.BytesIO(stored.getvalue()[:900]))


def test_no_reader_of_pillow_gets_through_with_another_exception():
    """Damaged at every place: a picture or a PictureError, nothing else."""
    rng = np.random.default_rng(0)
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"):
        stored = io.BytesIO()
        drawing("RGB", "white", "black").save(stored, kind)
        whole = np.frombuffer(stored.getvalue(), np.uint8)
        for _ in range(25):
            damaged = whole.copy()
            damaged[rng.integers(0, len(whole), 6)] = rng.integers(0, 256, 6)
            with contextlib.suppress(PictureError):
                assert read_picture(io.BytesIO(damaged.tobytes())).mode in ("L", "RGB")


def test_large_pictures_are_shrunk_before_they_take_memory(tmp_path):
    Image.new("RGB", (5000, 4000), "white").save(tmp_path / "large.png", compress_level=1)
    assert max(read_picture(tmp_path / "large.png").size) < 2 * reading.LARGEST


def test_postscript_is_not_run(tmp_path):
    Image.new("RGB", (80, 80)).save(tmp_path / "a.eps")
    with pytest.raises(PictureError, match="is of no known picture format"):
        read_picture(tmp_path / "a.eps")
