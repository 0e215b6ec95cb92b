"""Ask a network about a picture: about one reading of it, or about several until the network is sure.

The probabilities of the readings are averaged. The reading that is shown is the one that is surest of the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featherweight.inference.card import Card
from featherweight.inference.frames import inside_frame
from featherweight.inference.ink import View
from featherweight.inference.network import Network, Probabilities
from featherweight.inference.picture import Prepared, prepare_many, without_search
from featherweight.inference.readings import further_readings, likely_readings
from featherweight.specification import NONE

SURE = 0.9      # mean probability of the best class from which no further reading is made
DOUBT = 0.5     # a prediction whose best class has less is doubted

Answered = tuple[Prepared, Probabilities]       # the reading that is shown, and (1, classes) for each head


def read_digit(network: Network, picture: Image.Image, number: int | None = None) -> Answered:
    """Return the prediction for a picture of one digit. number: to add, for the task digit-sum.

    Raises PictureError if the picture is blank.
    """
    specification = network.card.picture
    if (only := without_search(picture, specification)) is not None:
        return only, ask(network, [only], number)
    view = inside_frame(View(picture))
    readings = likely_readings(view, specification)
    answers = ask(network, readings, number)
    if surest(answers, network.card) < SURE:
        more = further_readings(view, specification, readings)
        readings, answers = readings + more, joined(answers, ask(network, more, number))
    return combined(readings, answers, network.card)


def read_digits(network: Network, picture: Image.Image, number: int | None = None) -> list[Answered]:
    """Return the predictions for each digit in a picture, in the order of writing. Raises PictureError as above."""
    found = prepare_many(picture, network.card.picture)
    answers = ask(network, found, number)
    return [(one, {head: rows[index : index + 1] for head, rows in answers.items()}) for index, one in enumerate(found)]


def ask(network: Network, readings: Sequence[Prepared], number: int | None) -> Probabilities:
    """Return the network's probabilities for readings, (readings, classes) for each head."""
    numbers = None if number is None else np.full(len(readings), number, np.int64)
    return network.probabilities(np.stack([one.pixels for one in readings]), numbers)


def surest(answers: Probabilities, card: Card) -> float:
    """Return the mean probability of the best class but "none", of the head that is least sure."""
    return min(best_of(rows.mean(axis=0), card.heads[head]) for head, rows in answers.items())


def joined(first: Probabilities, second: Probabilities) -> Probabilities:
    """Return the rows of both."""
    return {head: np.concatenate([rows, second[head]]) for head, rows in first.items()}


def combined(readings: Sequence[Prepared], answers: Probabilities, card: Card) -> Answered:
    """Return the mean over the readings, and the reading that gives the class of the mean the highest probability."""
    mean = {head: rows.mean(axis=0, keepdims=True) for head, rows in answers.items()}
    head, rows = next(iter(answers.items()))
    classes = [index for index, label in enumerate(card.heads[head]) if label != NONE]
    best = classes[int(mean[head][0, classes].argmax())]
    agreeing = int((rows.argmax(axis=1) == best).sum())
    chosen = readings[int(rows[:, best].argmax())]
    return replace(chosen, readings=len(readings), agreeing=agreeing), mean


def is_doubted(answers: Probabilities, card: Card) -> bool:
    """Return True if the network does not know what a picture of handwriting shows. answers: (1, classes) each."""
    return card.picture.kind == "ink" and surest(answers, card) < DOUBT


def best_of(probabilities: NDArray[np.float32], labels: Sequence[str]) -> float:
    """Return the probability of the best class, (classes,), the class "none" left out."""
    return max(float(one) for one, label in zip(probabilities, labels, strict=True) if label != NONE)
