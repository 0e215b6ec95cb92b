"""Estimate the ink of a photo whose ground is lit unevenly. ink.py uses this file. Needs only numpy and Pillow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]
INK = 0.5                       # threshold: a pixel with more counts as ink
COARSE = 48                     # pixels: longer side of the reduced picture on which the light is estimated
STROKES = 0.45, 0.22, 0.12      # fractions of the longer side: candidates for the widest stroke, tried in this order
SHARPER = 0.9                   # a later candidate wins if this times its edge strength exceeds that of the first
NEIGHBOURHOOD = 0.3             # fraction of the longer side: the darkest ink in this window counts as full ink (1.0)
FAINTEST = 0.5                  # full ink is at least this fraction of the darkest ink in the picture
LEAST_CONTRAST = 24             # grey levels between background and ink: a picture with less is blank


def ink_of_strokes(grey: Floats) -> list[Floats | None]:
    """Return the ink of dark strokes for each of STROKES, (H, W): marks that are narrower than the widest stroke.

    The ink is None where no pixel is dark enough.
    """
    step = max(1, -(-max(grey.shape) // COARSE))
    coarse = blocks(grey, step)
    slope = slope_of(coarse)
    grounds = (slope + closed(coarse - slope, part) for part in STROKES)
    return [full_ink(np.maximum(enlarge(ground, step, grey.shape) - grey, 0)) for ground in grounds]


def sharpest(grey: Floats, found: list[Floats | None]) -> Floats | None:
    """Return the ink whose outline is sharpest in the picture, because ink has sharper edges than shadow."""
    gradient = np.hypot(*np.gradient(grey))
    inks = [ink for ink in found if ink is not None]
    edges = [edge_strength(gradient, ink > INK) for ink in inks]
    best = max(range(len(inks)), key=lambda i: edges[i] * (SHARPER if i else 1), default=None)
    return None if best is None else inks[best]


def ink_is_dark(grey: Floats) -> bool:
    """Return True if the ink is darker than the background.

    Each pixel is compared with the median of its surroundings. The cubed differences give most weight to the ink.
    """
    step = max(1, -(-max(grey.shape) // (COARSE // 2)))
    coarse = grey[min(step, grey.shape[0]) // 2 :: step, min(step, grey.shape[1]) // 2 :: step]
    window = max(1, round(STROKES[0] * max(coarse.shape))) | 1
    padded = np.pad(coarse, window // 2, mode="symmetric")
    around = np.lib.stride_tricks.sliding_window_view(padded, (window, window)).reshape(*coarse.shape, -1)
    middle = window * window // 2
    return bool(((coarse - np.partition(around, middle, axis=2)[:, :, middle]) ** 3).sum() < 0)


def edge_strength(gradient: Floats, mask: NDArray[np.bool_]) -> float:
    """Return the mean gradient of the picture along the outline of a mask, in grey levels per pixel.

    gradient: of each pixel, (H, W). Returns 0.0 for a mask without an outline.
    """
    outline = np.zeros_like(mask)
    outline[1:] |= mask[1:] != mask[:-1]
    outline[:, 1:] |= mask[:, 1:] != mask[:, :-1]
    return float(gradient[outline].mean()) if outline.any() else 0.0


def slope_of(grey: Floats) -> Floats:
    """Return the quadratic surface that fits most pixels, (H, W). The surface models uneven light.

    Method: iteratively reweighted least squares with Cauchy weights, so that ink (an outlier) has little influence.
    """
    y, x = np.meshgrid(*(np.linspace(-1, 1, side) for side in grey.shape), indexing="ij")
    terms = np.stack([term.ravel() for term in (x**0, x, y, x * x, x * y, y * y)], axis=1)
    values, weights = grey.ravel().astype(float), np.ones(grey.size)
    for _ in range(6):
        scaled = terms * weights[:, None]
        surface = terms @ np.linalg.lstsq(scaled.T @ terms, scaled.T @ values, rcond=None)[0]
        off = np.abs(values - surface)
        weights = 1 / (1 + (off / (np.median(off) + 1)) ** 2)
    fitted: Floats = surface.reshape(grey.shape).astype(np.float32)
    return fitted


def full_ink(depth: Floats) -> Floats | None:
    """Return the depth of each pixel divided by that of the darkest ink near the pixel, at most 1.

    Ink in shadow and ink of a light stroke therefore also reach values near 1.
    depth: grey levels below the background, (H, W). Returns None if no pixel is deep enough to be ink.
    """
    deepest = quantile(depth, 1 - min(0.002, 12 / depth.size))
    if deepest < LEAST_CONTRAST:
        return None
    step = max(1, -(-max(depth.shape) // COARSE))
    coarse = blocks(depth, step)
    around = spread_max(coarse, window_of(NEIGHBOURHOOD, coarse))
    full = np.maximum(enlarge(around, step, depth.shape), FAINTEST * deepest)
    return np.minimum(depth / full, 1.0)


def closed(values: Floats, part: float) -> Floats:
    """Return the morphological closing of (H, W): everything narrower than a stroke is filled.

    part: width of the widest stroke as a fraction of the longer side.
    """
    window = window_of(part, values)
    return -spread_max(-spread_max(values, window), window)


def window_of(part: float, values: Floats) -> int:
    """Return the odd number of pixels that is a fraction of the longer side, at least 1."""
    window: int = max(1, round(part * max(values.shape))) | 1
    return window


def blocks(values: Floats, step: int) -> Floats:
    """Return the maximum of each step x step block of (H, W). The last blocks of a row or column may be smaller."""
    height, width = values.shape
    padded = np.pad(values, ((0, -height % step), (0, -width % step)), mode="edge")
    rows = padded.reshape(-1, step, padded.shape[1]).max(axis=1)
    largest: Floats = rows.reshape(len(rows), -1, step).max(axis=2)
    return largest


def enlarge(values: Floats, step: int, shape: tuple[int, ...]) -> Floats:
    """Return the values enlarged by `step` with bilinear interpolation, cut to a shape (H, W): reverses `blocks`."""
    size = (values.shape[1] * step, values.shape[0] * step)
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR))[: shape[0], : shape[1]]


def spread_max(values: Floats, window: int) -> Floats:
    """Return the maximum of the window x window square around each value. `window` is odd.

    Method: the maximum of 1, 2, 4, ... values in a row, then of two such rows that together cover the window.
    """
    for _ in (0, 1):
        height, room = len(values), window // 2
        padded = np.full((height + 2 * room, values.shape[1]), -np.inf, np.float32)
        padded[room : room + height] = values
        reach = 1
        while 2 * reach <= window:
            padded = np.maximum(padded[:-reach], padded[reach:])
            reach *= 2
        values = np.maximum(padded[:height], padded[window - reach :]).T
    return values


def quantile(values: Floats, share: float) -> float:
    """Return the quantile of all values, interpolated linearly. np.quantile takes several times as long."""
    place = share * (values.size - 1)
    low = int(place)
    high = min(low + 1, values.size - 1)
    parted = np.partition(values, (low, high), axis=None)
    return float(parted[low]) + (place - low) * (float(parted[high]) - float(parted[low]))
