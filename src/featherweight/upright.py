"""Images whose ink leans, stood upright: the same few operations in numpy here and in the C of an export.

Each row is moved sideways, as a pack of cards is, until the axis of the ink is vertical; a leaning 1 becomes a standing
one, and a network needs no weights to know that both are ones. Source: LeCun, Bottou, Bengio, Haffner (1998),
"Gradient-based learning applied to document recognition", where such images are called deslanted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STEEPEST = 1.0      # columns a row: ink that leans further is straightened by so much
STEPS = 256         # of one pixel: how finely rows are moved
AT_ONCE = 2048      # images


def upright(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, H, W) light ink on black -> the same with each image's ink upright. A blank image stays as it is.

    Rows are moved by whole 256ths of a pixel and mixed in integers, so that every machine gives the same bytes. What
    would leave the image at the sides is lost.
    """
    parts = [straighten(images[start : start + AT_ONCE]) for start in range(0, len(images), AT_ONCE)]
    return np.concatenate(parts) if parts else images.copy()


def straighten(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What upright does, for a few images."""
    count, height, width = images.shape
    moved = np.floor(STEPS * row_shifts(images) + 0.5).astype(np.int64)             # (N, H), 256ths of a pixel
    whole, rest = np.divmod(moved, STEPS)
    columns = np.arange(width) + whole[:, :, None]                                  # (N, H, W), where to read
    padded = np.zeros((count, height, width + 2), np.int64)
    padded[:, :, 1:-1] = images                                                     # black on both sides
    left = np.take_along_axis(padded, np.clip(columns + 1, 0, width + 1), axis=2)
    right = np.take_along_axis(padded, np.clip(columns + 2, 0, width + 1), axis=2)
    mixed = left * (STEPS - rest)[:, :, None] + right * rest[:, :, None] + STEPS // 2
    finished: NDArray[np.uint8] = (mixed // STEPS).astype(np.uint8)
    return finished


def row_shifts(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(N, H, W) -> (N, H), how many columns to the right each row of the upright image is read, from exact sums."""
    _, height, width = images.shape
    x, y = np.arange(width), np.arange(height)
    rows = images.sum(axis=2, dtype=np.int64)                                       # (N, H), the ink of each row
    in_row = (images * x).sum(axis=2)                                               # (N, H), times its column
    sums = rows.sum(axis=1), in_row.sum(axis=1), rows @ y, in_row @ y, rows @ y**2
    ink, ink_x, ink_y, ink_xy, ink_yy = (each.astype(np.float64) for each in sums)  # whole numbers: exact
    covariance, variance = ink * ink_xy - ink_x * ink_y, ink * ink_yy - ink_y**2
    slope = np.clip(covariance / np.where(variance > 0, variance, 1), -STEEPEST, STEEPEST)     # columns a row
    middle = ink_y / np.where(ink > 0, ink, 1)
    shifts: NDArray[np.float64] = slope[:, None] * (y - middle[:, None])
    return shifts
