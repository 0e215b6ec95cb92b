"""The network of session 5 with an average over all places before its first Linear layer. Used by lesson 4."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Session5Pooled(nn.Module):
    """The network of session 5 with an average over all places; 401,200 parameters.

    Input: (N, in_channels, 28, 28) normalised images. Output: (N, classes) log-probabilities.
    """

    def __init__(self, in_channels: int = 1, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.conv3 = nn.Conv2d(64, 128, 3)
        self.conv4 = nn.Conv2d(128, 256, 3)
        self.fc1 = nn.Linear(256, 50)
        self.fc2 = nn.Linear(50, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))                       # 32 x 26x26, receptive field 3
        x = F.relu(F.max_pool2d(self.conv2(x), 2))      # 64 x 24x24, 5 -> 12x12, 6
        x = F.relu(self.conv3(x))                       # 128 x 10x10, 10
        x = F.relu(F.max_pool2d(self.conv4(x), 2))      # 256 x 8x8, 14 -> 4x4, 16
        x = x.mean(dim=(2, 3))                          # 256: each channel's mean over its 16 places
        x = F.relu(self.fc1(x))                         # 256 -> 50
        return F.log_softmax(self.fc2(x), dim=-1)
