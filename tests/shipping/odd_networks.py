"""Networks as beginners write them, on 28x28 images: each trains an epoch of the digits in a fraction of a second."""

import torch
import torch.nn.functional as F
from torch import nn


class Plain(nn.Module):
    """Three convolutions to one place: (N, 1, 28, 28) -> (N, 10, 1, 1)."""

    def __init__(self, in_channels=1, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 4, 3, stride=3)     # 9x9
        self.conv2 = nn.Conv2d(4, 8, 3, stride=3)               # 3x3
        self.conv3 = nn.Conv2d(8, classes, 3)                   # 1x1

    def maps(self, x):
        return self.conv3(F.relu(self.conv2(F.relu(self.conv1(x)))))

    def forward(self, x):
        return self.maps(x).flatten(1)


class Squeezed(Plain):
    def forward(self, x):
        return self.maps(x).squeeze()           # (classes,) for a batch of one


class SqueezedLog(Plain):
    def forward(self, x):
        return F.log_softmax(self.maps(x).squeeze(), dim=1)     # no such axis in a batch of one


class BatchStatistics(Plain):
    def __init__(self, in_channels=1, classes=10):
        super().__init__(in_channels, classes)
        self.norm = nn.BatchNorm1d(classes, track_running_stats=False)

    def forward(self, x):
        return self.norm(super().forward(x))


class AlwaysDropped(Plain):
    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.dropout(x, 0.2)                   # the training flag is True unless it is given
        return self.conv3(F.relu(self.conv2(x))).flatten(1)


class DroppedByAHiddenLayer(Plain):
    def __init__(self, in_channels=1, classes=10):
        super().__init__(in_channels, classes)
        self.layers = [nn.Dropout(0.3)]         # in a list, eval() does not find it

    def forward(self, x):
        return self.layers[0](super().forward(x))


class Noisy(Plain):
    def forward(self, x):
        return super().forward(x + torch.randn_like(x))


class SoftOverTheBatch(Plain):
    def forward(self, x):
        return F.log_softmax(super().forward(x), dim=0)


class MapStatistics(Plain):
    def __init__(self, in_channels=1, classes=10):
        super().__init__(in_channels, classes)
        self.norm = nn.BatchNorm2d(4, track_running_stats=False)

    def forward(self, x):
        return self.conv3(F.relu(self.conv2(F.relu(self.norm(self.conv1(x)))))).flatten(1)


class LessTheMean(Plain):
    def forward(self, x):
        x = super().forward(x)
        return x - x.mean(dim=0)
