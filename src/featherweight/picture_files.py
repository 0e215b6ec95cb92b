"""Rules for picture files that training data and prediction share: file endings, size limits and background."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "AVIF", "JPEG2000", "PPM")     # EPS would start a program
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
