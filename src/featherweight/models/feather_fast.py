"""Feather-fast: 18,554 parameters, designed to train in a minute on two cores."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn


class FeatherFast(nn.Module):
    """(N, 1, 28, 28) normalised images -> (N, classes) log-probabilities.

    Time grows with pixels times channels. The first layer therefore crops the empty margin of MNIST's images.
    Channels are multiples of 8, the width of the processor's vectors.
    Source: chosen on validation images, docs/experiments.md.
    """

    input_shapes: ClassVar = ((1, 28, 28),)

    def __init__(self, in_channels: int = 1, classes: int = 10) -> None:
        super().__init__()

        def block(channels: int, out_channels: int) -> list[nn.Module]:
            return [nn.Conv2d(channels, out_channels, 3, bias=False), nn.BatchNorm2d(out_channels), nn.ReLU()]

        self.features = nn.Sequential(
            nn.ZeroPad2d(-2),                           # 24x24
            *block(in_channels, 16),                    # 22x22, receptive field 3
            *block(16, 16),                             # 20x20, 5
            nn.MaxPool2d(2),                            # 10x10, 6
            *block(16, 24),                             # 8x8, 10
            *block(24, 24),                             # 6x6, 14
            nn.MaxPool2d(2),                            # 3x3, 16
            *block(24, 32),                             # 1x1, 24: the whole cropped image
            nn.Conv2d(32, classes, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.log_softmax(self.features(x).flatten(1), dim=-1)
