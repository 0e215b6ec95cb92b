"""Estimate the amount of ink in each pixel of a photo, scan or drawing. picture.py uses it.

The result does not depend on the light, the paper or the pen. Needs only numpy and Pillow.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Floats = NDArray[np.float32]
Scalar = TypeVar("Scalar", bound=np.generic)
INK = 0.5                       # threshold: a pixel with more counts as ink
COARSE = 48                     # pixels: longer side of the reduced picture on which the light is estimated
STROKES = 0.45, 0.22, 0.12      # fractions of the longer side: candidates for the widest stroke, tried in this order
SHARPER = 0.9                   # a later candidate wins if this times its edge strength exceeds that of the first
NEIGHBOURHOOD = 0.3             # fraction of the longer side: the darkest ink in this window counts as full ink (1.0)
FAINTEST = 0.5                  # full ink is at least this fraction of the darkest ink in the picture
LEAST_CONTRAST = 24             # grey levels between background and ink: a picture with less is blank
EVEN = 0.05                     # fraction of the contrast: a background that varies less is evenly lit
GRAIN = 1.2                     # pixels: radius of the blur that removes the grain of a photo
FRAME = 0.04                    # part of the shorter side: a frame line lies nearer to the border
FRAMED = 0.2                    # part of the pixels within: if fewer are like the border, the border is a frame
LEVELS = 9                      # grey levels that count as one ground level
NARROW = 1.8                    # longer side / shorter side: a picture above this is narrow


def find_ink(picture: Image.Image) -> Floats | None:
    """Return the ink of an "L" or "RGB" picture as (H, W), about 0 on the background and 1 in ink.

    Colours are first projected on the axis along which they vary most.
    A screen or a scan has an evenly lit background. On a photo, the background changes slowly.
    There, ink is darker than the background and narrower than the widest stroke.
    Returns None for a blank picture.
    """
    grey = along_main_colour(np.asarray(picture, np.float32))
    ground, threshold = even_ground(grey)
    if ground is not None:
        depth = np.maximum(ground - grey if ground > threshold else grey - ground, 0)
        return None if depth.max() < LEAST_CONTRAST else depth / depth.max()
    return ink_under_light(picture)


def ink_under_light(picture: Image.Image) -> Floats | None:
    """Return the ink of a picture whose ground is lit unevenly, (H, W), as find_ink() does for a photo."""
    grey = without_grain(picture)
    found = [ink for part in STROKES if (ink := full_ink(below_ground(grey, part))) is not None]
    edges = [edge_strength(grey, ink > INK) for ink in found]
    best = max(range(len(found)), key=lambda i: edges[i] * (SHARPER if i else 1), default=None)
    return None if best is None else found[best]


def thin_ink(picture: Image.Image) -> Floats | None:
    """Return the ink of strokes narrower than the last of STROKES, (H, W), as ink_under_light() does."""
    return full_ink(below_ground(without_grain(picture), STROKES[-1]))


def without_grain(picture: Image.Image) -> Floats:
    """Return a photo as (H, W) without the grain of the camera. Dark ink stays, light ink is inverted."""
    grey = along_main_colour(np.asarray(picture.filter(ImageFilter.GaussianBlur(GRAIN)), np.float32))
    return grey if ink_is_dark(grey) else -grey


def ink_on_level_ground(picture: Image.Image) -> Floats | None:
    """Return how far each pixel is from the most frequent level of the ground, (H, W), 1 in ink. None if it is blank.

    A dark frame line along the border of a light picture is not taken for the ground.
    """
    grey = np.asarray(picture.convert("L"), np.float32)
    threshold = split(grey)
    light = is_light(grey, threshold)
    margin = max(2, round(FRAME * min(grey.shape)))
    inner = border(grey[margin:-margin, margin:-margin]) if min(grey.shape) > 4 * margin else border(grey)
    if np.mean((inner > threshold) == light) < FRAMED:
        light = not light
    ground = grey[(grey > threshold) == light].astype(np.uint8)
    counts = np.convolve(np.bincount(ground, minlength=256), np.ones(LEVELS), "same")
    depth = np.abs(grey - np.float32(counts.argmax()))
    full = float(np.quantile(depth, 1 - min(0.005, 12 / depth.size)))
    return None if full < LEAST_CONTRAST else np.minimum(depth / full, 1)


def is_light(grey: Floats, threshold: float) -> bool:
    """Return True if the ground is light: the median of the border lies above the threshold.

    In a narrow picture the corners decide, because a digit 1 may cover most of its border.
    """
    edge = corners(grey) if max(grey.shape) > NARROW * min(grey.shape) else border(grey)
    return bool(np.median(edge) > threshold)


def has_even_ground(picture: Image.Image) -> bool:
    """Return True if the ground is lit evenly, as on a screen or a scan."""
    return even_ground(along_main_colour(np.asarray(picture, np.float32)))[0] is not None


def even_ground(grey: Floats) -> tuple[float | None, float]:
    """Return (grey level of the background, threshold between dark and light).

    If the background is not evenly lit, as on most photos, the level is `None`.
    The pixels on the border decide if the background is dark or light.
    """
    threshold = split(grey)
    light = is_light(grey, threshold)
    bright = grey > threshold
    ground, ink = (grey[bright], grey[~bright]) if light else (grey[~bright], grey[bright])
    if not len(ink) or not len(ground):
        return float(grey[0, 0]), threshold
    some = ground[:: -(-len(ground) // 4096)]       # a sample is enough: a quantile sorts all its values
    middle, outermost = np.quantile(some, (0.5, 0.95 if light else 0.05))
    even = abs(outermost - middle) < EVEN * abs(ground.mean() - ink.mean())
    return float(middle) if even else None, threshold


def split(grey: Floats) -> float:
    """Return the threshold between dark and light that minimises the variance within both classes (Otsu, 1979)."""
    low, high = float(grey.min()), float(grey.max())
    width = max(high - low, 1e-6) / 64
    share = np.bincount(((grey - low) / width).astype(np.int64).clip(0, 63).ravel(), minlength=64) / grey.size
    below, mass = share.cumsum()[:-1], (share * np.arange(64)).cumsum()[:-1]
    between = ((share * np.arange(64)).sum() * below - mass) ** 2 / np.maximum(below * (1 - below), 1e-9)
    return low + width * (int(between.argmax()) + 1)


def ink_is_dark(grey: Floats) -> bool:
    """Return True if the ink is darker than the background.

    Each pixel is compared with the median of its surroundings. The cubed differences give most weight to the ink.
    """
    step = max(1, -(-max(grey.shape) // (COARSE // 2)))
    coarse = grey[min(step, grey.shape[0]) // 2 :: step, min(step, grey.shape[1]) // 2 :: step]
    window = max(1, round(STROKES[0] * max(coarse.shape))) | 1
    padded = np.pad(coarse, window // 2, mode="symmetric")
    around = np.lib.stride_tricks.sliding_window_view(padded, (window, window))
    return bool(((coarse - np.median(around, axis=(2, 3))) ** 3).sum() < 0)


def border(grey: NDArray[Scalar]) -> NDArray[Scalar]:
    """The pixels on the four edges, (2 H + 2 W,)."""
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def corners(grey: Floats) -> Floats:
    """The pixels in the four corners, (4,)."""
    return grey[[0, 0, -1, -1], [0, -1, 0, -1]]


def edge_strength(grey: Floats, mask: NDArray[np.bool_]) -> float:
    """Return the mean gradient of the picture along the outline of a mask, in grey levels per pixel.

    Ink has sharper edges than shadow. Returns 0.0 for a mask without an outline.
    """
    outline = np.zeros_like(mask)
    outline[1:] |= mask[1:] != mask[:-1]
    outline[:, 1:] |= mask[:, 1:] != mask[:, :-1]
    down, right = np.gradient(grey)
    return float(np.hypot(down, right)[outline].mean()) if outline.any() else 0.0


def along_main_colour(pixels: Floats) -> Floats:
    """Return a colour picture (H, W, 3) as (H, W): its projection on the axis along which its colours vary most.

    Higher values are brighter, in grey levels. A grey picture (H, W) is returned unchanged.
    """
    if pixels.ndim == 2:
        return pixels
    flat = pixels.reshape(-1, 3)
    off = flat - flat.mean(axis=0)
    _, axes = np.linalg.eigh(off.T @ off / len(off) + 1e-3)     # the constant gives the grey axis if no colour varies
    axis = axes[:, -1] * np.sign(axes[:, -1].sum() or 1)
    along: Floats = (pixels @ axis).astype(np.float32)
    return along


def below_ground(grey: Floats, part: float) -> Floats:
    """Return how much darker than the background each pixel is, in grey levels; 0 if the pixel is not darker.

    The background is a morphological closing of the picture: everything narrower than a stroke is filled.
    part: width of the widest stroke as a fraction of the longer side.
    """
    height, width = grey.shape
    step = max(1, -(-max(height, width) // COARSE))
    coarse = blocks(grey, step)
    slope = slope_of(coarse)
    window = max(1, round(part * max(coarse.shape))) | 1
    ground = slope + spread_min(spread_max(coarse - slope, window), window)
    depth: Floats = np.maximum(enlarge(ground, step)[:height, :width] - grey, 0)
    return depth


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
    deepest = float(np.quantile(depth, 1 - min(0.002, 12 / depth.size)))
    if deepest < LEAST_CONTRAST:
        return None
    height, width = depth.shape
    step = max(1, -(-max(height, width) // COARSE))
    coarse = blocks(depth, step)
    around = spread_max(coarse, max(1, round(NEIGHBOURHOOD * max(coarse.shape))) | 1)
    full = np.maximum(enlarge(around, step)[:height, :width], FAINTEST * deepest)
    return np.minimum(depth / full, 1.0)


def blocks(values: Floats, step: int) -> Floats:
    """Return the maximum of each step x step block of (H, W). The last blocks of a row or column may be smaller."""
    height, width = values.shape
    padded = np.pad(values, ((0, -height % step), (0, -width % step)), mode="edge")
    largest: Floats = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step).max(axis=(1, 3))
    return largest


def enlarge(values: Floats, step: int) -> Floats:
    """Return the values enlarged by `step` with bilinear interpolation: the inverse direction of `blocks`."""
    size = (values.shape[1] * step, values.shape[0] * step)
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR))


def spread_max(values: Floats, window: int) -> Floats:
    """Return the maximum of the window x window square around each value. `window` is odd."""
    for axis in (0, 1):
        room = [(0, 0), (0, 0)]
        room[axis] = (window // 2, window // 2)
        padded = np.pad(values, room, constant_values=-np.inf)
        values = np.lib.stride_tricks.sliding_window_view(padded, window, axis=axis).max(axis=-1)
    return values


def spread_min(values: Floats, window: int) -> Floats:
    """Return the minimum of the window x window square around each value. `window` is odd."""
    return -spread_max(-values, window)
