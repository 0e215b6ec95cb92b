"""Pixels -> how much ink each holds, whatever the light, the paper and the pen. numpy and Pillow only."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Floats = NDArray[np.float32]
Scalar = TypeVar("Scalar", bound=np.generic)
COARSE = 48                     # pixels of the longer side on which light is estimated
STROKES = 0.45, 0.22, 0.12      # of the longer side: no stroke is wider, no shadow narrower; tried in turn ...
SHARPER = 0.9                   # ... and the first is kept unless another's outline is steeper by this
NEIGHBOURHOOD = 0.3             # of the longer side: within it the darkest ink is taken as full ink ...
FAINTEST = 0.5                  # ... unless it is fainter than this part of the picture's darkest
LEAST_CONTRAST = 24             # grey levels between ground and ink, below which a picture is blank
EVEN = 0.05                     # of the contrast: a ground that varies less is lit evenly
GRAIN = 1.2                     # pixels: the blur that takes the grain from a photo
NARROW = 1.8                    # how many times higher than wide a picture is narrow


def find_ink(picture: Image.Image) -> Floats | None:
    """"L" or "RGB" -> (H, W), about 0 on the ground and 1 in ink; None for a blank picture.

    Colours are told apart along the line on which they differ most. A screen or a scan has one ground; on a photo it
    changes slowly, and ink is what lies below it and is narrower than a stroke can be.
    """
    grey = along_main_colour(np.asarray(picture, np.float32))
    ground, threshold = even_ground(grey)
    if ground is not None:
        depth = np.maximum(ground - grey if ground > threshold else grey - ground, 0)
        return None if depth.max() < LEAST_CONTRAST else depth / depth.max()
    grey = along_main_colour(np.asarray(picture.filter(ImageFilter.GaussianBlur(GRAIN)), np.float32))
    grey = grey if ink_is_dark(grey) else -grey
    found = [ink for part in STROKES if (ink := full_ink(below_ground(grey, part))) is not None]
    edges = [edge_strength(grey, ink > 0.5) for ink in found]
    best = max(range(len(found)), key=lambda i: edges[i] * (SHARPER if i else 1), default=None)
    return None if best is None else found[best]


def even_ground(grey: Floats) -> tuple[float | None, float]:
    """(the ground where it is lit evenly, as on a screen, and else None, the level between dark and light).

    Ground is what the border shows, or the corners of a narrow picture, whose border a 1 may fill.
    """
    threshold = split(grey)
    edge = corners(grey) if max(grey.shape) > NARROW * min(grey.shape) else border(grey)
    light = bool(np.median(edge) > threshold)
    bright = grey > threshold
    ground, ink = (grey[bright], grey[~bright]) if light else (grey[~bright], grey[bright])
    if not len(ink) or not len(ground):
        return float(grey[0, 0]), threshold
    some = ground[:: -(-len(ground) // 4096)]       # quantiles sort
    middle, outermost = np.quantile(some, (0.5, 0.95 if light else 0.05))
    even = abs(outermost - middle) < EVEN * abs(ground.mean() - ink.mean())
    return float(middle) if even else None, threshold


def split(grey: Floats) -> float:
    """The grey level between dark and light that leaves least variance on both sides (Otsu, 1979)."""
    low, high = float(grey.min()), float(grey.max())
    width = max(high - low, 1e-6) / 64
    share = np.bincount(((grey - low) / width).astype(np.int64).clip(0, 63).ravel(), minlength=64) / grey.size
    below, mass = share.cumsum()[:-1], (share * np.arange(64)).cumsum()[:-1]
    between = ((share * np.arange(64)).sum() * below - mass) ** 2 / np.maximum(below * (1 - below), 1e-9)
    return low + width * (int(between.argmax()) + 1)


def ink_is_dark(grey: Floats) -> bool:
    """Whether what stands out most from the median of its surroundings is darker than they are."""
    step = max(1, -(-max(grey.shape) // (COARSE // 2)))
    coarse = grey[min(step, grey.shape[0]) // 2 :: step, min(step, grey.shape[1]) // 2 :: step]
    window = max(1, round(STROKES[0] * max(coarse.shape))) | 1
    padded = np.pad(coarse, window // 2, mode="symmetric")
    around = np.lib.stride_tricks.sliding_window_view(padded, (window, window))
    return bool(((coarse - np.median(around, axis=(2, 3))) ** 3).sum() < 0)


def border(grey: NDArray[Scalar]) -> NDArray[Scalar]:
    """The outermost pixels, (2 H + 2 W,)."""
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def corners(grey: Floats) -> Floats:
    """The four outermost pixels."""
    return grey[[0, 0, -1, -1], [0, -1, 0, -1]]


def edge_strength(grey: Floats, mask: NDArray[np.bool_]) -> float:
    """How steep grey is along the outline of a mask, in grey levels a pixel: ink has sharper edges than shadow."""
    outline = np.zeros_like(mask)
    outline[1:] |= mask[1:] != mask[:-1]
    outline[:, 1:] |= mask[:, 1:] != mask[:, :-1]
    down, right = np.gradient(grey)
    return float(np.hypot(down, right)[outline].mean()) if outline.any() else 0.0


def along_main_colour(pixels: Floats) -> Floats:
    """(H, W) as it is; (H, W, 3) along the axis on which its colours differ most, brighter upwards. In grey levels."""
    if pixels.ndim == 2:
        return pixels
    flat = pixels.reshape(-1, 3)
    off = flat - flat.mean(axis=0)
    _, axes = np.linalg.eigh(off.T @ off / len(off) + 1e-3)     # the constant: grey where nothing differs
    axis = axes[:, -1] * np.sign(axes[:, -1].sum() or 1)
    along: Floats = (pixels @ axis).astype(np.float32)
    return along


def below_ground(grey: Floats, part: float) -> Floats:
    """How far each pixel lies below a ground that fills everything narrower than a stroke can be (a closing)."""
    height, width = grey.shape
    step = max(1, -(-max(height, width) // COARSE))
    coarse = blocks(grey, step)
    slope = slope_of(coarse)
    window = max(1, round(part * max(coarse.shape))) | 1
    ground = slope + spread_min(spread_max(coarse - slope, window), window)
    depth: Floats = np.maximum(enlarge(ground, step)[:height, :width] - grey, 0)
    return depth


def slope_of(grey: Floats) -> Floats:
    """The curved surface of second degree that most of (H, W) lies on: light falls off, ink is an exception.

    Least squares, in which what lies far off weighs less each time (Cauchy's weights).
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
    """Depth over that of the darkest ink around: in shadow, and where the pen was light, ink is as much ink.

    None where nothing is deep enough to be ink.
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
    """(H, W) -> the largest value of each step x step block; the last blocks may be smaller."""
    height, width = values.shape
    padded = np.pad(values, ((0, -height % step), (0, -width % step)), mode="edge")
    largest: Floats = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step).max(axis=(1, 3))
    return largest


def enlarge(values: Floats, step: int) -> Floats:
    """The way back from blocks, bilinear."""
    size = (values.shape[1] * step, values.shape[0] * step)
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR))


def spread_max(values: Floats, window: int) -> Floats:
    """Each value becomes the largest of a window x window square around it; window is odd."""
    for axis in (0, 1):
        room = [(0, 0), (0, 0)]
        room[axis] = (window // 2, window // 2)
        padded = np.pad(values, room, constant_values=-np.inf)
        values = np.lib.stride_tricks.sliding_window_view(padded, window, axis=axis).max(axis=-1)
    return values


def spread_min(values: Floats, window: int) -> Floats:
    """The smallest likewise."""
    return -spread_max(-values, window)
