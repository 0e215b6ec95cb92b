import torch.nn as nn
import torch.nn.functional as F

from .blocks import SeparableConv, Transition
from utils import helper


class SeparableNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.block1 = SeparableConv(8, 8)
        self.trans1 = Transition(8, 8)
        self.block2 = SeparableConv(8, 12, dilation=2)
        self.trans2 = Transition(12, 8)
        self.block3 = SeparableConv(8, 16)
        self.gap = nn.AvgPool2d(8)
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        x = self.trans1(self.block1(self.conv1(x)))
        x = self.trans2(self.block2(x))
        x = self.gap(self.block3(x))
        x = x.view(-1, 16)
        return F.log_softmax(self.fc(x), dim=-1)


def on_device():
    return SeparableNet().to(helper.get_device())
