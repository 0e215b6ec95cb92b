"""The interface `Network`. TrainedNetwork implements it for runs with torch, Bundle for bundles with onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from featherweight.errors import NoNumbers
from featherweight.inference.card import Card

Pixels = NDArray[np.uint8]
Numbers = NDArray[np.int64]
Probabilities = dict[str, NDArray[np.float32]]      # head -> (N, classes)


class Network(Protocol):
    """A network that maps raw pixels to probabilities. Normalisation is part of the network."""

    card: Card

    def probabilities(self, images: Pixels, numbers: Numbers | None = None) -> Probabilities:
        """Return the probabilities of each head, (N, classes).

        images: uint8 (N, C, H, W). numbers: (N,) values 0..9, required if the card has takes_number, else None.
        """


def finite(answers: Probabilities, path: Path) -> Probabilities:
    """Return the probabilities unchanged. Raises NoNumbers if a value is NaN or infinite; `path` names the network."""
    for head, probabilities in answers.items():
        if not np.isfinite(probabilities).all():
            raise NoNumbers(path, head)
    return answers
