"""Read a picture from a file or a stream, or raise an error of one line. Uses Pillow and numpy."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from featherweight.errors import PictureError, install_command
from featherweight.files import plain_file
from featherweight.outside import shortened
from featherweight.picture_files import LARGEST, NEEDS_HEIF, formats, is_heic, most_pixels, on_its_ground

SMALLEST, MOST_UNEVEN = 4, 50   # shorter side in pixels, at least; longer side / shorter side, at most


def read_picture(source: str | Path | IO[bytes]) -> Image.Image:
    """Open a picture as 8-bit "L" or "RGB", rotated as its EXIF data say, without transparency.

    Of an animation, the first frame is read. A longer side of 3200 pixels or more is reduced, to at least 1600.
    Raises PictureError (one line) if the file is missing, not a picture, damaged, tiny or far too large.
    """
    name = "the picture" if hasattr(source, "read") else f"picture {str(source)!r}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if isinstance(source, str | Path):
                plain_file(Path(source))
            with Image.open(source, formats=formats()) as file:
                check_size(file)
                return flatten(ImageOps.exif_transpose(shrink(file)))
    except FileNotFoundError as fault:
        raise PictureError(f"{name} does not exist. Check the path.") from fault
    except IsADirectoryError as fault:
        raise PictureError(f"{name} is a folder. Name the files in it.") from fault
    except Exception as fault:  # Pillow's readers raise OSError, SyntaxError, struct.error and more
        if isinstance(fault, UnidentifiedImageError) and is_heic(start_of(source)):
            raise PictureError(f"{name} {NEEDS_HEIF} {install_command('heic')}") from fault
        raise PictureError(f"{name} {reason_of(fault)}") from fault


def start_of(source: str | Path | IO[bytes]) -> bytes:
    """Return the first 12 bytes of a file or of a stream."""
    if isinstance(source, str | Path):
        with Path(source).open("rb") as file:
            return file.read(12)
    source.seek(0)
    return source.read(12)


def check_size(file: Image.Image) -> None:
    """Raise _Unfit for a picture that is too small, too long or too large. The picture is not decoded for this."""
    short, long = sorted(file.size)
    size = f"{file.width:,} x {file.height:,} pixels"
    if short < SMALLEST:
        raise _Unfit(f"has {size}; at least {SMALLEST} x {SMALLEST} are needed. Give a larger one.")
    if long > MOST_UNEVEN * short:
        raise _Unfit(f"has {size}; one side is more than {MOST_UNEVEN} times the other. Cut it out.")
    file.draft("RGB", (LARGEST, LARGEST))       # JPEG decodes at 1/8, 1/4 or 1/2 of its size; other formats ignore it
    most = most_pixels(file)
    if file.width * file.height > most:
        raise _Unfit(f"has {size}; at most {most:,} in all are read. Shrink it.")


def shrink(file: Image.Image) -> Image.Image:
    """Decode a picture and reduce a large one, because every later step needs as much memory again."""
    deep, factor = file.mode.startswith(("I", "F")), max(file.size) // LARGEST
    if not deep and factor < 2:
        file.load()
        return file
    exif = file.getexif()
    picture = eight_bits(file) if deep else file
    if factor >= 2:
        reducible = {"1": "L", "P": "RGBA", "PA": "RGBA"}.get(picture.mode)
        picture = (picture.convert(reducible) if reducible else picture).reduce(factor)
    picture.getexif().update(exif)
    return picture


def eight_bits(picture: Image.Image) -> Image.Image:
    """Return a picture of 16-bit, 32-bit or floating-point pixels as "L".

    The highest pixel decides the range of the values: [0, 1], [0, 255] or [0, 65535].
    """
    deep = np.asarray(picture)
    highest = float(deep.max())
    top = 65535 if highest > 255 else 255 if highest > 1 else 1
    if top == 65535 and deep.dtype == np.uint16:
        return Image.fromarray((deep >> 8).astype(np.uint8))
    return Image.fromarray((deep.astype(np.float32) * np.float32(255 / top)).clip(0, 255).astype(np.uint8))


def flatten(picture: Image.Image) -> Image.Image:
    """Convert a picture of any mode to "L" or "RGB". Transparent pixels become white, or black if the ink is light."""
    if picture.has_transparency_data:
        picture = on_its_ground(picture)
    if picture.mode in ("1", "L", "LA"):
        return picture.convert("L")
    picture = picture.convert("RGB")
    red, green, blue = picture.split()
    return red if red.tobytes() == green.tobytes() == blue.tobytes() else picture      # 1 channel costs a third of 3


class _Unfit(Exception):
    """The exception for an intact picture whose size is not allowed. Its text is the reason."""


def reason_of(fault: Exception) -> str:
    """Return the reason of an exception as one line without the path. UnidentifiedImageError would repeat the path."""
    if isinstance(fault, _Unfit):
        return str(fault)
    if isinstance(fault, UnidentifiedImageError):
        return "cannot be read: it is of no known picture format. Give a PNG or JPEG file."
    if isinstance(fault, Image.DecompressionBombError):
        return "has far more pixels than can be read. Shrink it."
    reason = fault.strerror if isinstance(fault, OSError) and fault.strerror else str(fault) or type(fault).__name__
    return f"cannot be read: {shortened(reason.splitlines()[0].rstrip('.'))}. Give another file."
