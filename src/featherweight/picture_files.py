"""What holds for every picture file, whether it is learned from or asked about: its endings, and its ground."""

from __future__ import annotations

import numpy as np
from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
LIGHT = 160     # mean of the opaque pixels, 0..255, from which on white would swallow what is drawn


def on_its_ground(picture: Image.Image) -> Image.Image:
    """Any mode -> "RGBA" without transparency: laid on white, or on black where what is drawn is light."""
    picture = picture.convert("RGBA")
    if picture.getchannel("A").getextrema() == (255, 255):      # a browser's canvas has the channel for nothing
        return picture
    pixels = np.asarray(picture)
    opaque = pixels[pixels[..., 3] > 127]
    light = len(opaque) > 0 and opaque[:, :3].mean() > LIGHT
    return Image.alpha_composite(Image.new("RGBA", picture.size, "black" if light else "white"), picture)
