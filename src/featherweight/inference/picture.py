"""Any picture that a person has -> the image that the network was trained on. Pillow and numpy only."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from featherweight.errors import PictureError
from featherweight.specification import PictureSpecification

Grey = NDArray[np.uint8]
INK = 0.25                      # of the brightest pixel: what counts as ink when its box is sought
LEAST_CONTRAST = 32             # grey levels between ground and ink, below which a picture is blank


@dataclass(frozen=True)
class Prepared:
    """A picture on its way to the network: as it came, the ink that was found in it, and the pixels that go in."""

    original: Image.Image
    ink: Grey               # (H, W), light on black, before it is fitted and centred
    pixels: Grey            # (C, size, size)


def prepare(picture: Image.Image, specification: PictureSpecification) -> Prepared:
    """What the network sees of a picture that read_picture gave. PictureError for a blank one."""
    size, channels = specification.size, specification.channels
    if specification.kind == "plain":
        return Prepared(picture, np.asarray(picture.convert("L")), prepare_plain(picture, channels, size))
    pixels = prepare_ink(picture, size, specification.box)
    return Prepared(picture, light_on_dark(np.asarray(picture.convert("L"))), pixels[None])


def read_picture(path: str | Path) -> Image.Image:
    """Open a picture, turned as its EXIF data say, transparency laid on white, as 8-bit grey or RGB.

    Raises PictureError, one line, for a file that is missing, no picture, damaged or far too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                picture = ImageOps.exif_transpose(file)
                picture.load()
    except FileNotFoundError as fault:
        raise PictureError(f"picture {str(path)!r} does not exist.") from fault
    except IsADirectoryError as fault:
        raise PictureError(f"picture {str(path)!r} is a folder. Name the files in it.") from fault
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as fault:
        raise PictureError(
            f"picture {str(path)!r} has more than {Image.MAX_IMAGE_PIXELS:,} pixels. Shrink it."
        ) from fault
    except Exception as fault:  # Pillow's readers raise OSError, SyntaxError, struct.error and more
        reason = (str(fault) or type(fault).__name__).splitlines()[0]
        raise PictureError(f"picture {str(path)!r} cannot be read: {reason}") from fault
    return flatten(picture)


def flatten(picture: Image.Image) -> Image.Image:
    """Any mode -> "L" or "RGB"; 16 bits are cut to 8, transparency lies on white as it does on a page."""
    if picture.mode.startswith("I"):
        return Image.fromarray((np.asarray(picture).clip(0, 65535) >> 8).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("L" if picture.mode in ("1", "L", "LA", "F") else "RGB")


def prepare_ink(picture: Image.Image, size: int, box: int = 20) -> Grey:
    """Handwriting on any ground -> (size, size), light ink on black, fitted and centred as MNIST is.

    A picture that already has this size and a dark border is taken as it is. Raises PictureError
    for a blank one. Source of the fit: LeCun, Cortes and Burges, the MNIST page.
    """
    grey = light_on_dark(np.asarray(picture.convert("L")))
    if grey.shape == (size, size):
        return grey
    ink = stretch(grey)
    if ink is None:
        raise PictureError("the picture is blank: no ink stands out from its ground.")
    top, bottom, left, right = ink_box(ink)
    return centre_by_mass(fit(ink[top:bottom, left:right], box), size)


def prepare_plain(picture: Image.Image, channels: int, size: int) -> Grey:
    """A picture as a folder data set reads it: (channels, size, size), resized and nothing else."""
    resized = picture.convert("L" if channels == 1 else "RGB").resize((size, size), Image.Resampling.BICUBIC)
    pixels = np.asarray(resized)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def light_on_dark(grey: Grey) -> Grey:
    """Invert where the border, which is ground and not ink, is the lighter half of the range."""
    middle = (int(grey.min()) + int(grey.max())) / 2
    return 255 - grey if np.median(border(grey)) > middle else grey


def border(grey: Grey) -> Grey:
    """The outermost pixels, (2 H + 2 W,)."""
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def stretch(grey: Grey) -> Grey | None:
    """The ground to 0 and the brightest ink to 255; None for a blank picture."""
    ground, brightest = float(np.median(border(grey))), float(grey.max())
    if brightest - ground < LEAST_CONTRAST:
        return None
    return ((grey - ground) / (brightest - ground) * 255).clip(0, 255).astype(np.uint8)


def ink_box(ink: Grey) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) around all pixels that stand out from black."""
    marks = ink > INK * 255
    rows, columns = np.flatnonzero(marks.any(axis=1)), np.flatnonzero(marks.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def fit(ink: Grey, box: int) -> Grey:
    """Scale so that the longer side is box pixels, keeping the shape."""
    picture = Image.fromarray(ink)
    scale = box / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))


def centre_by_mass(ink: Grey, size: int) -> Grey:
    """Lay ink on a black square so that its centre of mass is the square's centre, as far as it fits."""
    height, width = ink.shape
    mass = ink.sum(dtype=np.float64)
    row = (ink.sum(axis=1) * (np.arange(height) + 0.5)).sum() / mass
    column = (ink.sum(axis=0) * (np.arange(width) + 0.5)).sum() / mass
    top = int(np.clip(round(size / 2 - row), 0, size - height))
    left = int(np.clip(round(size / 2 - column), 0, size - width))
    square = np.zeros((size, size), np.uint8)
    square[top : top + height, left : left + width] = ink
    return square
