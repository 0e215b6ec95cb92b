"""Shear images so that slanted ink becomes upright ("deslanting"). The C code of an export does the same operations.

Each row is moved sideways until the axis of the ink is vertical. A slanted 1 becomes an upright 1, so the network needs
no weights for slanted digits.
Source: LeCun, Bottou, Bengio, Haffner (1998), "Gradient-based learning applied to document recognition".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STEEPEST = 1.0      # largest shear, in columns per row
STEPS = 256         # rows are moved in steps of 1/256 pixel
AT_ONCE = 2048      # images converted at a time, to limit memory


def upright(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return images (N, H, W) of light ink on black with the ink of each image upright. Blank images are unchanged.

    Rows are moved by multiples of 1/256 pixel and interpolated in integers, so every machine gives the same bytes.
    Ink that is moved beyond a side of the image is lost.
    """
    parts = [straighten(images[start : start + AT_ONCE]) for start in range(0, len(images), AT_ONCE)]
    return np.concatenate(parts) if parts else images.copy()


def straighten(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return images (N, H, W) with upright ink, like `upright`, but all in one step. N should be at most AT_ONCE."""
    count, height, width = images.shape
    moved = np.floor(STEPS * row_shifts(images) + 0.5).astype(np.int64)             # (N, H), in 1/256 pixel
    whole, rest = np.divmod(moved, STEPS)
    columns = np.arange(width) + whole[:, :, None]                                  # (N, H, W), columns to read
    padded = np.zeros((count, height, width + 2), np.int64)
    padded[:, :, 1:-1] = images                                                     # black on both sides
    left = np.take_along_axis(padded, np.clip(columns + 1, 0, width + 1), axis=2)
    right = np.take_along_axis(padded, np.clip(columns + 2, 0, width + 1), axis=2)
    mixed = left * (STEPS - rest)[:, :, None] + right * rest[:, :, None] + STEPS // 2
    finished: NDArray[np.uint8] = (mixed // STEPS).astype(np.uint8)
    return finished


def row_shifts(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the shift of each row, (N, H): row y of the upright image is read this number of columns to the right.

    images: (N, H, W). All sums are exact integers, so every machine gives the same shifts.
    """
    _, height, width = images.shape
    x, y = np.arange(width), np.arange(height)
    rows = images.sum(axis=2, dtype=np.int64)                                       # (N, H), sum of ink
    in_row = (images * x).sum(axis=2)                                               # (N, H), sum of ink * column
    sums = rows.sum(axis=1), in_row.sum(axis=1), rows @ y, in_row @ y, rows @ y**2
    ink, ink_x, ink_y, ink_xy, ink_yy = (each.astype(np.float64) for each in sums)  # exact: they are whole numbers
    covariance, variance = ink * ink_xy - ink_x * ink_y, ink * ink_yy - ink_y**2
    slope = np.clip(covariance / np.where(variance > 0, variance, 1), -STEEPEST, STEEPEST)     # columns per row
    middle = ink_y / np.where(ink > 0, ink, 1)
    shifts: NDArray[np.float64] = slope[:, None] * (y - middle[:, None])
    return shifts
