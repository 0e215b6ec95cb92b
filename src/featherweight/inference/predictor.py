"""Pictures in, the most probable classes of each head out, whatever runs the network."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featherweight.errors import PictureError
from featherweight.inference.network import open_network
from featherweight.inference.picture import prepare, read_picture

if TYPE_CHECKING:
    from featherweight.runs import Run


@dataclass(frozen=True)
class Prediction:
    """The answers of one picture: for each head (class, probability), most probable first."""

    picture: str
    answers: dict[str, list[tuple[str, float]]]

    def to_dict(self) -> dict[str, Any]:
        heads = {
            head: [{"class": name, "probability": probability} for name, probability in ranked]
            for head, ranked in self.answers.items()
        }
        return {"picture": self.picture, **heads}

    def _repr_html_(self) -> str:
        cells = [
            f"<tr><th>{html.escape(head)}</th>"
            + "".join(f"<td>{html.escape(name)} {probability:.1%}</td>" for name, probability in ranked)
            for head, ranked in self.answers.items()
        ]
        return f"<table><caption>{html.escape(self.picture)}</caption>{'</tr>'.join(cells)}</tr></table>"


class Predictor:
    """A network that reads picture files. RunError where a path is neither a bundle nor a finished run."""

    def __init__(self, source: Run | str | Path) -> None:
        self.network = open_network(source)
        self.card = self.network.card

    def predict(self, picture: str | Path, *, number: int | None = None, top: int = 3) -> Prediction:
        """The top classes of one picture file; PictureError where it cannot be read or is blank."""
        self.card.check_number(number)
        try:
            prepared = prepare(read_picture(picture), self.card.picture)
        except PictureError as fault:
            name = f"picture {str(picture)!r}"
            raise fault if name in str(fault) else PictureError(f"{name}: {fault}") from fault
        numbers = None if number is None else np.array([number])
        answers = self.network.answer(prepared.pixels[None], numbers)
        return Prediction(str(picture), {
            head: rank(probabilities[0], self.card.heads[head], top) for head, probabilities in answers.items()
        })


def rank(probabilities: NDArray[np.float32], labels: Sequence[str], top: int) -> list[tuple[str, float]]:
    """(classes,) probabilities -> the top (label, probability) pairs, most probable first."""
    best = np.argsort(-probabilities, kind="stable")[:top]
    return [(labels[index], float(probabilities[index])) for index in best]


def predict(
    source: Run | str | Path, pictures: Sequence[str | Path], *, number: int | None = None, top: int = 3
) -> list[Prediction]:
    """Predictions for picture files, in their order. Raises at the first that cannot be answered."""
    predictor = Predictor(source)
    return [predictor.predict(picture, number=number, top=top) for picture in pictures]
