"""Rules for picture files that training data and prediction share: endings, size limits, background and shape."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".heic", ".heif")
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "AVIF", "JPEG2000", "PPM")     # EPS would start a program
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")     # bytes 8 to 11, after "ftyp"
NEEDS_HEIF = "is a HEIC picture, which needs pillow-heif. Convert it to JPEG, or install pillow-heif with:"
MOST_NAMED = 10         # files in a message; the others are counted
MOST_BYTES = 150_000_000        # largest decoded picture; a few copies of it are made later
BYTES = {"1": 1, "L": 1, "I;16": 3, "RGB": 4, "CMYK": 4}            # bytes per pixel; other modes, with a copy: 8
LARGEST = 1600  # pixels of the longer side: a larger picture is shrunk while it is read
LIGHT = 160     # mean of the opaque pixels, 0..255: a lighter drawing could not be seen on white


def expand(arguments: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Return the picture files of files, folders and glob patterns, in order, and a list of messages.

    The second list has a message for each folder or pattern without a picture.
    """
    files: list[Path] = []
    faults = []
    for argument in arguments:
        if argument.is_dir():
            found = sorted(file for file in argument.iterdir() if file.suffix.lower() in SUFFIXES)
            if not found:
                faults.append(f"folder {str(argument)!r} holds no picture ({' '.join(SUFFIXES)}). Name files.")
        elif not argument.exists() and glob.has_magic(str(argument)):
            found = sorted(Path(name) for name in glob.glob(str(argument)))      # noqa: PTH207  the pattern may be absolute
            if not found:
                faults.append(f"no file fits {str(argument)!r}. Check the pattern.")
        else:
            found = [argument]
        files += found
    return files, faults


def left_out(arguments: Sequence[Path]) -> list[str]:
    """Return a sentence for each folder about the files in it that are no pictures by their names. Hidden files are not
    named.
    """
    said = []
    for folder in filter(Path.is_dir, arguments):
        others = sorted(file.name for file in folder.iterdir()
                        if file.is_file() and file.suffix.lower() not in SUFFIXES and not file.name.startswith("."))
        if others:
            count = "1 file is" if len(others) == 1 else f"{len(others):,} files are"
            said.append(f"{folder}: {count} no picture and skipped: {some_of(others)}")
    return said


def some_of(names: Sequence[str]) -> str:
    """Return the names as one text: at most MOST_NAMED of them, and the number of the others."""
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


@cache
def formats() -> tuple[str, ...]:
    """Return the names of Pillow's formats that are read: FORMATS, and HEIC if pillow-heif is installed."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return FORMATS
    register_heif_opener()
    return (*FORMATS, "HEIF")


def is_heic(start: bytes) -> bool:
    """Return True if a file with these first 12 bytes is a HEIC picture, as telephones write them."""
    return start[4:8] == b"ftyp" and start[8:12] in HEIC_BRANDS


def squared(picture: Image.Image, size: int, fit: str) -> Image.Image:
    """Return a picture of mode "L" or "RGB" in `size` x `size` pixels. Pillow's bicubic filter is antialiased.

    - "letterbox": the longer side becomes `size`, the shape stays. The rest of the square has the colour of the border.
    - "stretch": both sides become `size`, so a circle in a wide picture becomes an ellipse.
    """
    if picture.size == (size, size):
        return picture
    if fit == "stretch" or picture.width == picture.height:
        return picture.resize((size, size), Image.Resampling.BICUBIC)
    longer = max(picture.size)
    width, height = (max(1, round(side * size / longer)) for side in picture.size)
    inner = picture.resize((width, height), Image.Resampling.BICUBIC)
    square = Image.new(picture.mode, (size, size), border_colour(inner))
    square.paste(inner, ((size - width) // 2, (size - height) // 2))
    return square


def border_colour(picture: Image.Image) -> int | tuple[int, ...]:
    """Return the median of the border pixels, in each channel: the paper of a drawing, the ground of most photos."""
    pixels = np.asarray(picture)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    median = np.median(border, axis=0).astype(int)
    return int(median) if median.ndim == 0 else tuple(median.tolist())


def most_pixels(picture: Image.Image) -> int:
    """Return the largest number of pixels allowed for a picture of this mode. A larger JPEG can be read shrunk."""
    return MOST_BYTES // BYTES.get(picture.mode, 8)


def on_its_ground(picture: Image.Image) -> Image.Image:
    """Return the picture in mode "RGBA" on an opaque background: white, or black if the drawing is light."""
    picture = picture.convert("RGBA")
    if picture.getchannel("A").getextrema() == (255, 255):      # fully opaque, as from a browser's canvas
        return picture
    pixels = np.asarray(picture)
    opaque = pixels[pixels[..., 3] > 127]
    light = len(opaque) > 0 and opaque[:, :3].mean() > LIGHT
    return Image.alpha_composite(Image.new("RGBA", picture.size, "black" if light else "white"), picture)
