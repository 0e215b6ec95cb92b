"""Pictures made of images: mistakes, kernels, activation maps, class activation maps, receptive fields.

All images of a picture share one axes object, as unit squares. One axes object per image takes ten times as long.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from featherweight.plots.figure import BAD, INK, PALE, PAPER, Picture

Array = NDArray[Any]
Box = tuple[float, float, float, float]     # left, top, width, height in pixels
GREY: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 255}
LINE_INCHES = 0.15      # height of a line of a caption


@dataclass(frozen=True)
class FieldPicture:
    """The receptive field of one unit of a layer."""

    name: str
    words: str              # size and jump, for the caption
    box: Box                # computed from kernel sizes and strides
    seen: Array             # booleans (H, W): pixels with a gradient


class Board:
    """A figure with numbered places for images, row by row. A place is a unit square and room for a caption."""

    def __init__(self, count: int, columns: int, side: float, lines: int = 0, *, below: bool = False) -> None:
        """Create the figure. side: inches of a square. lines: lines of a caption. below: caption below the image."""
        self.columns = max(1, min(columns, count))
        self.rows = math.ceil(count / self.columns) or 1
        self.gap, self.caption, self.below = 0.06, lines * LINE_INCHES / side, below
        self.step = 1 + self.gap + self.caption + (0.12 if lines else 0)
        width, height = self.columns * (1 + self.gap) + self.gap, self.rows * self.step + self.gap
        self.figure = Picture(figsize=(width * side, height * side), facecolor=PAPER)
        self.axes: Axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_axis_off()
        self.axes.set_xlim(-self.gap, width - self.gap)
        self.axes.set_ylim(height - self.gap, -self.gap)

    def corner(self, place: int) -> tuple[float, float]:
        """Return (left, top) of the square of a place."""
        row, column = divmod(place, self.columns)
        top = row * self.step + (0 if self.below else self.step - 1 - self.gap)
        return column * (1 + self.gap), top

    def show(self, place: int, image: Array, **colours: Any) -> None:
        """Draw an image (H, W), (H, W, 3) or (H, W, 4) in a place."""
        left, top = self.corner(place)
        self.axes.imshow(image, extent=(left, left + 1, top + 1, top), interpolation="none", aspect="auto", **colours)
        self.axes.add_patch(Rectangle((left, top), 1, 1, fill=False, edgecolor=PALE, linewidth=0.5))

    def outline(self, place: int, box: Box, shape: Sequence[int]) -> None:
        """Draw the frame of a box, in pixels of an image of `shape` (H, W). Parts outside the image are clipped."""
        left, top = self.corner(place)
        frame = Rectangle((left + box[0] / shape[1], top + box[1] / shape[0]), box[2] / shape[1], box[3] / shape[0],
                          fill=False, edgecolor=BAD, linewidth=1.6)
        self.axes.add_patch(frame)
        frame.set_clip_path(Rectangle((left, top), 1, 1, transform=self.axes.transData))

    def write(self, place: int, caption: str) -> None:
        """Write the caption of a place."""
        left, top = self.corner(place)
        height, align = (top + 1.05, "top") if self.below else (top - 0.05, "bottom")
        self.axes.text(left, height, caption, fontsize=8, color=INK, va=align, linespacing=1.25)


def mistakes(images: Sequence[Array], captions: Sequence[str]) -> Figure:
    """Draw images (H, W) or (H, W, 3), each with its caption below."""
    lines = max((caption.count("\n") + 1 for caption in captions), default=0)
    board = Board(len(images), 4, 1.25, lines, below=True)
    for place, (image, caption) in enumerate(zip(images, captions, strict=True)):
        board.show(place, image, **GREY)
        board.write(place, caption)
    return board.figure


def kernels(weights: Array) -> Figure:
    """Draw the first 64 kernels of a first layer, (O, I, h, w).

    Kernels with 3 input channels are shown as RGB images. Others are averaged over input channels: blue is negative,
    red is positive. All kernels share one scale.
    """
    weights = scaled(weights)[:64]
    board = Board(min(len(weights), 64), 8, 0.62)
    for place, kernel in enumerate(weights):
        if kernel.shape[0] == 3:
            board.show(place, np.moveaxis(kernel, 0, -1) / 2 + 0.5)
        else:
            board.show(place, kernel.mean(axis=0), cmap="RdBu_r", vmin=-1, vmax=1)
    return board.figure


def activations(maps: Sequence[tuple[str, Array]], channels: int = 8) -> Figure:
    """Draw one row per layer: name and first channels of its activations (C, H, W). Each row has its own scale."""
    board = Board(len(maps) * channels, channels, 0.62, 1)
    for row, (name, found) in enumerate(maps):
        values = scaled(found)
        low, high = float(values.min()), float(values.max())
        board.write(row * channels, name)
        for column, one in enumerate(values[:channels]):
            board.show(row * channels + column, one, cmap="viridis", vmin=low, vmax=high if high > low else low + 1)
    return board.figure


def class_maps(images: Sequence[Array], maps: Sequence[Array], boxes: Sequence[Box], captions: Sequence[str]) -> Figure:
    """Draw each image with its class activation map (H, W) and a box.

    Red regions speak for the predicted class, blue regions against. The box is the receptive field of one unit.
    """
    board = Board(len(images), 5, 1.0, 1)
    for place, (image, values, box, caption) in enumerate(zip(images, maps, boxes, captions, strict=True)):
        board.show(place, image, **GREY)
        board.show(place, scaled(values), cmap="RdBu_r", vmin=-1, vmax=1, alpha=0.55)
        board.outline(place, box, image.shape)
        board.write(place, caption)
    return board.figure


def scaled(values: Array) -> Array:
    """Return values as float64 divided by their largest absolute value. NaN becomes 0, infinity the largest float."""
    numbers = np.nan_to_num(values.astype(np.float64))
    return numbers / (float(np.abs(numbers).max(initial=0)) or 1.0)


def receptive_fields(image: Array, fields: Sequence[FieldPicture]) -> Figure:
    """Draw the receptive field of each layer over an image.

    The frame is the field computed from kernel sizes and strides. The coloured pixels have a gradient.
    """
    board = Board(len(fields), 4, 1.35, 2)
    for place, field in enumerate(fields):
        shade = np.zeros((*field.seen.shape, 4))
        shade[field.seen.astype(bool)] = (0.0, 0.62, 0.45, 0.5)
        board.show(place, image, **GREY)
        board.show(place, shade)
        board.outline(place, field.box, image.shape)
        board.write(place, f"{field.name}\n{field.words}")
    return board.figure
