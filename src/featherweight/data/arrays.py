"""Convert the arrays that a user passes in Python to uint8 images (N, C, H, W). Pure functions, used by objects.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.data.pictures import Bytes, resize_grey
from featherweight.errors import DataError
from featherweight.specification import Fit

Array = NDArray[Any]
SIDES = (4, 512)            # pixels: the limits of a recipe's data.size
GREY = (19595, 38470, 7471)     # weights of red, green and blue, in parts of 65,536: the same as Pillow's
SLICE = 4096                # images converted at a time, to avoid a second copy of all floats


@dataclass(frozen=True)
class Span:
    """Pixel values that are mapped to 0 (`low`) and 255 (`high`).

    words: the mapping as a phrase for the user; empty if the pixels stay unchanged.
    """

    low: float
    high: float
    words: str = ""


def as_array(values: Any, what: str) -> Array:
    """Convert a tensor, nested lists or anything that numpy accepts to an array. An array is not copied.

    what: the name of the values in messages, e.g. "training images".
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = (values.float() if str(values.dtype) == "torch.bfloat16" else values).numpy()
    elif isinstance(values, list | tuple) and values and hasattr(values[0], "detach"):
        values = [as_array(one, what) for one in values]
    try:
        return np.asarray(values)
    except ValueError as fault:
        raise DataError(f"data: the {what} have different shapes. Make them alike, or give size=28 with pictures.") \
            from fault


def channels_first(images: Array, what: str) -> Array:
    """Return a view (N, C, H, W) of images (N, H, W), (N, C, H, W) or (N, H, W, C), with C 1 or 3.

    Raises DataError for other shapes and for values that are not numbers.
    """
    shape = tuple(images.shape)
    allowed = "Allowed: (N, H, W), (N, C, H, W) and (N, H, W, C) with C 1 or 3."
    if images.dtype.kind not in "buif":
        raise DataError(f"data: the {what} are of dtype {images.dtype}, which holds no pixels. Give numbers of one "
                        "shape: uint8, or floats.")
    if 0 in shape:
        raise DataError(f"data: the {what} are empty, their shape is {shape}. Give at least one of each class.")
    if images.ndim == 2 and (side := round(shape[1] ** 0.5)) ** 2 == shape[1]:
        raise DataError(f"data: the {what} have the shape {shape}. {allowed} Flat ones: images.reshape(-1, {side}, "
                        f"{side}).")
    if images.ndim == 3:
        return images[:, None]
    first, last = images.ndim == 4 and shape[1] in (1, 3), images.ndim == 4 and shape[3] in (1, 3)
    if first and last:
        raise DataError(f"data: the {what} have the shape {shape}, and axis 1 or axis 3 may be the channels. Give "
                        "images of at least 4 pixels a side.")
    if not first and not last:
        more = " Leave transparency out: images[..., :3]." if images.ndim == 4 and shape[3] == 4 else ""
        raise DataError(f"data: the {what} have the shape {shape}. {allowed}{more}")
    return images if first else images.transpose(0, 3, 1, 2)


def span_of(images: Array, what: str) -> Span:
    """Return the pixel values that are mapped to 0 and 255, measured on training images.

    - uint8: 0 and 255.
    - All values in [0, 1]: 0 and 1.
    - All values in [0, 255], the highest above 127: 0 and 255.
    - Any other values: the lowest and the highest of them.

    Raises DataError if all values are equal.
    """
    if images.dtype == np.uint8:
        return Span(0, 255)
    kind = "floats" if images.dtype.kind == "f" else "whole numbers"
    low, high = lowest_and_highest(images, what)
    if low >= 0 and high <= 1:
        return Span(0, 1, f"{kind} from 0 to 1, times 255")
    if low >= 0 and 127 < high <= 255:
        return Span(0, 255, f"{kind} from {low:.4g} to {high:.4g}, rounded" if kind == "floats" else "")
    if low == high:
        raise DataError(f"data: the {what} have the value {low:g} everywhere. Give other images.")
    return Span(low, high, f"{kind} from {low:.4g} to {high:.4g}, mapped to 0..255")


def check_span(images: Array, span: Span, like: Array, what: str) -> None:
    """Raise DataError if test images are on another scale than the training images `like`.

    This is the case if the types differ (uint8 or not), or if values lie far outside `span`, that of `like`.
    Example: test images 0..255 with training images 0..1.
    """
    if (images.dtype == np.uint8) != (like.dtype == np.uint8):
        raise DataError(f"data: the {what} are {images.dtype}, the training images {like.dtype}. Give both alike.")
    if images.dtype == np.uint8:
        return
    low, high = lowest_and_highest(images, what)
    reach = span.high - span.low
    if low < span.low - reach or high > span.high + reach:
        raise DataError(f"data: the {what} reach from {low:.4g} to {high:.4g}, the training images from "
                        f"{span.low:.4g} to {span.high:.4g}. Scale both alike.")


def lowest_and_highest(images: Array, what: str) -> tuple[float, float]:
    """Return the smallest and the largest value. Raise DataError for NaN and infinity."""
    low, high = float(images.min()), float(images.max())
    if not np.isfinite(low) or not np.isfinite(high):
        raise DataError(f"data: the {what} hold NaN or infinity. Take them out, e.g. with numpy.nan_to_num.")
    return low, high


def to_bytes(images: Array, low: float, high: float) -> Bytes:
    """Convert numbers to uint8: `low` becomes 0, `high` becomes 255, values outside are clipped.

    An array of uint8 is returned unchanged, without a copy.
    """
    if images.dtype == np.uint8:
        return images
    made = np.empty(images.shape, np.uint8)
    for start in range(0, len(images), SLICE):
        part: Array = images[start : start + SLICE].astype(np.float64 if images.dtype.itemsize > 4 else np.float32)
        made[start : start + SLICE] = np.rint(((part - low) * (255 / (high - low))).clip(0, 255))
    return made


def shaped(images: Bytes, channels: int | None, size: int | None, fit: Fit = "letterbox") -> Bytes:
    """Convert images uint8 (N, C, H, W) to `channels` channels and `size` x `size` pixels.

    None keeps the channels or the size of the images. fit: how an image that is not square becomes one.
    Raises DataError if the images are not square and no size is given, and for a size outside SIDES.
    """
    if channels not in (None, 1, 3):
        raise DataError(f"channels={channels} is not 1 (grey) or 3 (red, green, blue).")
    count, found, height, width = images.shape
    if size is None and height != width:
        raise DataError(f"data: images of {height}x{width} pixels are no squares. Give size={max(height, width)} to "
                        "add a border.")
    side = height if size is None else size
    if not SIDES[0] <= side <= SIDES[1]:
        raise DataError(f"data: a side of {side} pixels is not between {SIDES[0]} and {SIDES[1]}. Give size=28.")
    if channels == 1 and found == 3:
        mixed = np.tensordot(images.astype(np.uint32), np.array(GREY, np.uint32), axes=(1, 0))
        images = ((mixed + 0x8000) >> 16).astype(np.uint8)[:, None]
    if (height, width) != (side, side):
        flat = resize_grey(images.reshape(-1, height, width), side, fit)
        images = flat.reshape(count, -1, side, side)
    return np.repeat(images, 3, axis=1) if channels == 3 and found == 1 else images


def writable(array: Array) -> Array:
    """Return the array, or a copy if the array is not contiguous or read-only, because torch accepts neither."""
    whole = np.ascontiguousarray(array)
    return whole if whole.flags.writeable else whole.copy()
