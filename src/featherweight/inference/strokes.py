"""Operations on binary masks of ink: connected components (pieces), stroke width, thinning and thickening."""

from __future__ import annotations

from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)
Mask = NDArray[np.bool_]
Pieces = NDArray[np.int32]      # label map: the number of each pixel's piece, 0 on the background
EIGHT = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))      # north, then clockwise


def label_pieces(mask: Mask) -> Pieces:
    """Return the connected components of a mask (H, W): the number of each pixel's piece, 0 on the background.

    Pixels that touch at a side or a corner belong to the same piece (8-connectivity).
    Method: each run of ink in a row is merged with the runs that touch it in the row above.
    Source: Rosenfeld and Pfaltz (1966).
    """
    starts, ends = runs_of(mask)
    row, runs = mask.shape[1] + 2, np.arange(len(starts))
    first, last = np.searchsorted(ends, starts - row), np.searchsorted(starts, ends - row, side="right")
    counts = np.maximum(last - first, 0)        # a run touches the runs from `first` to before `last`
    below = np.repeat(runs, counts)
    above = np.arange(len(below)) + np.repeat(first - counts.cumsum() + counts, counts)
    roots = followed(np.where(counts > 0, first, runs))
    while (apart := roots[above] != roots[below]).any():
        one, other = roots[above[apart]], roots[below[apart]]
        np.minimum.at(roots, np.maximum(one, other), np.minimum(one, other))
        roots = followed(roots)
    labels = np.zeros(mask.shape, np.int32)
    labels[mask] = np.repeat((roots == runs).cumsum()[roots], ends - starts)
    return labels


def followed(parents: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the root of each node of a forest. parents: the parent of each node; a root is its own parent."""
    while (roots := parents[parents]).tobytes() != parents.tobytes():
        parents = roots
    return parents


def runs_of(mask: Mask) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first pixel of each run of ink, row by row, and the pixel after its last one.

    Pixels are counted through all rows. Each row has one more pixel at both ends.
    """
    rows = np.zeros((mask.shape[0], mask.shape[1] + 2), bool)
    rows[:, 1:-1] = mask
    flat = rows.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    return changes[::2], changes[1::2]


def stroke_width(mask: Mask) -> float:
    """Return the mean width of the strokes in pixels: twice the area divided by the length of the outline.

    The length is estimated from the number of edges between ink and background (formula of Cauchy and Crofton).
    """
    wide = padded(mask, 1)
    crossings = (wide[:, 1:] != wide[:, :-1]).sum() + (wide[1:] != wide[:-1]).sum()
    return float(2 * mask.sum() / (np.pi / 4 * crossings))


def thicken(mask: Mask, times: int) -> Mask:
    """Return the mask with each stroke wider by `times` pixels on each side (dilation).

    The result is larger by `times` pixels on all four sides.
    """
    mask = padded(mask, times)
    for turn in range(times):
        grown = mask.copy()
        for direction in EIGHT if turn % 2 else EIGHT[::2]:     # alternate a cross and a square: together nearly round
            grown |= shifted(mask, *direction)
        mask = grown
    return mask


def thin(mask: Mask, times: int) -> Mask:
    """Return the mask with each stroke narrower by `times` pixels on each side. A connected stroke stays connected.

    Source: Zhang and Suen (1984).
    """
    wide = padded(mask, 1)
    row, flat = wide.shape[1], wide.ravel().astype(np.uint16)
    inside = flat[row + 1 : -row - 1]       # from the first pixel that has eight neighbours to the last one
    for turn in range(2 * times):
        three = flat[:-2] | flat[1:-1] << 1 | flat[2:] << 2                 # a pixel with those left and right of it
        nine = three[: -2 * row] | three[row:-row] << 3 | three[2 * row :] << 6
        inside[:] = stays(turn % 2)[nine]
    return flat.reshape(wide.shape)[1:-1, 1:-1].astype(bool)


@cache
def stays(turn: int) -> NDArray[np.uint16]:
    """Return for each set of nine pixels, (512,), 1 if the middle one is ink and stays, else 0.

    Bit 3 (y + 1) + x + 1 of a set: the pixel at (y, x) from the middle is ink.
    turn: 0 to remove at the south and the east of a stroke, 1 at the north and the west.
    """
    nine = np.arange(512)
    around = np.array([nine >> 3 * (down + 1) + right + 1 & 1 for down, right in EIGHT], bool)
    count = around.sum(axis=0)
    changes = (~around & np.roll(around, -1, axis=0)).sum(axis=0)
    north, east, south, west = around[::2]
    loose = ~(north & east & south) & ~(east & south & west) if turn == 0 else (
        ~(north & east & west) & ~(north & south & west))
    removed = (count >= 2) & (count <= 6) & (changes == 1) & loose
    kept: NDArray[np.uint16] = (nine >> 4 & 1 & ~removed).astype(np.uint16)
    return kept


def padded(values: NDArray[Scalar], room: int) -> NDArray[Scalar]:
    """Return (H, W) with `room` zeros more on all four sides. np.pad takes ten times as long for a small array."""
    height, width = values.shape
    larger = np.zeros((height + 2 * room, width + 2 * room), values.dtype)
    larger[room : room + height, room : room + width] = values
    return larger


def shifted(mask: Mask, down: int, right: int) -> Mask:
    """Return a mask of the same shape whose pixel (y, x) is mask[y + down, x + right]. Outside the edge it is False."""
    found = np.zeros_like(mask)
    height, width = mask.shape
    found[max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)] = mask[
        max(0, down) : height - max(0, -down), max(0, right) : width - max(0, -right)
    ]
    return found
