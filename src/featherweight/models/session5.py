"""Session 5: 593,200 parameters, a third of them in the first Linear layer."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn


class Session5(nn.Module):
    """(N, 1, 28, 28) normalised images -> (N, classes) log-probabilities. Source: document 000."""

    input_shapes: ClassVar = ((1, 28, 28),)

    def __init__(self, in_channels: int = 1, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.conv3 = nn.Conv2d(64, 128, 3)
        self.conv4 = nn.Conv2d(128, 256, 3)
        self.fc1 = nn.Linear(4 * 4 * 256, 50)
        self.fc2 = nn.Linear(50, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))                       # 32 x 26x26, receptive field 3
        x = F.relu(F.max_pool2d(self.conv2(x), 2))      # 64 x 24x24, 5 -> 12x12, 6
        x = F.relu(self.conv3(x))                       # 128 x 10x10, 10
        x = F.relu(F.max_pool2d(self.conv4(x), 2))      # 256 x 8x8, 14 -> 4x4, 16
        x = F.relu(self.fc1(x.flatten(1)))              # 4096 -> 50, the whole image
        return F.log_softmax(self.fc2(x), dim=-1)
