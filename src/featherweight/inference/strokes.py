"""Operations on binary masks of ink: connected components (pieces), stroke width, thinning and thickening."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Pieces = NDArray[np.int32]      # label map: the number of each pixel's piece, 0 on the background
EIGHT = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))      # north, then clockwise


def label_pieces(mask: Mask) -> Pieces:
    """Return the connected components of a mask (H, W): the number of each pixel's piece, 0 on the background.

    Pixels that touch at a side or a corner belong to the same piece (8-connectivity).
    Method: each run of ink in a row is merged with the runs that touch it in the row above.
    Source: Rosenfeld and Pfaltz (1966).
    """
    starts, ends, rows = runs_of(mask)
    parents = list(range(len(rows) + 1))

    def root(run: int) -> int:
        while parents[run] != run:
            parents[run] = parents[parents[run]]
            run = parents[run]
        return run

    above = 0
    for here in range(len(rows)):
        while rows[above] < rows[here] - 1 or (rows[above] == rows[here] - 1 and ends[above] < starts[here]):
            above += 1
        other = above
        while rows[other] == rows[here] - 1 and starts[other] <= ends[here]:
            parents[root(other + 1)] = root(here + 1)
            other += 1
    numbers: dict[int, int] = {}
    labels = np.zeros(mask.shape, np.int32)
    for run, (row, start, end) in enumerate(zip(rows, starts, ends, strict=True)):
        labels[row, start:end] = numbers.setdefault(root(run + 1), len(numbers) + 1)
    return labels


def runs_of(mask: Mask) -> tuple[list[int], list[int], list[int]]:
    """Return the runs of ink row by row from the top: start columns, end columns (exclusive) and rows."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    return starts.tolist(), ends.tolist(), rows.tolist()


def stroke_width(mask: Mask) -> float:
    """Return the mean width of the strokes in pixels: twice the area divided by the length of the outline.

    The length is estimated from the number of edges between ink and background (formula of Cauchy and Crofton).
    """
    padded = np.pad(mask, 1)
    crossings = (padded[:, 1:] != padded[:, :-1]).sum() + (padded[1:] != padded[:-1]).sum()
    return float(2 * mask.sum() / (np.pi / 4 * crossings))


def thicken(mask: Mask, times: int) -> Mask:
    """Return the mask with each stroke wider by `times` pixels on each side (dilation).

    The result is larger by `times` pixels on all four sides.
    """
    mask = np.pad(mask, times)
    for turn in range(times):
        directions = EIGHT if turn % 2 else EIGHT[::2]      # alternate a cross and a square: together nearly round
        mask = np.logical_or.reduce([mask, *(shifted(mask, *direction) for direction in directions)])
    return mask


def thin(mask: Mask, times: int) -> Mask:
    """Return the mask with each stroke narrower by `times` pixels on each side. A connected stroke stays connected.

    Source: Zhang and Suen (1984).
    """
    mask = np.pad(mask, 1)
    for turn in range(2 * times):
        around = [shifted(mask, *direction) for direction in EIGHT]
        count = np.sum(around, axis=0)
        changes = np.sum([~one & other for one, other in zip(around, around[1:] + around[:1], strict=True)], axis=0)
        north, east, south, west = around[::2]
        loose = ~(north & east & south) & ~(east & south & west) if turn % 2 == 0 else (
            ~(north & east & west) & ~(north & south & west))
        mask = mask & ~((count >= 2) & (count <= 6) & (changes == 1) & loose)
    return mask[1:-1, 1:-1]


def shifted(mask: Mask, down: int, right: int) -> Mask:
    """Return a mask of the same shape whose pixel (y, x) is mask[y + down, x + right]. Outside the edge it is False."""
    found = np.zeros_like(mask)
    height, width = mask.shape
    found[max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)] = mask[
        max(0, down) : height - max(0, -down), max(0, right) : width - max(0, -right)
    ]
    return found
