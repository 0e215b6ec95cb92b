"""Split ink that is wider than one digit where two digits touch. many.py uses this file. Needs only numpy.

Method: dynamic programming finds the paths from top to bottom that cross the least ink. A cut along a path is made
only if it is short, if it parts the ink evenly, and if both sides can be digits.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from featherweight.inference.strokes import Mask, label_pieces, stroke_width

WIDE = 1.1          # width / height of the line: narrower ink is one digit
CLEAR = 1.0         # price of a cut through ink as wide as WIDE, at most; a cut through a stroke costs 1
WIDER = 5.0         # the price may be higher by this for each 1.0 by which width / height exceeds WIDE
DEAREST = 2.4       # price of a cut, at most
UNEVEN = 1.5        # price of each 1.0 by which the sides differ in width / height
USUAL = 0.7         # width / height of a digit
SIDESTEP = 1.0      # pixels of ink that cost as much as a step of a path to the side
BINS = 16           # one path is tried in each of these parts of the width
NARROWEST = 0.1     # width of each side of a cut, at least, as a fraction of the line's height
LOWEST = 0.7        # height of each side, at least
LEAST = 0.2         # fraction of the ink on each side, at least
STRAY = 0.02, 0.98  # quantiles of the ink's rows and columns that are its extent; pixels left by a cut do not count
EDGE = 0.1          # fraction of the height: a cut so near the top or the bottom may open a 0
TWO = 1.6           # width / height: ink as wide as two digits may be cut there too

Paths = NDArray[np.int64]


def split(mask: Mask, height: float) -> list[Mask]:
    """Return the digits in a mask (H, W) from left to right: one mask, or several if a cut is clear.

    height: typical height of the digits in the line, in pixels.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    ink = mask[box]
    if ink.shape[1] < WIDE * height or (path := best_cut(ink, height)) is None:
        return [mask]
    on_left = np.zeros_like(mask)
    on_left[box] = left_of(path, ink)
    return [digit for side in (on_left, mask & ~on_left) for digit in split(side, height)]


def best_cut(ink: Mask, height: float) -> Paths | None:
    """Return the column of the best cut in each row of cropped ink, (H,). Returns None if no cut is clear."""
    stroke, wide = stroke_width(ink), ink.shape[1] / height
    best, least = None, min(DEAREST, CLEAR + WIDER * (wide - WIDE))
    solid = filled(ink)
    for path in candidates(solid):
        crossed = np.flatnonzero(solid[np.arange(len(ink)), path])
        at_edge = len(crossed) and not EDGE < crossed.mean() / len(ink) < 1 - EDGE
        if len(crossed) > least * stroke or (at_edge and wide < TWO):
            continue
        left = left_of(path, ink)
        sides = left, ink & ~left
        if min(side.sum() for side in sides) < LEAST * ink.sum():
            continue
        (tall, broad), (other_tall, other_broad) = (extent(side) / height for side in sides)
        narrower = min(broad, other_broad)
        price = len(crossed) / stroke + UNEVEN * 2 * abs(narrower - min(wide / 2, USUAL))
        if price <= least and narrower >= NARROWEST and min(tall, other_tall) >= LOWEST:
            best, least = path, price
    return best


def filled(ink: Mask) -> Mask:
    """Return cropped ink with its holes filled, so that no cut runs through the loop of a digit."""
    ground = label_pieces(np.pad(~ink, 1, constant_values=True))
    solid: Mask = (ground != ground[0, 0])[1:-1, 1:-1]
    return solid


def candidates(solid: Mask) -> Iterator[Paths]:
    """Yield paths through cropped ink, cheapest first, one in each part of the width."""
    costs, paths = cheapest_paths(solid)
    places = (paths.mean(axis=1) * BINS / solid.shape[1]).round()
    tried = {0.0, float(BINS)}
    for end in np.argsort(costs, kind="stable"):
        if places[end] not in tried:
            tried.add(places[end])
            yield paths[end]


def cheapest_paths(ink: Mask) -> tuple[NDArray[np.float64], Paths]:
    """Return for each column the cost of the cheapest path from the top to it, (W,), and the path, (W, H)."""
    height, width = ink.shape
    costs, steps = ink[0].astype(float), np.zeros((height, width), np.int64)
    for row in range(1, height):
        padded = np.pad(costs, 1, constant_values=np.inf)
        choices = np.stack([padded[1:-1], padded[:-2] + SIDESTEP, padded[2:] + SIDESTEP])
        steps[row] = np.array([0, -1, 1])[choices.argmin(axis=0)]
        costs = choices.min(axis=0) + ink[row]
    paths = np.empty((width, height), np.int64)
    paths[:, -1] = np.arange(width)
    for row in range(height - 1, 0, -1):
        paths[:, row - 1] = paths[:, row] + steps[row, paths[:, row]]
    return costs, paths


def extent(side: Mask) -> NDArray[np.float64]:
    """Return the height and the width of ink in pixels, without stray pixels."""
    return np.array([np.ptp(np.quantile(places, STRAY)) for places in np.nonzero(side)])


def left_of(path: Paths, ink: Mask) -> Mask:
    """Return the ink to the left of a path, the path excluded."""
    left: Mask = ink & (np.arange(ink.shape[1]) < path[:, None])
    return left
