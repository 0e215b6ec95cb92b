"""Draw predictions as one picture: original, ink, input pixels, probabilities. Uses Pillow, not matplotlib."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from featherweight.inference.picture import Prepared
from featherweight.inference.predictor import Prediction
from featherweight.words import percent

CELL, GAP, LABEL, BAR = 140, 12, 24, 200            # pixels
PAPER, LINE, TEXT, FAINT, ACCENT = "#ffffff", "#d5d9e0", "#1b1f27", "#667085", "#1d5fd0"
COLUMNS = ("picture", "ink", "what the network saw")


def draw_strip(predictions: Sequence[Prediction]) -> Image.Image:
    """Return a picture with one row per prediction: original, ink, input pixels, and a bar per top class.

    A prediction whose `seen` is empty gets no row.
    """
    rows = [prediction for prediction in predictions if prediction.seen]
    heads = len(rows[0].answers) if rows else 1
    width = GAP + 3 * (CELL + GAP) + heads * (BAR + GAP)
    strip = Image.new("RGB", (width, GAP + LABEL + len(rows) * (CELL + LABEL + GAP)), PAPER)
    pen = ImageDraw.Draw(strip)
    for column, title in enumerate(COLUMNS):
        pen.text((GAP + column * (CELL + GAP), GAP), title, FAINT, font(12))
    for place, head in enumerate(rows[0].answers if rows else ()):
        pen.text((GAP + 3 * (CELL + GAP) + place * (BAR + GAP), GAP), head, FAINT, font(12))
    for index, prediction in enumerate(rows):
        draw_row(strip, prediction, GAP + LABEL + index * (CELL + LABEL + GAP))
    return strip


def draw_row(strip: Image.Image, prediction: Prediction, top: int) -> None:
    """Draw one prediction on the strip. top: y coordinate of the row in pixels."""
    pen, seen = ImageDraw.Draw(strip), prediction.seen
    assert seen is not None
    name = prediction.picture + (f", digit {prediction.digit}" if prediction.digit else "") + how_read(seen)
    pen.text((GAP, top), shorten(name, strip.width - 2 * GAP), TEXT, font(13))
    pixels = seen.pixels[0] if len(seen.pixels) == 1 else seen.pixels.transpose(1, 2, 0)
    pictures = seen.original, Image.fromarray(seen.ink), Image.fromarray(np.ascontiguousarray(pixels))
    for column, picture in enumerate(pictures):
        left = GAP + column * (CELL + GAP)
        shown = in_cell(picture, sharp=column == 2)
        strip.paste(shown, (left + (CELL - shown.width) // 2, top + LABEL + (CELL - shown.height) // 2))
        pen.rectangle((left, top + LABEL, left + CELL - 1, top + LABEL + CELL - 1), outline=LINE)
    for place, ranked in enumerate(prediction.answers.values()):
        left = GAP + 3 * (CELL + GAP) + place * (BAR + GAP)
        if prediction.doubted:
            pen.text((left, top + LABEL + CELL), "I don't know", ACCENT, font(13), anchor="lb")
        draw_bars(pen, ranked, left, top + LABEL)


def how_read(seen: Prepared) -> str:
    """Return the way in which a picture was read, and how many readings agree, as the end of a line."""
    agree = f", {seen.agreeing} of {seen.readings} readings agree" if seen.readings > 1 else ""
    return f": {seen.way}{agree}"


def draw_bars(pen: ImageDraw.ImageDraw, ranked: Sequence[tuple[str, float]], left: int, top: int) -> None:
    """Draw the (label, probability) pairs as bars, one below the other. left, top: corner in pixels."""
    for index, (label, probability) in enumerate(ranked):
        y = top + index * 46
        pen.text((left, y), shorten(label, 120), TEXT, font(15))
        pen.text((left + BAR, y), percent(probability, 1), TEXT, font(13), anchor="ra")
        pen.rectangle((left, y + 22, left + BAR - 1, y + 31), fill=LINE)
        if (length := round(probability * BAR)) > 0:
            pen.rectangle((left, y + 22, left + length - 1, y + 31), fill=ACCENT if index == 0 else FAINT)


def in_cell(picture: Image.Image, *, sharp: bool) -> Image.Image:
    """Return a picture scaled to the size of a cell, with its proportions. sharp: keep single pixels visible."""
    scale = CELL / max(picture.size)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.convert("RGB").resize(size, Image.Resampling.NEAREST if sharp else Image.Resampling.BICUBIC)


def shorten(text: str, width: int) -> str:
    """Return the text, or "..." and its end if the whole text is wider than `width` pixels."""
    if font(13).getlength(text) <= width:
        return text
    while font(13).getlength("..." + text) > width:
        text = text[1:]
    return "..." + text


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's built-in font in this size (pixels)."""
    return ImageFont.load_default(size)
