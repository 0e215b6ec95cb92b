"""Estimate the amount of ink in each pixel of a photo, scan or drawing. picture.py uses it.

The result does not depend on the light, the paper or the pen. Needs only numpy and Pillow.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from featherweight.inference.light import INK, LEAST_CONTRAST, Floats, ink_is_dark, ink_of_strokes, quantile, sharpest
from featherweight.inference.zoom import cut_around, reduced

__all__ = ["INK", "Floats", "View", "border", "find_ink", "ink_on_level_ground", "ink_under_light", "thin_ink"]

Scalar = TypeVar("Scalar", bound=np.generic)
Result = TypeVar("Result")
EVEN = 0.05                     # fraction of the contrast: a background that varies less is evenly lit
GRAIN = 1.2                     # pixels: radius of the blur that removes the grain of a photo
FRAME = 0.04                    # part of the shorter side: a frame line lies nearer to the border
FRAMED = 0.2                    # part of the pixels within: if fewer are like the border, the border is a frame
LEVELS = 9                      # grey levels that count as one ground level
GREY_AXIS = np.float32(np.sqrt(3))  # a grey level on the axis (1, 1, 1) / sqrt(3), from black
NARROW = 1.8                    # longer side / shorter side: a picture above this is narrow


class Tones(NamedTuple):
    """The grey levels of a picture (H, W), the threshold between dark and light, and True if the ground is light."""

    grey: Floats
    threshold: float
    light: bool


class View:
    """A picture and what several searches for its ink need. Each value is computed once, when it is first used.

    area: pixels that the reduced picture has at least.
    """

    def __init__(self, picture: Image.Image, area: int = 0) -> None:
        self.picture, self.area = picture, area
        self.results: dict[Callable[[View], Any], Any] = {}

    def once(self, search: Callable[[View], Result]) -> Result:
        """Return the result of a search in this view. The search is made the first time only."""
        if search not in self.results:
            self.results[search] = search(self)
        found: Result = self.results[search]
        return found

    def around(self, box: tuple[int, int, int, int], room: float) -> View:
        """Return the view of the part around a box (top, bottom, left, right) in the reduced picture, with a margin."""
        return View(cut_around(self.picture, box, room, self.scale), self.area)

    @cached_property
    def working(self) -> Image.Image:
        """The picture reduced to the working size. All arrays have its size (H, W)."""
        return reduced(self.picture, self.area)

    @property
    def scale(self) -> float:
        """Pixels of the picture for one pixel of the reduced picture."""
        return self.picture.width / self.working.width

    @cached_property
    def colour(self) -> Tones:
        """The levels along the axis on which the colours vary most."""
        return tones_of(along_main_colour(self.working))

    @cached_property
    def grey(self) -> Floats:
        """The levels (H, W) without colour."""
        return np.asarray(self.working.convert("L"), np.float32)

    @cached_property
    def lightness(self) -> Tones:
        """The levels without colour, and what follows from them."""
        if self.working.mode == "L":
            return self.colour
        if is_grey(self.working):
            return Tones(self.grey, self.colour.threshold / float(GREY_AXIS), self.colour.light)
        return tones_of(self.grey)

    @cached_property
    def ground(self) -> float | None:
        """The level of the ground, or None if the ground is not lit evenly, as on most photos."""
        return even_ground(self.colour)

    @cached_property
    def smooth(self) -> Floats:
        """The levels (H, W) without the grain of the camera. Dark ink stays, light ink is inverted."""
        grey = along_main_colour(self.working.filter(ImageFilter.GaussianBlur(GRAIN)))
        return grey if ink_is_dark(grey) else -grey

    @cached_property
    def strokes(self) -> list[Floats | None]:
        """The ink of strokes of several widths, the thinnest last."""
        return ink_of_strokes(self.smooth)

    @cached_property
    def under_light(self) -> Floats | None:
        """The ink (H, W) if the ground is lit unevenly. None if the picture is blank."""
        return sharpest(self.smooth, self.strokes)


def find_ink(view: View) -> Floats | None:
    """Return the ink of a picture as (H, W), about 0 on the background and 1 in ink.

    Colours are first projected on the axis along which they vary most.
    A screen or a scan has an evenly lit background. On a photo, the background changes slowly.
    There, ink is darker than the background and narrower than the widest stroke.
    Returns None for a blank picture.
    """
    if view.ground is None:
        return view.under_light
    grey, threshold, _ = view.colour
    depth = np.maximum(view.ground - grey if view.ground > threshold else grey - view.ground, 0)
    return None if depth.max() < LEAST_CONTRAST else depth / depth.max()


def ink_under_light(view: View) -> Floats | None:
    """Return the ink of a picture whose ground is lit unevenly, (H, W), as find_ink() does for a photo."""
    return view.under_light


def thin_ink(view: View) -> Floats | None:
    """Return the ink of the thinnest strokes, (H, W), as ink_under_light() does."""
    return view.strokes[-1]


def ink_on_level_ground(view: View) -> Floats | None:
    """Return how far each pixel is from the most frequent level of the ground, (H, W), 1 in ink. None if it is blank.

    A dark frame line along the border of a light picture is not taken for the ground.
    """
    grey, threshold, light = view.lightness
    margin = max(2, round(FRAME * min(grey.shape)))
    inner = border(grey[margin:-margin, margin:-margin]) if min(grey.shape) > 4 * margin else border(grey)
    if np.mean((inner > threshold) == light) < FRAMED:
        light = not light
    ground = grey[(grey > threshold) == light].astype(np.uint8)
    counts = np.convolve(np.bincount(ground, minlength=256), np.ones(LEVELS), "same")
    depth = np.abs(grey - np.float32(counts.argmax()))
    full = quantile(depth, 1 - min(0.005, 12 / depth.size))
    return None if full < LEAST_CONTRAST else np.minimum(depth / full, 1)


def tones_of(grey: Floats) -> Tones:
    """Return the grey levels of a picture with their threshold. The ground is light if its border is.

    In a narrow picture the corners decide, because a digit 1 may cover most of its border.
    """
    threshold = split(grey)
    edge = corners(grey) if max(grey.shape) > NARROW * min(grey.shape) else border(grey)
    return Tones(grey, threshold, quantile(edge, 0.5) > threshold)


def even_ground(tones: Tones) -> float | None:
    """Return the grey level of the background, or None if the background is not evenly lit."""
    grey, threshold, light = tones
    ground = grey[(grey > threshold) == light]
    if len(ground) in (0, grey.size):
        return float(grey[0, 0])
    some = ground[:: -(-len(ground) // 4096)]       # a sample is enough: a quantile sorts all its values
    middle, outermost = quantile(some, 0.5), quantile(some, 0.95 if light else 0.05)
    total, within = grey.sum(dtype=float), ground.sum(dtype=float)
    contrast = abs(within / len(ground) - (total - within) / (grey.size - len(ground)))
    return middle if abs(outermost - middle) < EVEN * contrast else None


def split(grey: Floats) -> float:
    """Return the threshold between dark and light that minimises the variance within both classes (Otsu, 1979)."""
    low, high = float(grey.min()), float(grey.max())
    width = max(high - low, 1e-6) / 64
    bins = np.minimum(((grey - low) / width).astype(np.int64), 63)
    share = np.bincount(bins.ravel(), minlength=64) / grey.size
    below, mass = share.cumsum()[:-1], (share * np.arange(64)).cumsum()[:-1]
    between = ((share * np.arange(64)).sum() * below - mass) ** 2 / np.maximum(below * (1 - below), 1e-9)
    return low + width * (int(between.argmax()) + 1)


def border(grey: NDArray[Scalar]) -> NDArray[Scalar]:
    """The pixels on the four edges, (2 H + 2 W,)."""
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def corners(grey: Floats) -> Floats:
    """The pixels in the four corners, (4,)."""
    return grey[[0, 0, -1, -1], [0, -1, 0, -1]]


def is_grey(picture: Image.Image) -> bool:
    """Return True for an "RGB" picture without colour."""
    red, green, blue = (band.tobytes() for band in picture.split())
    return red == green == blue


def along_main_colour(picture: Image.Image) -> Floats:
    """Return an "RGB" picture as (H, W): its projection on the axis along which its colours vary most.

    Higher values are brighter, in grey levels. The levels of an "L" picture are returned unchanged.
    """
    if picture.mode == "L":
        return np.asarray(picture, np.float32)
    if is_grey(picture):
        return np.asarray(picture.getchannel(0), np.float32) * GREY_AXIS
    pixels = np.asarray(picture, np.float32)
    flat = pixels.reshape(-1, 3)
    off = flat - np.ones(len(flat), np.float32) @ flat / len(flat)      # mean(axis=0) is far slower
    _, axes = np.linalg.eigh(off.T @ off / len(off) + 1e-3)     # the constant gives the grey axis if no colour varies
    axis = axes[:, -1] * np.sign(axes[:, -1].sum() or 1)
    along: Floats = (pixels @ axis).astype(np.float32)
    return along
