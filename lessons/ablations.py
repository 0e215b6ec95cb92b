"""The network of session 6 with three parts that can be removed. Used by lesson 6."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Session6Parts(nn.Module):
    """The network of session 6, with 16,976 parameters if no part is removed.

    Input: (N, in_channels, 28, 28) normalised images. Output: (N, classes) log-probabilities.

    - norm=False: a bias in each convolution replaces batch normalisation.
    - dropout=0: no dropout.
    - average=False: a 5x5 convolution replaces the average over the last 5x5 places and the Linear layer after it.
    """

    def __init__(
        self, in_channels: int = 1, classes: int = 10, norm: bool = True, dropout: float = 0.05, average: bool = True
    ) -> None:
        super().__init__()

        def block(channels: int, kernel_size: int, padding: int = 0, drop: bool = True) -> list[nn.Module]:
            layers: list[nn.Module] = [nn.Conv2d(channels, 16, kernel_size, padding=padding, bias=not norm)]
            if norm:
                layers.append(nn.BatchNorm2d(16))
            layers.append(nn.ReLU())
            if drop and dropout > 0:
                layers.append(nn.Dropout(dropout))
            return layers

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
        )
        self.head: nn.Module
        if average:
            self.head = nn.Sequential(nn.AvgPool2d(5), nn.Flatten(1), nn.Linear(16, classes, bias=False))
        else:
            self.head = nn.Sequential(nn.Conv2d(16, classes, 5, bias=False), nn.Flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        return F.log_softmax(self.head(self.features(x)), dim=-1)
