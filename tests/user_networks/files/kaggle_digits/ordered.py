from collections import OrderedDict
from torch import nn


def build(classes=10):
    return nn.Sequential(OrderedDict([
        ('flatten', nn.Flatten()),
        ('fc1', nn.Linear(784, 20)),
        ('bn1', nn.BatchNorm1d(20)),
        ('relu1', nn.ReLU()),
        ('fc2', nn.Linear(20, classes)),
        ('out', nn.LogSoftmax(dim=1)),
    ]))


model = build().cuda()
