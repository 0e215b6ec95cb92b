"""Feather-8k: 7,878 parameters."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from featherweight.models.layers import separable


class Feather8k(nn.Module):
    """(N, 1, 28, 28) normalised images -> (N, classes) log-probabilities.

    A 3x3 convolution, separable convolutions, one early max pooling, global average pooling and a 1x1 head.
    Source: chosen on validation images, docs/experiments.md.
    """

    input_shapes: ClassVar = ((1, 28, 28),)

    def __init__(self, in_channels: int = 1, classes: int = 10, dropout: float = 0.03) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 10, 3, bias=False),  # 26x26, receptive field 3
            nn.BatchNorm2d(10),
            nn.ReLU(),
            nn.Dropout(dropout),
            *separable(10, 20, dropout),                # 24x24, 5
            nn.MaxPool2d(2),                            # 12x12, 6
            *separable(20, 32, dropout),                # 10x10, 10
            *separable(32, 40, dropout),                # 8x8, 14
            *separable(40, 40, dropout),                # 6x6, 18
            *separable(40, 48, dropout),                # 4x4, 22
            nn.AdaptiveAvgPool2d(1),                    # 1x1, the whole image
            nn.Conv2d(48, classes, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.log_softmax(self.features(x).flatten(1), dim=-1)
