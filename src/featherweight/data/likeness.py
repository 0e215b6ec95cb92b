"""Recognise images like those of MNIST by their pixels, for digits that are read from a file or folder."""

from __future__ import annotations

import torch

from featherweight.data.dataset import Dataset
from featherweight.data.sources import DIGITS, SOURCES

SIDE, BOX = 28, 20      # pixels: images of MNIST, and the box into which their ink was scaled
LOOKED_AT = 500         # training images
ALIKE = 0.9             # fraction of them that must look like MNIST; all of MNIST itself do


def is_like_mnist(dataset: Dataset) -> bool:
    """Return True for digits of light ink on black, each scaled to a box of 20 pixels in an image of 28 x 28.

    False for a named data set: its name says what the images are.
    """
    if dataset.name in SOURCES or dataset.classes != DIGITS or dataset.train.shape != (1, SIDE, SIDE):
        return False
    images = dataset.train.first(LOOKED_AT).images[:, 0]
    ink = images > 0
    rows, columns = extent(ink.any(dim=2)), extent(ink.any(dim=1))
    return float((torch.maximum(rows, columns) == BOX).float().mean()) >= ALIKE


def extent(used: torch.Tensor) -> torch.Tensor:
    """Return the number of places from the first True to the last of each row, int64 (N,). used: bool (N, M)."""
    places = torch.arange(used.shape[1])
    last = torch.where(used, places, -1).amax(dim=1)
    first = torch.where(used, places, used.shape[1]).amin(dim=1)
    return (last - first + 1).clamp(min=0)
