"""Pictures in, the most probable classes of each head out, whatever runs the network."""

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
from featherweight.inference.network import open_network
from featherweight.inference.picture import Prepared, prepare, prepare_many
from featherweight.inference.reading import read_picture
from featherweight.outside import visible

if TYPE_CHECKING:
    from featherweight.runs import Run

BATCH = 64      # pictures that the network answers at once


@dataclass(frozen=True)
class Prediction:
    """The answers of one picture: for each head (class, probability), most probable first.

    digit counts from 1 where several digits of one picture are answered; seen is what went into the network.
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
    """A network that reads picture files. RunError where a path is neither a bundle nor a finished run."""

    def __init__(self, source: Run | str | Path) -> None:
        self.network = open_network(source)
        self.card = self.network.card

    def predict(self, picture: str | Path, *, number: int | None = None, top: int = 3) -> Prediction:
        """The top classes of one picture file; PictureError where it cannot be read or is blank."""
        self.card.check_number(number)
        return self.answer([(str(picture), None, self.look(picture))], number, top)[0]

    def predict_many(self, picture: str | Path, *, number: int | None = None, top: int = 3) -> list[Prediction]:
        """The same for each digit in one picture, from left to right."""
        self.card.check_number(number)
        found = self.look_many(picture)
        return self.answer([(str(picture), place, one) for place, one in enumerate(found, 1)], number, top)

    def look(self, picture: str | Path) -> Prepared:
        """What the network sees of a picture; PictureError names the file."""
        return self.look_many(picture, single=True)[0]

    def look_many(self, picture: str | Path, *, single: bool = False) -> list[Prepared]:
        """What it sees of each digit in a picture, or of all its ink as one."""
        return self.look_at(f"picture {str(picture)!r}", read_picture(picture), single=single)

    def look_at(self, name: str, opened: Image.Image, *, single: bool = False) -> list[Prepared]:
        """The same for a picture that is open already; name is for faults."""
        try:
            if single:
                return [prepare(opened, self.card.picture)]
            return prepare_many(opened, self.card.picture)
        except PictureError as fault:
            raise PictureError(f"{name}: {fault}") from fault

    def answer(
        self, seen: Sequence[tuple[str, int | None, Prepared]], number: int | None, top: int
    ) -> list[Prediction]:
        """Predictions for what was seen of pictures, all in one batch."""
        images = np.stack([one.pixels for _, _, one in seen])       # (N, C, size, size)
        numbers = None if number is None else np.full(len(seen), number, np.int64)
        probabilities = self.network.answer(images, numbers)
        return [
            Prediction(name, {h: rank(p[i], self.card.heads[h], top) for h, p in probabilities.items()}, digit, one)
            for i, (name, digit, one) in enumerate(seen)
        ]


def rank(probabilities: NDArray[np.float32], labels: Sequence[str], top: int) -> list[tuple[str, float]]:
    """(classes,) probabilities -> the top (label, probability) pairs, most probable first."""
    best = np.argsort(-probabilities, kind="stable")[:top]
    return [(labels[index], float(probabilities[index])) for index in best]


def predict(
    source: Run | str | Path, pictures: Any, *, number: int | None = None, top: int = 3
) -> Prediction | list[Prediction]:
    """Answer what pictures show: one picture gives a Prediction, several give a list of them in their order.

    source: a finished run, its folder, or a bundle. pictures: a path, a picture of Pillow, an array or tensor of one
    image, (H, W) or with 1 or 3 channels first or last; or several: a list of such, a folder, a glob, an array
    (N, H, W), (N, C, H, W) or (N, H, W, C). Arrays hold bytes, or values as the training images had them.
    number: 0..9 to add (digit-sum). top: classes to name. Raises PictureError for the first that cannot be answered.
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
