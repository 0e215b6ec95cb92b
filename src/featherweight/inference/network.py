"""A network that answers, wherever it runs: torch for a run folder, onnxruntime for a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from featherweight.errors import FeatherweightError, NoNumbers
from featherweight.inference.card import Card
from featherweight.wording import call

if TYPE_CHECKING:
    from featherweight.runs import Run

Pixels = NDArray[np.uint8]
Numbers = NDArray[np.int64]
Probabilities = dict[str, NDArray[np.float32]]      # head -> (N, classes)


class Network(Protocol):
    """Pixels in, probabilities out; normalisation is inside."""

    card: Card

    def answer(self, images: Pixels, numbers: Numbers | None = None) -> Probabilities:
        """uint8 (N, C, H, W), and (N,) numbers 0..9 where the card says so -> probabilities of each head."""


def finite(answers: Probabilities, path: Path) -> Probabilities:
    """Return the answers; NoNumbers if one is NaN or infinity."""
    for head, probabilities in answers.items():
        if not np.isfinite(probabilities).all():
            raise NoNumbers(path, head)
    return answers


def open_network(source: Run | str | Path) -> Network:
    """The network of a bundle or of a finished run; RunError where a path is neither. Only a run needs torch."""
    from featherweight.inference.bundle import Bundle, is_bundle

    if isinstance(source, str | Path) and is_bundle(source):
        return Bundle.open(source)
    try:
        from featherweight.inference.trained import TrainedNetwork
    except ModuleNotFoundError as fault:
        if fault.name != "torch":
            raise
        raise FeatherweightError(f"{str(source)!r} is no bundle, and a run needs torch, which is not installed. "
                                 f"Install torch, or give a bundle: {call('export', 'RUN', to='bundle')}") from fault
    return TrainedNetwork.open(source)
