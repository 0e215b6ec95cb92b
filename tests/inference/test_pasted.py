"""Test images as a person would have them: large, off-centre, dark on light, coloured, turned by EXIF."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from featherweight.data import load_dataset
from featherweight.inference import Predictor

IMAGES = 120


def paste(digit, rng, colours=(0, 255), scale=(2, 6)):
    """A digit at some size and place on a page of one colour."""
    factor = rng.uniform(*scale)
    ink = Image.fromarray(digit).resize((round(28 * factor),) * 2, Image.Resampling.BICUBIC)
    ink = ink.crop(ink.getbbox())
    room = [int(rng.integers(5, round(30 * factor))) for _ in range(4)]
    mask = Image.new("L", (ink.width + room[0] + room[1], ink.height + room[2] + room[3]))
    mask.paste(ink, (room[0], room[2]))
    return Image.composite(Image.new("RGB", mask.size, colour(colours[1])),
                           Image.new("RGB", mask.size, colour(colours[0])), mask)


def colour(value):
    return value if isinstance(value, tuple) else (value,) * 3


def turned(picture):
    """Stored on its side, with EXIF data that say so."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return picture.rotate(90, expand=True), exif


CONDITIONS = {
    "large and off-centre": {}, "dark on light": {"colours": (255, 0)}, "small": {"scale": (0.8, 1.2)},
    "coloured": {"colours": ((40, 90, 60), (250, 180, 40))}, "turned": {"colours": (235, 40)},
}


@pytest.fixture(scope="module")
def reader(digits_run):
    """(the predictor, test images, labels, how many of them it reads as they are)."""
    test, predictor = load_dataset("digits").test, Predictor(digits_run)
    images, labels = test.images[:IMAGES].numpy(), test.labels[:IMAGES].numpy()
    return predictor, images[:, 0], labels, (predictor.network.probabilities(images)["class"].argmax(1) == labels).sum()


@pytest.mark.parametrize("condition", CONDITIONS)
def test_pictures_of_test_images_hold_most_of_the_plain_accuracy(reader, condition, tmp_path):
    predictor, images, labels, plain = reader
    right = 0
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        picture, exif = paste(image, np.random.default_rng(index), **CONDITIONS[condition]), Image.Exif()
        if condition == "turned":
            picture, exif = turned(picture)
        picture.save(tmp_path / "a.png", exif=exif)
        right += predictor.predict(tmp_path / "a.png").answers["class"][0][0] == str(label)
    assert right >= 0.96 * plain
