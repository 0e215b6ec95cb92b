"""Checks that the outputs of a network depend neither on chance nor on the other images in the batch.

Export refuses any other network, because its test accuracy would not hold for other batches.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from featherweight.errors import ExportError, ModelError
from featherweight.independence import CAUSES, TOLERANCE, changed_by_neighbours
from featherweight.inference.trained import TrainedNetwork
from featherweight.shipping.forms import Form
from featherweight.shipping.proof import Answer, Questions
from featherweight.training.randomness import random_calls

HIDDEN_CAUSES = "Look in its forward for random numbers, or a state that is kept between batches"
ONE_BYTE = 0.05     # change in probability that is allowed, e.g. if one value is rounded to the next byte


def check_torch(network: TrainedNetwork, questions: Questions) -> None:
    """Raise ModelError if torch gives other outputs for the same images: run again, one by one, or in another order."""
    model = f"model {network.card.model!r}"
    once, again = questions.ask(network.probabilities), questions.ask(network.probabilities)
    if not all(np.array_equal(once[head], again[head]) for head in once):
        found = random_calls(network.module, network.inputs(questions.images, questions.numbers))
        why = "; ".join(str(call) for call in found) or HIDDEN_CAUSES
        raise ModelError(f"{model} answers the same images differently each time, so no export can be proved. {why}. "
                         "Then train it again.")
    change = change_of(network.probabilities, questions)
    if change > TOLERANCE:
        raise ModelError(f"{model} gives outputs that depend on the other images in the batch: alone, an image's "
                         f"probability changes by {change:.2g}. {CAUSES}, and train it again.")


def check_form(form: Form, questions: Questions) -> None:
    """Raise ExportError if a form gives other outputs for the same images: run one by one, or in another order."""
    assert form.probabilities
    change = change_of(form.probabilities, questions)
    if change > (TOLERANCE if form.exact else ONE_BYTE):
        raise ExportError(f"{form.name} gives outputs that depend on the other images in the batch: alone, an image's "
                          f"probability changes by {change:.2g}, in torch it does not. Change the network.")


def change_of(answer: Answer, questions: Questions) -> float:
    """Return the largest change of a probability if the images are run one by one or in another order."""
    heads = list(questions.targets)

    def asked(images: Any, numbers: Any = None) -> list[Any]:
        found = answer(images, numbers)
        return [found[head] for head in heads]

    inputs = [questions.images] if questions.numbers is None else [questions.images, questions.numbers]
    return changed_by_neighbours(asked, *inputs)
