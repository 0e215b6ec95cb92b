"""The network as it is exported: pixels in, probabilities out, normalisation inside."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from featherweight.forward import as_input
from featherweight.graph.lowering import lower
from featherweight.graph.passes import record_on
from featherweight.graph.plain import StepGraph
from featherweight.inference.card import Card
from featherweight.tasks import heads_of


class Pixels(nn.Module):
    """A network with normalisation before it and a softmax for each head after it.

    Inputs: images, uint8 (N, C, H, W); if the network adds a number, also numbers, int64 (N,).
    Outputs: the probabilities of each head, (N, classes).
    """

    def __init__(self, module: nn.Module, mean: Sequence[float], std: Sequence[float], counts: Sequence[int]) -> None:
        super().__init__()
        self.module = module
        self.mean, self.std = nn.Buffer(torch.tensor(mean)), nn.Buffer(torch.tensor(std))
        self.counts = counts        # classes of each head

    def forward(self, images: Tensor, numbers: Tensor | None = None) -> tuple[Tensor, ...]:
        pixels = as_input(images, self.mean, self.std)
        more = () if numbers is None else (F.one_hot(numbers, 10).float(),)
        answers = [head.softmax(dim=1) for head in heads_of(self.module(pixels, *more), len(images))]
        return tuple(answer[:, :count] for answer, count in zip(answers, self.counts, strict=True))


class PixelsToProbabilities(Pixels):
    """The module that is exported: `Pixels` around a copy of the network."""

    def __init__(self, module: nn.Module, card: Card) -> None:
        # a contiguous copy: for weights in channels-last format the exporter adds nodes that compute shapes
        twin = copy.deepcopy(module)
        twin = twin.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        super().__init__(twin, card.mean, card.std, [len(labels) for labels in card.heads.values()])


def example_inputs(card: Card) -> tuple[Tensor, ...]:
    """Return two black images, and two numbers if the network adds a number."""
    size = card.picture.size
    images = torch.zeros(2, len(card.mean), size, size, dtype=torch.uint8)
    return (images, torch.zeros(2, dtype=torch.int64)) if card.takes_number else (images,)


def plain_network(module: nn.Module, card: Card) -> StepGraph:
    """Return a network as a list of plain layers, from pixels to the probabilities of each head.

    Raises ModelError, in one line that names the layer, if an operation is not supported.
    """
    examples = example_inputs(card)
    record = record_on(PixelsToProbabilities(module, card), examples)
    return lower(record, ("images", "numbers")[: len(examples)], list(card.heads))
