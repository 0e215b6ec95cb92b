"""Feather-cifar: 54,842 parameters, for colour images of 32x32 pixels."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from featherweight.models.layers import separable


class FeatherCifar(nn.Module):
    """(N, 3, 32, 32) normalised images -> (N, classes) log-probabilities.

    A 3x3 convolution, separable convolutions, two max poolings, global average pooling and a 1x1 head.
    Source: feather-20k, made wider. It was not measured.
    """

    input_shapes: ClassVar = ((3, 32, 32),)

    def __init__(self, in_channels: int = 3, classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 32, 3, bias=False),  # 30x30, receptive field 3
            nn.BatchNorm2d(32),
            nn.ReLU(),
            *separable(32, 48),                         # 28x28, 5
            nn.MaxPool2d(2),                            # 14x14, 6
            *separable(48, 64),                         # 12x12, 10
            *separable(64, 96),                         # 10x10, 14
            nn.MaxPool2d(2),                            # 5x5, 16
            *separable(96, 128),                        # 3x3, 24
            *separable(128, 192),                       # 1x1, 32
            nn.AdaptiveAvgPool2d(1),                    # 1x1, the whole image
            nn.Conv2d(192, classes, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.log_softmax(self.features(x).flatten(1), dim=-1)
