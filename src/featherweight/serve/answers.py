"""One question in, one JSON document out. Runs in a worker and knows nothing of HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from featherweight.errors import PictureError
from featherweight.inference.bundle import Bundle
from featherweight.inference.network import Pixels
from featherweight.inference.picture import prepare, read_picture
from featherweight.inference.predictor import rank
from featherweight.serve.documents import Answer, Ranked, Seen
from featherweight.serve.explain import LayerReader, where_it_looked


@dataclass(frozen=True)
class Question:
    """A picture file's bytes, or the numbers of an image; and what is asked about it."""

    picture: bytes | list[float]
    number: int | None = None
    explain: bool = False


class Answerer:
    """The network of a bundle behind one function."""

    def __init__(self, bundle: Bundle, picture_pixels: int) -> None:
        self.bundle, self.card, self.picture_pixels = bundle, bundle.card, picture_pixels
        self.layers = LayerReader(bundle.path, list(bundle.card.heads))
        self.blank = ground_of(bundle)

    def answer(self, question: Question) -> bytes:
        """The answer as JSON; PictureError for a picture that cannot be read or is blank."""
        numbers = None if question.number is None else np.array([question.number], np.int64)
        image, looked, layers = self.image_of(question), None, None
        if question.explain:
            heads, layers = self.layers.read(image, numbers)
            looked = where_it_looked(self.bundle, image, numbers, heads, self.blank)
        else:
            heads = self.bundle.answer(image, numbers)
        ranked = {head: self.ranked(head, probabilities[0]) for head, probabilities in heads.items()}
        answer = Answer(heads=ranked, number=question.number, seen=seen(image), looked=looked, layers=layers)
        return answer.model_dump_json(exclude_none=True).encode()

    def ranked(self, head: str, probabilities: np.ndarray) -> list[Ranked]:
        """All classes of a head, most probable first."""
        pairs = rank(probabilities, self.card.heads[head], top=len(probabilities))
        return [Ranked(name=name, probability=probability) for name, probability in pairs]

    def image_of(self, question: Question) -> Pixels:
        """(1, C, H, W), what goes into the network."""
        if isinstance(question.picture, bytes):
            picture = read_picture_bytes(question.picture, self.picture_pixels)
            return prepare(picture, self.card.picture).pixels[None]
        size, channels = self.card.picture.size, self.card.picture.channels
        if len(question.picture) != channels * size * size:
            count = f"{channels * size * size} numbers are needed, {channels} x {size} x {size}"
            raise PictureError(f"pixels has {len(question.picture)} numbers, and {count}, 0 to 255, row by row.")
        return np.array(question.picture).round().astype(np.uint8).reshape(1, channels, size, size)


def read_picture_bytes(content: bytes, most_pixels: int) -> Image.Image:
    """A picture from what a request carried; PictureError where it is none or unpacks to too much."""
    try:
        with Image.open(BytesIO(content)) as file:      # reads the head of the file only
            width, height = file.size
        if width * height <= most_pixels:
            return read_picture(BytesIO(content))
    except Exception as fault:      # PictureError names a file, and Pillow's readers raise what they like
        raise PictureError("This is no picture that can be read. Send a PNG, JPEG, WebP, GIF or BMP file.") from fault
    raise PictureError(f"The picture has {width} x {height} pixels, and {most_pixels:,} are allowed. Shrink it.")


def seen(image: Pixels) -> Seen:
    """The image that went in."""
    _, channels, height, width = image.shape
    return Seen(channels=channels, height=height, width=width, pixels=image.ravel().tolist())


def ground_of(bundle: Bundle) -> Pixels:
    """(C,) what an empty place looks like: black behind ink, else the mean of the training pixels."""
    if bundle.card.picture.kind == "ink":
        return np.zeros(bundle.card.picture.channels, np.uint8)
    return (np.array(bundle.card.mean) * 255).round().astype(np.uint8)
