"""Sums of losses and right predictions, kept on the device. Reading them synchronises with the device."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from featherweight.training.state import Position


class Count:
    """Counters of the current epoch for R replicas at the same step. They start from the sums in `positions`."""

    def __init__(self, positions: Sequence[Position], heads: int, device: torch.device) -> None:
        double = torch.float32 if device.type == "mps" else torch.float64      # MPS has no float64
        self.loss = torch.tensor([one.loss_sum for one in positions], dtype=double, device=device)          # (R,)
        self.correct = torch.tensor([one.correct or [0] * heads for one in positions], device=device)   # (R, heads)
        self.seen = positions[0].seen

    def row(self, index: int) -> Count:
        """Return the counters of one replica, as views: adding to them also adds to these counters."""
        part = copy.copy(self)
        part.loss, part.correct = self.loss[index : index + 1], self.correct[index : index + 1]
        return part

    def add(self, losses: Tensor, outputs: Sequence[Tensor], targets: Sequence[Tensor]) -> None:
        """Add one batch in place, without synchronising with the device. The caller adds the images to `seen`.

        losses: (R,), means over images. outputs: (R, N, classes) per head. targets: int64 (R, N) per head.
        """
        self.loss += losses.to(self.loss.dtype) * targets[0].shape[1]
        right = [(head.argmax(dim=2) == target).sum(dim=1) for head, target in zip(outputs, targets, strict=True)]
        self.correct += torch.stack(right, dim=1)

    def write(self, positions: Sequence[Position]) -> None:
        """Copy the sums into the positions. Synchronises with the device."""
        for position, loss, correct in zip(positions, self.loss.tolist(), self.correct.tolist(), strict=True):
            position.loss_sum, position.correct, position.seen = loss, correct, self.seen

    def clear(self) -> None:
        """Set all counters to zero in place, for the next epoch."""
        self.loss.zero_()
        self.correct.zero_()
        self.seen = 0
