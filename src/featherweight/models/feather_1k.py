"""Feather-1k: 988 parameters."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from featherweight.models.layers import GainlessNorm, RootMeanSquare, separable


class Feather1k(nn.Module):
    """(N, 1, 28, 28) normalised images -> (N, classes) log-probabilities.

    A 3x3 convolution, separable convolutions, one early max pooling, global root-mean-square pooling and a 1x1 head.
    Source: chosen on validation images, docs/experiments.md.
    """

    input_shapes: ClassVar = ((1, 28, 28),)

    def __init__(self, in_channels: int = 1, classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 4, 3, bias=False),           # 26x26, receptive field 3
            GainlessNorm(4),
            nn.ReLU(),
            *separable(4, 8, norm=GainlessNorm),                # 24x24, 5
            nn.MaxPool2d(2),                                    # 12x12, 6
            *separable(8, 10, norm=GainlessNorm),               # 10x10, 10
            *separable(10, 10, norm=GainlessNorm),              # 8x8, 14
            *separable(10, 10, norm=GainlessNorm),              # 6x6, 18
            *separable(10, 10, norm=GainlessNorm),              # 4x4, 22
            RootMeanSquare(),                                   # 1x1, the whole image
            nn.Conv2d(10, classes, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.log_softmax(self.features(x).flatten(1), dim=-1)
