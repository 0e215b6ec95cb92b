"""Convert picture files or grey arrays to uint8 images of a given size. Used by the loaders of this folder."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from featherweight.errors import DataError
from featherweight.files import plain_file
from featherweight.picture_files import FORMATS, LARGEST, most_pixels, on_its_ground

Bytes = NDArray[np.uint8]
MODES = {1: "L", 3: "RGB"}


def decode_pictures(files: Sequence[Path], channels: int, size: int) -> Bytes:
    """Decode picture files to (N, channels, size, size). Raise DataError for the first file that cannot be decoded."""
    pixels = np.empty((len(files), channels, size, size), np.uint8)
    with _strict_pillow():
        for row, file in zip(pixels, files, strict=True):
            row[:] = decode_picture(file, channels, size)
    return pixels


def decode_picture(file: Path, channels: int, size: int) -> Bytes:
    """Decode one picture file to (channels, size, size).

    - The rotation in the EXIF data is applied.
    - Transparent pixels become white, or black if the ink is light.
    - Values of 16 bits are reduced to 8 bits.
    - Only the first frame of an animation is used.
    - The picture is resized with antialiased bicubic interpolation. A picture that is not square is stretched.

    Raises DataError for a file that cannot be decoded or has too many pixels.
    """
    return decode_opened(lambda: plain_file(file), str(file), channels, size)


def decode_many(contents: Sequence[bytes], titles: Sequence[str], channels: int, size: int) -> Bytes:
    """Decode the contents of picture files to (N, channels, size, size). titles: names of the pictures in messages."""
    pixels = np.empty((len(contents), channels, size, size), np.uint8)
    with _strict_pillow():
        for row, content, title in zip(pixels, contents, titles, strict=True):
            row[:] = decode_opened(partial(io.BytesIO, content), title, channels, size)
    return pixels


def decode_opened(source: Callable[[], Path | IO[bytes]], title: str, channels: int, size: int) -> Bytes:
    """Decode one picture from what `source` returns. The rules are those of decode_picture."""
    try:
        with Image.open(source(), formats=FORMATS) as opened:
            check_size(opened)
            picture = flat(ImageOps.exif_transpose(opened), MODES[channels])
            return _channels_first(resize(picture, size))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as fault:
        raise DataError(f"{title} has more pixels than can be read. Shrink or remove it.") from fault
    except Exception as fault:  # Pillow's readers raise struct.error, SyntaxError and more
        raise DataError(f"{title} cannot be read as a picture: {_line(fault)}. Mend or remove it.") from fault


def check_size(opened: Image.Image) -> None:
    """Raise DecompressionBombError for a picture that takes too much memory. Let a large JPEG be decoded smaller."""
    if opened.width * opened.height > most_pixels(opened):
        opened.draft("RGB", (LARGEST, LARGEST))
    if opened.width * opened.height > most_pixels(opened):
        raise Image.DecompressionBombError


def resize_grey(images: Bytes, size: int) -> Bytes:
    """Resize images (N, H, W) to (N, size, size), bicubic and antialiased. Images of that size are not copied."""
    if images.shape[1:] == (size, size):
        return images
    return np.stack([np.asarray(resize(Image.fromarray(image), size)) for image in images])


def resize(picture: Image.Image, size: int) -> Image.Image:
    """Return the picture in `size` x `size` pixels. Pillow's bicubic filter is antialiased when it shrinks."""
    return picture if picture.size == (size, size) else picture.resize((size, size), Image.Resampling.BICUBIC)


def flat(picture: Image.Image, mode: str) -> Image.Image:
    """Convert a picture to `mode`, "L" (grey) or "RGB", without transparency."""
    if picture.mode.startswith("I"):  # 16 bits: Pillow's own conversion would clip at 255
        picture = Image.fromarray((np.asarray(picture).clip(0, 65535) >> 8).astype(np.uint8))
    if picture.mode == "F":
        raise ValueError("it holds floating-point pixels")
    if picture.has_transparency_data:
        picture = on_its_ground(picture)
    return picture.convert(mode)


def _channels_first(picture: Image.Image) -> Bytes:
    pixels = np.asarray(picture)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _line(fault: Exception) -> str:
    """Return one line for a fault of Pillow. UnidentifiedImageError is reworded, because its text repeats the path."""
    if isinstance(fault, UnidentifiedImageError):
        return "its content is of no known format"
    return (str(fault) or type(fault).__name__).splitlines()[0].rstrip(".")


@contextmanager
def _strict_pillow() -> Iterator[None]:
    """Turn Pillow's warning of a decompression bomb into an error. Ignore its other warnings, e.g. of bad EXIF data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield
