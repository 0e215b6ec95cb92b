import torch
import torch.nn as nn
import torch.nn.functional as F
from helpers import DROPOUT


class ConvNet(nn.Module):
    def __init__(self):
        super(ConvNet, self).__init__()
        self.layer1 = nn.Sequential(nn.Conv2d(1, 6, 5, stride=1, padding=2), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(4, stride=4))
        self.layer2 = nn.Sequential(nn.Conv2d(6, 8, 5, stride=1, padding=2), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2, stride=2))
        self.drop_out = nn.Dropout(p=DROPOUT)
        self.fc = nn.Linear(3 * 3 * 8, 10)

    def forward(self, x):
        out = self.layer2(self.layer1(x))
        out = out.reshape(out.size(0), -1)
        return self.fc(self.drop_out(out))
