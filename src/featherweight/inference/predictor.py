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
from featherweight.inference.given import each_picture, is_single
from featherweight.inference.opening import open_network
from featherweight.inference.picture import Prepared, prepare, prepare_many
from featherweight.inference.reading import read_picture
from featherweight.outside import visible

if TYPE_CHECKING:
    from featherweight.runs import Run

BATCH = 64      # pictures in one pass through the network


@dataclass(frozen=True)
class Prediction:
    """The prediction for one picture or one digit in it: (class, probability) per head, most probable first.

    digit: position in reading order, counted from 1, if each digit of a picture is predicted separately; else None.
    seen: the prepared picture with the pixels that went into the network.
    """

    picture: str
    answers: dict[str, list[tuple[str, float]]]
    digit: int | None = None
    seen: Prepared | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        heads = {
            head: [{"class": name, "probability": probability} for name, probability in ranked]
            for head, ranked in self.answers.items()
        }
        return {"picture": self.picture, **({"digit": self.digit} if self.digit else {}), **heads}

    def _repr_html_(self) -> str:
        cells = [
            f"<tr><th>{html.escape(head)}</th>"
            + "".join(f"<td>{html.escape(name)} {probability:.1%}</td>" for name, probability in ranked)
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
        return self.answer([(str(picture), None, self.look(picture))], number, top)[0]

    def predict_many(self, picture: str | Path, *, number: int | None = None, top: int = 3) -> list[Prediction]:
        """Return one prediction per digit in the picture file, line by line. Errors as in `predict`."""
        self.card.check_number(number)
        found = self.look_many(picture)
        return self.answer([(str(picture), place, one) for place, one in enumerate(found, 1)], number, top)

    def look(self, picture: str | Path) -> Prepared:
        """Return the picture file prepared as one image. Raises PictureError, which names the file."""
        return self.look_many(picture, single=True)[0]

    def look_many(self, picture: str | Path, *, single: bool = False) -> list[Prepared]:
        """Return each digit of a picture file prepared, or, with `single`, all its ink as one image."""
        return self.look_at(f"picture {str(picture)!r}", read_picture(picture), single=single)

    def look_at(self, name: str, opened: Image.Image, *, single: bool = False) -> list[Prepared]:
        """Prepare an open picture as `look_many` does. `name` stands in messages."""
        try:
            if single:
                return [prepare(opened, self.card.picture)]
            return prepare_many(opened, self.card.picture)
        except PictureError as fault:
            raise PictureError(f"{name}: {fault}") from fault

    def answer(
        self, seen: Sequence[tuple[str, int | None, Prepared]], number: int | None, top: int
    ) -> list[Prediction]:
        """Return the predictions for (name, digit, prepared picture) triples, computed in one batch."""
        images = np.stack([one.pixels for _, _, one in seen])       # (N, C, size, size)
        numbers = None if number is None else np.full(len(seen), number, np.int64)
        probabilities = self.network.probabilities(images, numbers)
        return [
            Prediction(name, {h: rank(p[i], self.card.heads[h], top) for h, p in probabilities.items()}, digit, one)
            for i, (name, digit, one) in enumerate(seen)
        ]


def rank(probabilities: NDArray[np.float32], labels: Sequence[str], top: int) -> list[tuple[str, float]]:
    """Return the `top` pairs (label, probability), most probable first. probabilities: (classes,)."""
    best = np.argsort(-probabilities, kind="stable")[:top]
    return [(labels[index], float(probabilities[index])) for index in best]


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
    answered: list[Prediction] = []
    waiting: list[tuple[str, int | None, Prepared]] = []
    for name, opened in each_picture(pictures, predictor.card.picture):
        waiting.append((name, None, predictor.look_at(f"picture {name!r}", opened, single=True)[0]))
        if len(waiting) == BATCH:
            answered += predictor.answer(waiting, number, top)
            waiting = []
    answered += predictor.answer(waiting, number, top) if waiting else []
    return answered[0] if is_single(pictures, predictor.card.picture.channels) else answered
