"""Split ink that is wider than one digit where two digits touch. many.py uses this file. Needs only numpy.

Method: the path from top to bottom that crosses the least ink is found by dynamic programming. A cut along the path
is made only if it is short and if both sides look like digits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featherweight.inference.strokes import Mask, stroke_width

WIDE = 1.1          # width / height of the line: narrower ink is one digit
SIDESTEP = 0.25     # cost of a step to the side on the path; a step through ink costs 1
NARROWEST = 0.12    # width of each side of a cut, as a fraction of the line's height, at least
LOWEST = 0.7        # height of each side, at least
LEAST = 0.15        # fraction of the ink on each side, at least
STRAY = 0.02, 0.98  # quantiles of the ink's rows and columns that are its extent; pixels left by a cut do not count
CLEAR = 1.3         # strokes: a cut through at most this much ink is clear in ink that is just wide
WIDER = 4.0         # strokes more for each 1.0 by which width / height exceeds WIDE

Paths = NDArray[np.int64]


def split(mask: Mask, height: float) -> list[Mask]:
    """Return the digits in a mask (H, W) from left to right: one mask, or several if a cut is clear.

    height: typical height of the digits in the line, in pixels.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = rows[0], columns[0]
    ink = mask[top : rows[-1] + 1, left : columns[-1] + 1]
    if ink.shape[1] < WIDE * height or (path := best_cut(ink, height)) is None:
        return [mask]
    on_left = np.zeros_like(mask)
    on_left[top : rows[-1] + 1, left : columns[-1] + 1] = left_of(path, ink)
    return [digit for side in (on_left, mask & ~on_left) for digit in split(side, height)]


def best_cut(ink: Mask, height: float) -> Paths | None:
    """Return the column of the best cut in each row of cropped ink, (H,). Returns None if no cut is clear."""
    stroke = stroke_width(ink)
    allowed = (CLEAR + WIDER * (ink.shape[1] / height - WIDE)) * stroke
    costs, paths = cheapest_paths(ink)
    rows = np.arange(len(ink))
    for end in np.argsort(costs, kind="stable").tolist():
        if costs[end] > allowed:
            return None
        path = paths[end]
        crossed = ink[rows, path]
        once = np.count_nonzero(np.diff(crossed.astype(np.int8), prepend=0) == 1) <= 1
        if once and crossed.sum() <= allowed and both_are_digits(ink, path, height):
            return path
    return None


def cheapest_paths(ink: Mask) -> tuple[NDArray[np.float64], Paths]:
    """Return for each column the cost of the cheapest path from the top to it, (W,), and the path, (W, H)."""
    height, width = ink.shape
    costs, steps = ink[0].astype(float), np.zeros((height, width), np.int64)
    for row in range(1, height):
        padded = np.pad(costs, 1, constant_values=np.inf)
        choices = np.stack([padded[1:-1], padded[:-2] + SIDESTEP, padded[2:] + SIDESTEP])
        chosen = choices.argmin(axis=0)
        steps[row] = np.array([0, -1, 1])[chosen]
        costs = choices.min(axis=0) + ink[row]
    paths = np.empty((width, height), np.int64)
    paths[:, -1] = np.arange(width)
    for row in range(height - 1, 0, -1):
        paths[:, row - 1] = paths[:, row] + steps[row, paths[:, row]]
    return costs, paths


def both_are_digits(ink: Mask, path: Paths, height: float) -> bool:
    """Return True if the ink on each side of a path is as tall, wide and heavy as a digit can be."""
    left = left_of(path, ink)
    for side in (left, ink & ~left):
        if side.sum() < LEAST * ink.sum():
            return False
        tall, wide = (np.ptp(np.quantile(places, STRAY)) for places in np.nonzero(side))
        if tall < LOWEST * height or wide < NARROWEST * height:
            return False
    return True


def left_of(path: Paths, ink: Mask) -> Mask:
    """Return the ink to the left of a path, the path excluded."""
    return ink & (np.arange(ink.shape[1]) < path[:, None])
