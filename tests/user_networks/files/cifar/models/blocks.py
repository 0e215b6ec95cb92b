import torch.nn as nn


class SeparableConv(nn.Module):
    """Depthwise, then pointwise."""

    def __init__(self, cin, cout, stride=1, dilation=1):
        super(SeparableConv, self).__init__()
        self.depthwise = nn.Conv2d(cin, cin, 3, stride=stride, padding=dilation, dilation=dilation, groups=cin, bias=False)
        self.pointwise = nn.Conv2d(cin, cout, 1, bias=False)
        self.bn = nn.BatchNorm2d(cout)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.bn(self.pointwise(self.depthwise(x))))


class Transition(nn.Module):
    def __init__(self, cin, cout):
        super(Transition, self).__init__()
        self.conv = nn.Conv2d(cin, cout, 1, bias=False)
        self.pool = nn.MaxPool2d(2, 2)

    def forward(self, x):
        return self.pool(self.conv(x))
