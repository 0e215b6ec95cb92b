"""Convert the arguments of `predict` (paths, folders, globs, Pillow images, arrays, tensors) to named pictures.

Needs only numpy and Pillow. A tensor is recognised by its methods, because torch may not be installed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from featherweight.errors import PictureError
from featherweight.inference.reading import check_size, flatten, read_picture, reason_of, shrink
from featherweight.picture_files import expand
from featherweight.specification import PictureSpecification

Array = NDArray[Any]
ALLOWED = "Give a path, a picture of Pillow, an array or tensor, or a list of such."


def is_single(pictures: Any, channels: int) -> bool:
    """Return True for one picture: a path of a file, a Pillow image, or an array of one image.

    Arrays of shape (H, W), (1, H, W), (H, W, 1) and (H, W, 3) are one image.
    (3, H, W) is one image if the network takes 3 channels, else 3 images.
    """
    if isinstance(pictures, str | Path):
        return expand([Path(pictures)])[0] == [Path(pictures)]
    if not hasattr(pictures, "ndim"):
        return isinstance(pictures, Image.Image)
    shape = tuple(pictures.shape)
    return len(shape) == 2 or (len(shape) == 3 and (shape[2] in (1, 3) or shape[0] in {1, channels}))


def each_picture(pictures: Any, specification: PictureSpecification) -> Iterator[tuple[str, Image.Image]]:
    """Yield the name and the image of each picture. Raises PictureError (one line) for the first unreadable one."""
    if isinstance(pictures, str | Path):
        files, faults = expand([Path(pictures)])
        if faults:
            raise PictureError(faults[0])
        yield from ((str(file), read_picture(file)) for file in files)
    elif isinstance(pictures, Image.Image):
        yield from each_picture([pictures], specification)
    elif hasattr(pictures, "ndim"):
        array = as_array(pictures)
        images = [array] if is_single(array, specification.channels) else list(array)
        yield from ((f"image {place}", of_array(one, place, specification)) for place, one in enumerate(images))
    elif isinstance(pictures, Sequence):
        yield from each_of_many(pictures, specification)
    else:
        raise PictureError(f"pictures: {type(pictures).__name__} is no picture. {ALLOWED}")


def each_of_many(pictures: Sequence[Any], specification: PictureSpecification) -> Iterator[tuple[str, Image.Image]]:
    """Yield the name and the image of each item of a list. An item without a path is named by its index."""
    for place, one in enumerate(pictures):
        if isinstance(one, str | Path):
            yield from each_picture(one, specification)
        elif isinstance(one, Image.Image):
            yield str(getattr(one, "filename", "") or f"image {place}"), of_pillow(one, place)
        elif hasattr(one, "ndim"):
            yield f"image {place}", of_array(as_array(one), place, specification)
        else:
            raise PictureError(f"pictures: item {place} is of type {type(one).__name__}, no picture. {ALLOWED}")


def of_pillow(picture: Image.Image, place: int) -> Image.Image:
    """Return a copy of a Pillow image, converted as `read_picture` converts a file. `place` stands in messages."""
    try:
        own = picture.copy()
        check_size(own)
        return flatten(ImageOps.exif_transpose(shrink(own)))
    except Exception as fault:      # Pillow raises OSError, SyntaxError, struct.error and more
        raise PictureError(f"image {place} {reason_of(fault)}") from fault


def of_array(array: Array, place: int, specification: PictureSpecification) -> Image.Image:
    """Return an array as a picture. Shape: (H, W), or with 1 or 3 channels first or last.

    Values: bytes, or in the range of the training images. Raises PictureError for other shapes, types and values.
    """
    if array.dtype.kind not in "buif" or array.ndim not in (2, 3) or 0 in array.shape:
        raise PictureError(f"image {place} has the shape {array.shape} and dtype {array.dtype}. Allowed: (H, W), "
                           "(C, H, W) and (H, W, C) of numbers, with C 1 or 3.")
    if array.ndim == 3 and array.shape[2] not in (1, 3):
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] not in (1, 3):
        raise PictureError(f"image {place} has {array.shape[2]} channels. Allowed: 1 (grey) or 3 (red, green, blue).")
    pixels = as_bytes(array, place, specification.span)
    grey = pixels.ndim == 2 or pixels.shape[2] == 1
    return Image.fromarray(np.ascontiguousarray(pixels.reshape(array.shape[:2]) if grey else pixels))


def as_bytes(array: Array, place: int, span: tuple[float, float]) -> NDArray[np.uint8]:
    """Return the values as uint8. A uint8 array is returned as it is.

    Other values are scaled from `span`, the range of the training images, to 0..255.
    With the span (0, 255), values that are all at most 1 are scaled from [0, 1].
    Raises PictureError for NaN or infinity, and with the span (0, 255) for values outside [0, 255].
    """
    if array.dtype == np.uint8:
        return array
    low, high = float(array.min()), float(array.max())
    if not np.isfinite(low) or not np.isfinite(high):
        raise PictureError(f"image {place} holds NaN or infinity. Give finite values.")
    if span == (0, 255):
        if low < 0 or high > 255:
            raise PictureError(f"image {place} has values from {low:.4g} to {high:.4g}. Allowed: [0, 1] and [0, 255]; "
                               "undo a normalisation, the run has its own.")
        span = (0, 1) if high <= 1 else span
    values = (array.astype(np.float64) - span[0]) * (255 / (span[1] - span[0]))
    made: NDArray[np.uint8] = np.rint(values.clip(0, 255)).astype(np.uint8)
    return made


def as_array(values: Any) -> Array:
    """Return an array or a tensor as a numpy array."""
    return np.asarray(values.detach().cpu().numpy() if hasattr(values, "detach") else values)
