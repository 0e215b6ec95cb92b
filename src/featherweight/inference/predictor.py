"""Predict the most probable classes of each head for pictures, with torch or onnxruntime."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featherweight.errors import PictureError
from featherweight.inference.answering import is_doubted, read_digit, read_digits
from featherweight.inference.given import each_picture, is_single
from featherweight.inference.opening import open_network
from featherweight.inference.picture import Prepared
from featherweight.inference.reading import read_picture
from featherweight.outside import visible
from featherweight.specification import NONE
from featherweight.words import percent

if TYPE_CHECKING:
    from featherweight.runs import Run


@dataclass(frozen=True)
class Prediction:
    """The prediction for one picture or one digit in it: (class, probability) per head, most probable first.

    digit: position in reading order, counted from 1, if each digit of a picture is predicted separately; else None.
    doubted: True if the best class has less than half of the probability: the network does not know.
    seen: the prepared picture with the pixels that went into the network.
    """

    picture: str
    answers: dict[str, list[tuple[str, float]]]
    digit: int | None = None
    doubted: bool = False
    seen: Prepared | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        heads = {
            head: [{"class": name, "probability": probability} for name, probability in ranked]
            for head, ranked in self.answers.items()
        }
        place = {"digit": self.digit} if self.digit else {}
        return {"picture": self.picture, **place, "doubted": self.doubted, **heads}

    def _repr_html_(self) -> str:
        cells = [
            f"<tr><th>{html.escape(head)}</th>"
            + "".join(f"<td>{html.escape(name)} {percent(probability, 1)}</td>" for name, probability in ranked)
            for head, ranked in self.answers.items()
        ]
        return visible(f"<table><caption>{html.escape(self.picture)}</caption>{'</tr>'.join(cells)}</tr></table>")


class Predictor:
    """A network together with the preparation of its pictures, so that it can read picture files.

    Raises RunError if a path is neither a bundle nor a finished run.
    """

    def __init__(self, source: Run | str | Path) -> None:
        self.network = open_network(source)
        self.card = self.network.card

    def predict(self, picture: str | Path, *, number: int | None = None, top: int = 3) -> Prediction:
        """Return the top classes of one picture file. Raises PictureError if the file cannot be read or is blank."""
        self.card.check_number(number)
        return self.read(str(picture), read_picture(picture), number=number, top=top)[0]

    def predict_many(self, picture: str | Path, *, number: int | None = None, top: int = 3) -> list[Prediction]:
        """Return one prediction per digit in the picture file, line by line. Errors as in `predict`."""
        self.card.check_number(number)
        return self.read(str(picture), read_picture(picture), number=number, top=top, many=True)

    def read(
        self, name: str, opened: Image.Image, *, number: int | None = None, top: int = 3, many: bool = False
    ) -> list[Prediction]:
        """Return the prediction for an open picture, or with `many` one for each digit. `name` stands in messages."""
        self.card.check_number(number)
        try:
            found = read_digits(self.network, opened, number) if many else [read_digit(self.network, opened, number)]
        except PictureError as fault:
            raise PictureError(f"picture {name!r}: {fault}") from fault
        return [
            Prediction(name, {head: rank(rows[0], self.card.heads[head], top) for head, rows in answers.items()},
                       place if many else None, is_doubted(answers, self.card), seen)
            for place, (seen, answers) in enumerate(found, 1)
        ]


def rank(probabilities: NDArray[np.float32], labels: Sequence[str], top: int) -> list[tuple[str, float]]:
    """Return the `top` pairs (label, probability), most probable first, without "none". probabilities: (classes,)."""
    best = [index for index in np.argsort(-probabilities, kind="stable") if labels[index] != NONE]
    return [(labels[index], float(probabilities[index])) for index in best[:top]]


def predict(
    source: Run | str | Path, pictures: Any, *, number: int | None = None, top: int = 3
) -> Prediction | list[Prediction]:
    """Predict the classes of pictures. Return a Prediction for one picture, a list in input order for several.

    source: a finished run, its folder, or a bundle.
    pictures: one picture or several.
      - One: a path, a Pillow image, or an array or tensor. Shapes: (H, W), or with 1 or 3 channels first or last.
      - Several: a list of these, a folder, a glob, or an array (N, H, W), (N, C, H, W) or (N, H, W, C).
    Arrays hold bytes (uint8), or values in the range of the training images.
    number: the number 0..9 to add (task digit-sum).
    top: number of classes in each prediction.

    Raises PictureError for the first picture that cannot be read or is blank.
    """
    predictor = Predictor(source)
    predictor.card.check_number(number)
    answered = [one for name, opened in each_picture(pictures, predictor.card.picture)
                for one in predictor.read(name, opened, number=number, top=top)]
    return answered[0] if is_single(pictures, predictor.card.picture.channels) else answered
