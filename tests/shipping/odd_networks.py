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


class DeadUnits(nn.Module):
    """Seven units never fire: their variance falls to nothing, and the normalisation multiplies them by 316."""

    def __init__(self, in_channels=1, classes=10):
        super().__init__()
        self.hidden, self.norm = nn.Linear(784, 32), nn.BatchNorm1d(32, momentum=0.99)
        self.last = nn.Linear(32, classes)
        with torch.no_grad():
            self.hidden.bias[:7] = -50.0

    def forward(self, x):
        return self.last(self.norm(F.relu(self.hidden(x.flatten(1)))))


class StillUnits(DeadUnits):
    """Seven units always give 1."""

    def __init__(self, in_channels=1, classes=10):
        super().__init__(in_channels, classes)
        nn.init.zeros_(self.hidden.weight[:7].detach())
        nn.init.ones_(self.hidden.bias[:7].detach())
        for parameter in self.hidden.parameters():
            parameter.register_hook(lambda slope: torch.cat([0 * slope[:7], slope[7:]]))


class DeadChannels(nn.Module):
    """The same behind a pool, and the image flattened after it."""

    def __init__(self, in_channels=1, classes=10):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(in_channels, 16, 5), nn.BatchNorm2d(16, momentum=0.99)
        self.last = nn.Linear(16 * 36, classes)
        with torch.no_grad():
            self.conv.bias[:7] = -50.0

    def forward(self, x):
        return self.last(self.norm(F.max_pool2d(F.relu(self.conv(x)), 4)).flatten(1))


class NormalisedPixels(nn.Module):
    """Pixels that are hardly ever ink are multiplied by up to 316, and some weigh so much: too much for 8 bits."""

    def __init__(self, in_channels=1, classes=10):
        super().__init__()
        self.norm, self.last = nn.BatchNorm1d(784, momentum=0.99), nn.Linear(784, classes)

    def forward(self, x):
        return self.last(self.norm(x.flatten(1)))
