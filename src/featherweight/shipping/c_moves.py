"""Moves of values in C: as nested loops if their places follow a pattern, otherwise as a list of places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featherweight.errors import ModelError
from featherweight.shipping.c_text import Body

LOOPS = 5
MOST_LISTED = 2**16     # a place in a list has 16 bits
Loops = list[tuple[int, int]]       # number of turns and step of each loop, the innermost last


def write_move(body: Body, places: NDArray[np.int64], index: int, ends: tuple[str, str], said: str) -> None:
    """Add the call of a move, with its loops or its list as constants. ends: C places of its input and output."""
    source, target = ends
    start, loops = int(places[0]), loops_of(places)
    if len(loops) <= LOOPS:
        padded = [(1, 0)] * (LOOPS - len(loops)) + loops
        sizes, steps = (np.array(side, np.int32) for side in zip(*padded, strict=True))
        names = body.array(f"sizes_{index}", sizes), body.array(f"steps_{index}", steps)
        body.call("move", f"{source} + {start}" if start else source, *names, target, comment=said)
        return
    if places.max() >= MOST_LISTED:
        raise ModelError(f"step {index} of the C code ({said}) moves values between {places.max() + 1:,} places, at "
                         f"most {MOST_LISTED:,} are possible. Change the slice, permutation or reshape in the network.")
    listed = body.array(f"places_{index}", places.astype(np.uint16))
    body.call("move_listed", source, len(places), listed, target, comment=said)


def loops_of(places: NDArray[np.int64]) -> Loops:
    """Return nested loops that visit exactly these places, in this order. Without a pattern, there are many loops."""
    loops: Loops = []
    while len(places) > 1:
        step = int(places[1] - places[0])
        same = np.flatnonzero(np.diff(places) != step)
        longest = int(same[0]) + 1 if len(same) else len(places)
        size = next(n for n in range(longest, 0, -1) if len(places) % n == 0 and is_regular(places, n, step))
        if size == 1:
            return [(len(places), 0)] * (LOOPS + 1)
        loops.insert(0, (size, step))
        places = places[::size]
    return loops


def is_regular(places: NDArray[np.int64], size: int, step: int) -> bool:
    """Return True if each run of `size` places goes on by `step`."""
    rows = places.reshape(-1, size)
    return bool((rows == rows[:, :1] + step * np.arange(size)).all())
