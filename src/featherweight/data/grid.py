"""Draw a labelled grid of examples: one row per class, with its name on the left and its count on the right."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from featherweight.data.pictures import Bytes

PAPER, INK, FAINT, RULE = "#fbfaf7", "#23272e", "#8b8f96", "#e7e4dc"
MARGIN, GAP, GUTTER = 28, 4, 18  # pixels: around the grid, between tiles, beside text
TILE = 56  # pixels: approximate side of a tile if no scale is given
NAME_WIDTH, NAME_POINTS = 180, 17  # width in pixels at which a name is wrapped, and its font size

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class GridRow:
    """One class of the grid: its wrapped name, its count as text, its first examples (n, C, H, W), height in pixels."""

    name: str
    count: str
    examples: Bytes
    height: int


def labelled_grid(
    images: Bytes,
    labels: NDArray[np.int64],
    classes: Sequence[str],
    *,
    columns: int = 10,
    rows: int | None = None,
    scale: int | None = None,
    title: str = "",
) -> Image.Image:
    """Return a picture with the first examples of each class.

    images, labels: uint8 (N, C, H, W) with C 1 or 3, and (N,).
    columns: examples per row. A class with fewer examples gets empty frames.
    rows: largest number of classes shown; None shows all.
    scale: side in the picture, in pixels, of one pixel of an image. By default a tile is about TILE pixels wide.
    """
    images, labels = np.asarray(images), np.asarray(labels)  # callers also pass tensors on the CPU
    scale = scale or max(1, round(TILE / max(images.shape[2:])))
    tile = (images.shape[3] * scale, images.shape[2] * scale)  # width, height
    small, big, title_font = _font(13), _font(NAME_POINTS), _font(22)
    chosen = range(len(classes))[:rows]
    lines = [_row(classes[label], images[labels == label], columns, tile[1]) for label in chosen]
    left = MARGIN + max(_size(line.name, big)[0] for line in lines) + GUTTER
    right = left + columns * (tile[0] + GAP) - GAP
    top = MARGIN + (_size(title, title_font)[1] + GUTTER if title else 0)
    width = right + GUTTER + max(_size(line.count, small)[0] for line in lines) + MARGIN
    width = max(width, 2 * MARGIN + _size(title, title_font)[0])
    canvas = Image.new("RGB", (width, top + sum(line.height + GAP for line in lines) - GAP + MARGIN), PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((MARGIN, MARGIN), title, INK, title_font, anchor="la")
    for line in lines:
        middle = top + line.height / 2
        draw.multiline_text((left - GUTTER, middle), line.name, INK, big, anchor="rm", align="right")
        draw.text((right + GUTTER, middle), line.count, FAINT, small, anchor="lm")
        _draw_tiles(canvas, line.examples, columns, (left, top + (line.height - tile[1]) // 2), tile)
        top += line.height + GAP
    return canvas


def _row(name: str, examples: Bytes, columns: int, least_height: int) -> GridRow:
    wrapped = _wrapped(name, _font(NAME_POINTS))
    height = max(least_height, _size(wrapped, _font(NAME_POINTS))[1] + 2 * GAP)
    return GridRow(wrapped, f"{len(examples):,}", examples[:columns], height)


def _draw_tiles(
    canvas: Image.Image, examples: Bytes, columns: int, corner: tuple[int, int], tile: tuple[int, int]
) -> None:
    draw = ImageDraw.Draw(canvas)
    for column in range(columns):
        x, y = corner[0] + column * (tile[0] + GAP), corner[1]
        if column < len(examples):
            canvas.paste(_tile(examples[column], tile), (x, y))
        else:
            draw.rectangle((x, y, x + tile[0] - 1, y + tile[1] - 1), outline=RULE)


def _tile(image: Bytes, size: tuple[int, int]) -> Image.Image:
    """Return the image (C, H, W) as a picture of `size`, enlarged without smoothing."""
    picture = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
    return picture.resize(size, Image.Resampling.NEAREST).convert("RGB")


def _wrapped(name: str, font: Font) -> str:
    """Return the name in lines of at most NAME_WIDTH pixels, broken after spaces and punctuation if possible."""
    lines = [""]
    for piece in re.findall(r"[^ _/.\-]*[ _/.\-]?", name):
        if lines[-1] and font.getlength(lines[-1] + piece.rstrip()) > NAME_WIDTH:
            lines.append("")
        for letter in piece:
            if lines[-1] and font.getlength(lines[-1] + letter) > NAME_WIDTH and letter != " ":
                lines.append("")
            lines[-1] += letter
    return "\n".join(line.rstrip() for line in lines)


def _size(text: str, font: Font) -> tuple[int, int]:
    """Width and height in pixels of a text of one or more lines."""
    box = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox((0, 0), text, font)
    return math.ceil(box[2]), math.ceil(box[3])


@lru_cache
def _font(points: int) -> Font:
    """Return Pillow's built-in font, so that a grid looks the same on every machine."""
    return ImageFont.load_default(points)
