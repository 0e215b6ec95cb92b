"""Session 6: 16,976 parameters. Batch normalisation, light dropout, average pooling instead of a wide Linear."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn


class Session6(nn.Module):
    """(N, 1, 28, 28) normalised images -> (N, classes) log-probabilities. Source: document 003, part 2."""

    input_shapes: ClassVar = ((1, 28, 28),)

    def __init__(self, in_channels: int = 1, classes: int = 10, dropout: float = 0.05) -> None:
        super().__init__()

        def block(channels: int, kernel_size: int, padding: int = 0, drop: bool = True) -> list[nn.Module]:
            conv = nn.Conv2d(channels, 16, kernel_size, padding=padding, bias=False)
            layers: list[nn.Module] = [conv, nn.BatchNorm2d(16), nn.ReLU()]
            return [*layers, nn.Dropout(dropout)] if drop else layers

        self.features = nn.Sequential(
            *block(in_channels, 3, drop=False),     # 26x26, receptive field 3
            *block(16, 3, drop=False),              # 24x24, 5
            *block(16, 3, drop=False),              # 22x22, 7
            nn.MaxPool2d(2),                        # 11x11, 8
            *block(16, 1),                          # 11x11, 8
            *block(16, 3),                          # 9x9, 12
            *block(16, 3),                          # 7x7, 16
            *block(16, 3),                          # 5x5, 20
            *block(16, 3, padding=1),               # 5x5, 24
            *block(16, 3, padding=1),               # 5x5, 28
            nn.AvgPool2d(5),                        # 1x1, 36
        )
        self.fc = nn.Linear(16, classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x).flatten(1)             # (N, 16)
        return F.log_softmax(self.fc(x), dim=-1)
