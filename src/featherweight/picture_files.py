"""What holds for every picture file, whether it is learned from or asked about: its endings, places and ground."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "AVIF", "JPEG2000", "PPM")     # EPS would start a program
MOST_BYTES = 150_000_000        # of a decoded picture, which is copied a few times on its way
BYTES = {"1": 1, "L": 1, "I;16": 3, "RGB": 4, "CMYK": 4}            # a pixel; others with a copy while they shrink: 8
LARGEST = 1600  # pixels of the longer side: what is larger is shrunk while it is read
LIGHT = 160     # mean of the opaque pixels, 0..255, from which on white would swallow what is drawn


def expand(arguments: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Files, folders and globs -> picture files in their order, and a line for each that gives none."""
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
    """Return how many pixels of this kind of picture are read; a JPEG that has more can be shrunk while it is read."""
    return MOST_BYTES // BYTES.get(picture.mode, 8)


def on_its_ground(picture: Image.Image) -> Image.Image:
    """Any mode -> "RGBA" without transparency: laid on white, or on black where what is drawn is light."""
    picture = picture.convert("RGBA")
    if picture.getchannel("A").getextrema() == (255, 255):      # a browser's canvas has the channel for nothing
        return picture
    pixels = np.asarray(picture)
    opaque = pixels[pixels[..., 3] > 127]
    light = len(opaque) > 0 and opaque[:, :3].mean() > LIGHT
    return Image.alpha_composite(Image.new("RGBA", picture.size, "black" if light else "white"), picture)
