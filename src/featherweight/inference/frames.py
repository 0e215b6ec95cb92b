"""Cut off a thin frame line along the border of a picture, as forms and scans have it. Needs only numpy and Pillow."""

from __future__ import annotations

from math import ceil

import numpy as np

from featherweight.inference.ink import FRAME, Floats, View

STEP = 16.0     # grey levels: a frame line differs by more from the next line, and by less within itself
EVEN = 0.6      # part of the pixels of a frame line that have its level; ink may cross the others


def inside_frame(view: View) -> View:
    """Return the view of a picture without its frame line. A picture without one is returned unchanged.

    A frame line runs along all four sides, and has the same level on each.
    """
    grey = view.grey
    margin = max(1, round(FRAME * min(grey.shape)))
    if min(grey.shape) < 4 * margin:
        return view
    sides = list[tuple[int, float]]()
    for rows in (grey.T, grey, grey.T[::-1], grey[::-1]):
        if (line := line_at_edge(rows[: margin + 1])) is None:
            return view
        sides.append(line)
    if np.ptp([level for _, level in sides]) > 2 * STEP:
        return view
    left, top, right, bottom = (ceil(width * view.scale) for width, _ in sides)
    picture = view.picture
    return View(picture.crop((left, top, picture.width - right, picture.height - bottom)), view.area)


def line_at_edge(rows: Floats) -> tuple[int, float] | None:
    """Return the width and the grey level of an even line along the first rows, or None for rows without one.

    rows: (N, L). The last row lies inside the line.
    """
    if np.ptp(rows) <= STEP:        # far faster than the medians, which cannot differ by more
        return None
    levels = np.median(rows, axis=1)
    differs = np.flatnonzero(np.abs(levels[:-1] - levels[-1]) > STEP)
    if not len(differs):
        return None
    strongest = np.abs(levels - levels[-1]).argmax()
    even = np.mean(np.abs(rows[strongest] - levels[strongest]) < STEP) > EVEN
    return (int(differs[-1]) + 1, float(levels[strongest])) if even else None
