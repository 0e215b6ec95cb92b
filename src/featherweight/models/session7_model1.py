"""Session 7, model 1: 4,312 parameters. A Dropout on the logits limits its training accuracy."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn


class Session7Model1(nn.Module):
    """(N, 1, 28, 28) normalised images -> (N, classes) log-probabilities. Source: document 002, Model1.

    The document gives no dropout rate. The default 0.1 explains the document's training accuracy of 88.88 %: in a
    tenth of the cases the logit of the right class is dropped.
    """

    input_shapes: ClassVar = ((1, 28, 28),)

    def __init__(self, in_channels: int = 1, classes: int = 10, dropout: float = 0.1) -> None:
        super().__init__()

        def block(channels: int, out_channels: int, padding: int = 0) -> list[nn.Module]:
            conv = nn.Conv2d(channels, out_channels, 3, padding=padding, bias=False)
            return [conv, nn.ReLU(), nn.BatchNorm2d(out_channels), nn.Dropout(dropout)]

        self.features = nn.Sequential(
            *block(in_channels, 8),                 # 26x26, receptive field 3
            *block(8, 16),                          # 24x24, 5
            nn.Conv2d(16, 10, 1, bias=False),       # 24x24, mixes channels before the pool
            nn.MaxPool2d(2),                        # 12x12, 6
            *block(10, 10),                         # 10x10, 10
            *block(10, 10, padding=1),              # 10x10, 14
            nn.MaxPool2d(2),                        # 5x5, 16
            *block(10, 10, padding=1),              # 5x5, 24
            nn.AvgPool2d(5),                        # 1x1, 40
        )
        self.head = nn.Sequential(
            nn.Conv2d(10, classes, 1, bias=False),
            nn.BatchNorm2d(classes),
            nn.ReLU(),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(self.features(x))             # (N, classes, 1, 1)
        return F.log_softmax(x.flatten(1), dim=-1)
