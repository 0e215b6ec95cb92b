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

from featherweight.errors import DataError, install_command
from featherweight.files import plain_file
from featherweight.picture_files import LARGEST, NEEDS_HEIF, formats, is_heic, most_pixels, on_its_ground, squared
from featherweight.specification import Fit
from featherweight.wording import either

Bytes = NDArray[np.uint8]
MODES = {1: "L", 3: "RGB"}
MOST_LISTED = 20        # damaged pictures that a message lists; the others are counted
MEND = " Mend or remove it."
HEIC_ENDS = ", which needs pillow-heif"     # of the fault of a HEIC picture, see NEEDS_HEIF
SKIP_IN_PYTHON = "settings=['data.skip_damaged=true']"
Source = Callable[[], "Path | IO[bytes]"]
Decoded = tuple[Bytes, dict[int, str]]      # images of the pictures that can be read, and place -> fault of the others


def decode_pictures(files: Sequence[Path], channels: int, size: int, fit: Fit) -> Decoded:
    """Decode picture files, as far as they can be read."""
    return decode_all([partial(plain_file, file) for file in files], list(map(str, files)), channels, size, fit)


def decode_many(contents: Sequence[bytes], titles: Sequence[str], channels: int, size: int, fit: Fit) -> Decoded:
    """Decode the contents of picture files, as far as they can be read. titles: names of the pictures in messages."""
    return decode_all([partial(io.BytesIO, content) for content in contents], titles, channels, size, fit)


def decode_all(sources: Sequence[Source], titles: Sequence[str], channels: int, size: int, fit: Fit) -> Decoded:
    """Decode pictures to (N, channels, size, size), without those that cannot be decoded."""
    pixels, faults = np.empty((len(sources), channels, size, size), np.uint8), {}
    with _strict_pillow():
        for place, (source, title) in enumerate(zip(sources, titles, strict=True)):
            try:
                pixels[place] = decode_opened(source, title, channels, size, fit)
            except DataError as fault:
                faults[place] = str(fault)
    return (np.delete(pixels, list(faults), axis=0) if faults else pixels), faults


def damaged(faults: Sequence[str], count: int) -> DataError:
    """Return the error for pictures that cannot be read, out of `count`: a line for each, at most MOST_LISTED."""
    skip = f"or skip them in training: {either('--skip-damaged', SKIP_IN_PYTHON)}"
    if len(faults) == 1:
        return DataError(f"{faults[0].removesuffix('.')}, {skip.replace('them', 'it')}")
    lines = [fault.removesuffix(MEND).partition(HEIC_ENDS)[0] for fault in faults[:MOST_LISTED]]
    more = [f"... and {len(faults) - MOST_LISTED:,} more"] if len(faults) > MOST_LISTED else []
    if any(HEIC_ENDS in fault for fault in faults):
        more.append(f"HEIC needs pillow-heif. Install it with: {install_command('heic')}")
    what = f"{len(faults):,} of {count:,} pictures cannot be read"
    return DataError(f"{what}. Mend or remove them, {skip}", *lines, *more)


def decode_picture(file: Path, channels: int, size: int, fit: Fit = "letterbox") -> Bytes:
    """Decode one picture file to (channels, size, size).

    - The rotation in the EXIF data is applied.
    - Transparent pixels become white, or black if the ink is light.
    - Values of 16 bits are reduced to 8 bits.
    - Only the first frame of an animation is used.
    - The picture is resized with antialiased bicubic interpolation. `fit` tells how it becomes a square.

    Raises DataError for a file that cannot be decoded or has too many pixels.
    """
    return decode_opened(lambda: plain_file(file), str(file), channels, size, fit)


def decode_opened(source: Source, title: str, channels: int, size: int, fit: Fit) -> Bytes:
    """Decode one picture from what `source` returns. The rules are those of decode_picture."""
    try:
        with Image.open(source(), formats=formats()) as opened:
            check_size(opened)
            picture = flat(ImageOps.exif_transpose(opened), MODES[channels])
            return _channels_first(squared(picture, size, fit))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as fault:
        raise DataError(f"{title} has more pixels than can be read. Shrink or remove it.") from fault
    except Exception as fault:  # Pillow's readers raise struct.error, SyntaxError and more
        if isinstance(fault, UnidentifiedImageError) and is_heic(start_of(source)):
            raise DataError(f"{title} {NEEDS_HEIF} {install_command('heic')}") from fault
        raise DataError(f"{title} cannot be read as a picture: {_line(fault)}.{MEND}") from fault


def start_of(source: Source) -> bytes:
    """Return the first 12 bytes of a picture file."""
    opened = source()
    with opened.open("rb") if isinstance(opened, Path) else opened as file:
        return file.read(12)


def check_size(opened: Image.Image) -> None:
    """Raise DecompressionBombError for a picture that takes too much memory. Let a large JPEG be decoded smaller."""
    if opened.width * opened.height > most_pixels(opened):
        opened.draft("RGB", (LARGEST, LARGEST))
    if opened.width * opened.height > most_pixels(opened):
        raise Image.DecompressionBombError


def resize_grey(images: Bytes, size: int, fit: Fit = "letterbox") -> Bytes:
    """Resize images (N, H, W) to (N, size, size), bicubic and antialiased. Images of that size are not copied."""
    if images.shape[1:] == (size, size):
        return images
    return np.stack([np.asarray(squared(Image.fromarray(image), size, fit)) for image in images])


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
