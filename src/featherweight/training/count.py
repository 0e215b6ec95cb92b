"""Running losses and right answers, kept on the device: to ask for them is to wait for all that it has to do."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from featherweight.training.state import Position


class Count:
    """Of the epoch under way, for R trainings of one make that stand at the same step; it goes on from there."""

    def __init__(self, positions: Sequence[Position], heads: int, device: torch.device) -> None:
        double = torch.float32 if device.type == "mps" else torch.float64      # MPS has none
        self.loss = torch.tensor([one.loss_sum for one in positions], dtype=double, device=device)          # (R,)
        self.correct = torch.tensor([one.correct or [0] * heads for one in positions], device=device)   # (R, heads)
        self.seen = positions[0].seen

    def row(self, index: int) -> Count:
        """The part of one training; what is added to it is added here."""
        part = copy.copy(self)
        part.loss, part.correct = self.loss[index : index + 1], self.correct[index : index + 1]
        return part

    def add(self, losses: Tensor, outputs: Sequence[Tensor], targets: Sequence[Tensor]) -> None:
        """One batch: (R,) mean losses, and for each head (R, N, classes) beside (R, N).

        In place and without a look at what is counted; seen is counted by whoever knows how many images there were.
        """
        self.loss += losses.to(self.loss.dtype) * targets[0].shape[1]
        right = [(head.argmax(dim=2) == target).sum(dim=1) for head, target in zip(outputs, targets, strict=True)]
        self.correct += torch.stack(right, dim=1)

    def write(self, positions: Sequence[Position]) -> None:
        """Tell each training its sums."""
        for position, loss, correct in zip(positions, self.loss.tolist(), self.correct.tolist(), strict=True):
            position.loss_sum, position.correct, position.seen = loss, correct, self.seen

    def clear(self) -> None:
        """Begin another epoch."""
        self.loss.zero_()
        self.correct.zero_()
        self.seen = 0
