"""Session 1: 6,379,786 parameters, wide and padded. A ReLU on the logits limits its accuracy to 28 %."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn


class Session1(nn.Module):
    """(N, 1, 28, 28) normalised images -> (N, classes) log-probabilities. Source: document 001.

    final_relu=True is the network as documented. The ReLU sets negative logits and their gradients to 0, so a class
    whose logit is negative for all images is never learned.
    """

    input_shapes: ClassVar = ((1, 28, 28),)

    def __init__(self, in_channels: int = 1, classes: int = 10, final_relu: bool = True) -> None:
        super().__init__()
        self.final_relu = final_relu
        self.conv1 = nn.Conv2d(in_channels, 32, 3, padding=1)   # 28x28, receptive field 3
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)            # 28x28, 5
        self.pool1 = nn.MaxPool2d(2)                            # 14x14, 6
        self.conv3 = nn.Conv2d(64, 128, 3, padding=1)           # 14x14, 10
        self.conv4 = nn.Conv2d(128, 256, 3, padding=1)          # 14x14, 14
        self.pool2 = nn.MaxPool2d(2)                            # 7x7, 16
        self.conv5 = nn.Conv2d(256, 512, 3)                     # 5x5, 24
        self.conv6 = nn.Conv2d(512, 1024, 3)                    # 3x3, 32
        self.conv7 = nn.Conv2d(1024, classes, 3)                # 1x1, 40

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool1(F.relu(self.conv2(F.relu(self.conv1(x)))))
        x = self.pool2(F.relu(self.conv4(F.relu(self.conv3(x)))))
        x = self.conv7(F.relu(self.conv6(F.relu(self.conv5(x)))))
        x = F.relu(x) if self.final_relu else x
        return F.log_softmax(x.flatten(1), dim=-1)              # (N, classes, 1, 1) -> (N, classes)
