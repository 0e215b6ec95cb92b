"""Compute the JSON document for one request. Runs in a worker process and does not depend on HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from featherweight.errors import PictureError
from featherweight.inference.answering import is_doubted, read_digit, read_digits
from featherweight.inference.bundle import Bundle
from featherweight.inference.network import Numbers, Pixels, Probabilities
from featherweight.inference.predictor import rank
from featherweight.inference.reading import read_picture
from featherweight.serve.documents import Answer, Answers, Ranked, Seen
from featherweight.serve.explain import LayerReader, where_it_looked


@dataclass(frozen=True)
class PictureRequest:
    """One parsed request: the bytes of a picture file, or the pixels of an image, and its options.

    number: the number 0..9 to add. explain: also return important regions and activations. many: predict each digit.
    """

    picture: bytes | list[float]
    number: int | None = None
    explain: bool = False
    many: bool = False


class Answerer:
    """The network of a bundle, ready to answer requests."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle, self.card = bundle, bundle.card
        self.layers = LayerReader(bundle)
        self.blank = ground_of(bundle)

    def respond(self, question: PictureRequest) -> bytes:
        """Return the prediction as JSON. Raises PictureError if the picture cannot be read or is blank."""
        found = [self.answer_image(*one, question) for one in self.read(question)]
        return (Answers(answers=found) if question.many else found[0]).model_dump_json(exclude_none=True).encode()

    def answer_image(self, image: Pixels, digits: int, heads: Probabilities, question: PictureRequest) -> Answer:
        """Return the answer for one image (1, C, H, W) and its probabilities. digits: drawings side by side in it."""
        looked, layers = None, None
        if question.explain:
            numbers = numbers_of(question)
            own, layers = self.layers.read(image, numbers)
            looked = where_it_looked(self.bundle, image, numbers, own, self.blank)
        ranked = {head: self.ranked(head, probabilities[0]) for head, probabilities in heads.items()}
        return Answer(
            heads=ranked, number=question.number, digits=digits, doubted=is_doubted(heads, self.card),
            seen=seen(image), looked=looked, layers=layers,
        )

    def ranked(self, head: str, probabilities: NDArray[np.float32]) -> list[Ranked]:
        """Return all classes of a head, most probable first. probabilities: (classes,)."""
        pairs = rank(probabilities, self.card.heads[head], top=len(probabilities))
        return [Ranked(name=name, probability=probability) for name, probability in pairs]

    def read(self, question: PictureRequest) -> list[tuple[Pixels, int, Probabilities]]:
        """Return each image of a request, (1, C, H, W), with the number of digits side by side, and its probabilities.

        Raises PictureError for an unreadable or blank picture, or for the wrong count of pixels.
        """
        if isinstance(question.picture, bytes):
            picture, number = read_picture(BytesIO(question.picture)), question.number
            found = read_digits(self.bundle, picture, number) if question.many else [
                read_digit(self.bundle, picture, number)]
            return [(one.pixels[None], one.digits, heads) for one, heads in found]
        size, channels = self.card.picture.size, self.card.picture.channels
        if len(question.picture) != channels * size * size:
            count = f"{channels * size * size} numbers are needed, {channels} x {size} x {size}"
            raise PictureError(f"pixels has {len(question.picture)} numbers, and {count}, 0 to 255, row by row.")
        image = np.array(question.picture).round().astype(np.uint8).reshape(1, channels, size, size)
        return [(image, 1, self.bundle.probabilities(image, numbers_of(question)))]


def numbers_of(question: PictureRequest) -> Numbers | None:
    """Return the number to add as (1,), or None."""
    return None if question.number is None else np.array([question.number], np.int64)


def seen(image: Pixels) -> Seen:
    """Return the input image (1, C, H, W) as part of the answer."""
    _, channels, height, width = image.shape
    return Seen(channels=channels, height=height, width=width, pixels=image.ravel().tolist())


def ground_of(bundle: Bundle) -> Pixels:
    """Return the colour of an empty region, (C,): black behind ink, else the mean of the training pixels."""
    if bundle.card.picture.kind == "ink":
        return np.zeros(bundle.card.picture.channels, np.uint8)
    return (np.array(bundle.card.mean) * 255).round().astype(np.uint8)
