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


class TiedTwice(Plain):
    """One convolution called twice, and once more with its weights alone."""

    def __init__(self, in_channels=1, classes=10):
        super().__init__(in_channels, classes)
        self.same = nn.Conv2d(4, 4, 3, padding=1)

    def maps(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.same(F.relu(self.same(x))))
        x = F.conv2d(x, self.same.weight, padding=1)
        return self.conv3(F.relu(self.conv2(x)))


class FunctionalOnly(nn.Module):
    def __init__(self, in_channels=1, classes=10):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(6, in_channels, 5, 5) / 5)
        self.matrix, self.shift = nn.Parameter(torch.randn(6 * 16, classes) / 10), nn.Parameter(torch.zeros(classes))

    def forward(self, x):
        x = F.max_pool2d(torch.relu(F.conv2d(x, self.kernel)), 6)
        return x.flatten(1) @ self.matrix + self.shift


class Grouped(Plain):
    """Normalised in groups."""

    def __init__(self, in_channels=1, classes=10):
        super().__init__(in_channels, classes)
        self.norm = nn.GroupNorm(2, 4)

    def maps(self, x):
        return self.conv3(F.relu(self.conv2(F.relu(self.norm(self.conv1(x))))))


class Residual(Plain):
    def __init__(self, in_channels=1, classes=10):
        super().__init__(in_channels, classes)
        self.side = nn.Conv2d(4, 4, 3, padding=1)

    def maps(self, x):
        x = F.relu(self.conv1(x))
        return self.conv3(F.relu(self.conv2(x + F.relu(self.side(x)))))


class Nested(nn.Module):
    """Sequential in Sequential, a loop over a ModuleList, an empty Sequential, dilation, an adaptive mean."""

    def __init__(self, in_channels=1, classes=10):
        super().__init__()
        self.stem = nn.Sequential(nn.Sequential(nn.Conv2d(in_channels, 4, 3, dilation=2), nn.ReLU()), nn.MaxPool2d(2))
        self.blocks = nn.ModuleList(nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU()) for _ in range(2))
        self.shortcut, self.pool = nn.Sequential(), nn.AdaptiveAvgPool2d(1)
        self.last = nn.Linear(4, classes)

    def forward(self, x):
        x = self.shortcut(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return self.last(self.pool(x).flatten(1))


class ReluAtTheEnd(Plain):
    def forward(self, x):
        return F.relu(super().forward(x))


class SoftmaxAtTheEnd(Plain):
    def forward(self, x):
        return super().forward(x).softmax(-1)


class TooWide(Plain):
    """128 outputs for 10 classes."""

    def __init__(self, in_channels=1, classes=10):
        super().__init__(in_channels, 128)


class Coloured(Plain):
    """Three channels: the data repeat the one that they have."""


class Rows(nn.Module):
    """Conv1d over the rows of the image, with its batch axis fixed to what the image leaves."""

    def __init__(self, in_channels=1, classes=10):
        super().__init__()
        self.conv, self.last = nn.Conv1d(28, 8, 3), nn.Linear(8 * 26, classes)

    def forward(self, x):
        return self.last(F.relu(self.conv(x.squeeze(1))).view(-1, 8 * 26))


class TwoHeads(nn.Module):
    """Image and number in, digit and sum out."""

    input_shapes = ((1, 28, 28), (10,))

    def __init__(self, in_channels=1, classes=10):
        super().__init__()
        self.hidden = nn.Linear(784, 16)
        self.digit, self.sum = nn.Linear(16, classes), nn.Linear(16 + 10, 19)

    def forward(self, image, number):
        x = F.relu(self.hidden(image.flatten(1)))
        return self.digit(x), self.sum(torch.cat([x, number], dim=1))


class Branching(Plain):
    """Takes one of two ways, by what the batch is like."""

    def forward(self, x):
        x = super().forward(x)
        return x if x.sum() > 0 else 2 * x


class Leaky(nn.Sequential):
    """A leaky ReLU in layers of torch alone, and an adaptive pool."""

    def __init__(self, in_channels=1, classes=10):
        super().__init__(nn.Conv2d(in_channels, 4, 3, stride=3), nn.LeakyReLU(0.1), nn.AdaptiveAvgPool2d(3),
                         nn.Flatten(), nn.Linear(36, classes))


class OneLayer(nn.Sequential):
    def __init__(self, in_channels=1, classes=10):
        super().__init__(nn.Flatten(), nn.Linear(784, classes))


class HiddenState(Plain):
    """Adds what the batch before gave."""

    def __init__(self, in_channels=1, classes=10):
        super().__init__(in_channels, classes)
        self.before = 0

    def forward(self, x):
        x = super().forward(x)
        given, self.before = x + self.before, x.detach().mean(dim=0)
        return given


class UnevenPool(Plain):
    """An operation that torch itself cannot write as ONNX."""

    def maps(self, x):
        return super().maps(F.adaptive_max_pool2d(x, 27))


class Reshaped(nn.Module):
    """Eight maps of 7x7 taken for four of 14x7."""

    def __init__(self, in_channels=1, classes=10):
        super().__init__()
        self.conv, self.last = nn.Conv2d(in_channels, 8, 4, stride=4), nn.Conv2d(4, classes, 7)

    def forward(self, x):
        return self.last(F.relu(self.conv(x)).reshape(-1, 4, 14, 7)).mean((2, 3))


class LinearOnRows(nn.Module):
    """A linear layer along the last axis of the image."""

    def __init__(self, in_channels=1, classes=10):
        super().__init__()
        self.rows, self.last = nn.Linear(28, 6, bias=False), nn.Linear(6 * 28, classes)

    def forward(self, x):
        return self.last(F.relu(self.rows(x)).flatten(1))


class Cumulative(Plain):
    """A sum that C does not know."""

    def forward(self, x):
        return super().forward(x).cumsum(1)


class Threshold(nn.Module):
    """A layer of the user's with an activation that C does not know."""

    def forward(self, x):
        return F.threshold(x, 0.1, 0.0)


class Hidden(Plain):
    """An activation that C does not know, in a named layer."""

    def __init__(self, in_channels=1, classes=10):
        super().__init__(in_channels, classes)
        self.hidden = Threshold()

    def maps(self, x):
        return super().maps(self.hidden(x))
