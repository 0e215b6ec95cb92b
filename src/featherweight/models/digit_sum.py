"""Digit-sum: 21,843 parameters. Classifies a digit and adds a given number to it."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Join(nn.Module):
    """(N, a), (N, b) -> (N, a + b): concatenates the two inputs."""

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return torch.cat([left, right], dim=-1)


class DigitSum(nn.Module):
    """(N, 1, 28, 28) normalised images, (N, 10) one-hot numbers -> log-probabilities of digit and sum.

    Returns (N, 10) for the digit and (N, 19) for the sum 0..18. The document gives no dropout rate.
    Source: document 004.
    """

    input_shapes: ClassVar = ((1, 28, 28), (10,))

    def __init__(self, in_channels: int = 1, dropout: float = 0.05) -> None:
        super().__init__()

        def conv(channels: int, out_channels: int, kernel_size: int = 3, drop: bool = True) -> list[nn.Module]:
            layers: list[nn.Module] = [
                nn.Conv2d(channels, out_channels, kernel_size, bias=False),
                nn.BatchNorm2d(out_channels),
                nn.ReLU(),
            ]
            return [*layers, nn.Dropout(dropout)] if drop else layers

        def linear(features: int, out_features: int) -> list[nn.Module]:
            return [nn.Linear(features, out_features), nn.BatchNorm1d(out_features), nn.ReLU(), nn.Dropout(dropout)]

        self.reader = nn.Sequential(                # 7,840 parameters
            *conv(in_channels, 10),                 # 26x26, receptive field 3
            *conv(10, 10),                          # 24x24, 5
            *conv(10, 15, drop=False),              # 22x22, 7
            nn.MaxPool2d(2),                        # 11x11, 8
            *conv(15, 10, kernel_size=1),           # 11x11, 8
            *conv(10, 10),                          # 9x9, 12
            *conv(10, 10),                          # 7x7, 16
            *conv(10, 10),                          # 5x5, 20
            nn.Conv2d(10, 10, 5, bias=False),       # 1x1, 28
        )
        self.join = Join()                          # 10 + 10, no spatial axes from here on
        self.adder = nn.Sequential(                 # 14,003 parameters
            *linear(20, 32),
            *linear(32, 64),
            *linear(64, 128),
            nn.Linear(128, 19),
        )

    def forward(self, images: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        digit = F.log_softmax(self.reader(images).flatten(1), dim=-1)
        total = self.adder(self.join(digit, numbers))
        return digit, F.log_softmax(total, dim=-1)
