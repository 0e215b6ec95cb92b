"""Session 7, models 2 and 3: 7,524 parameters, without padding, bias or global pooling."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn


class Session7Model2(nn.Module):
    """(N, 1, 28, 28) normalised images -> (N, classes) log-probabilities.

    Source: document 002, Model2 and Model3: one network, trained with two schedules.
    """

    input_shapes: ClassVar = ((1, 28, 28),)

    def __init__(self, in_channels: int = 1, classes: int = 10) -> None:
        super().__init__()

        def block(channels: int, out_channels: int) -> list[nn.Module]:
            return [nn.Conv2d(channels, out_channels, 3, bias=False), nn.ReLU(), nn.BatchNorm2d(out_channels)]

        self.features = nn.Sequential(
            *block(in_channels, 8),                 # 26x26, receptive field 3
            *block(8, 16),                          # 24x24, 5
            nn.Conv2d(16, 10, 1, bias=False),       # 24x24, mixes channels before the pool
            nn.MaxPool2d(2),                        # 12x12, 6
            *block(10, 10),                         # 10x10, 10
            *block(10, 16),                         # 8x8, 14
            *block(16, 10),                         # 6x6, 18
            *block(10, 10),                         # 4x4, 22
            *block(10, 10),                         # 2x2, 26
            nn.Conv2d(10, classes, 2, bias=False),  # 1x1, 28: the whole image
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.log_softmax(self.features(x).flatten(1), dim=-1)
