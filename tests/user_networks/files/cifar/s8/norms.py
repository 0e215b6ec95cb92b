import torch
import torch.nn as nn
import torch.nn.functional as F


def get_norm(norm, channels, size):
    if norm == "BN":
        return nn.BatchNorm2d(channels)
    elif norm == "GN":
        return nn.GroupNorm(2, channels)
    elif norm == "LN":
        return nn.LayerNorm([channels, size, size])
    raise ValueError("norm is one of BN, GN, LN")


class Net(nn.Module):
    def __init__(self, norm, drop, num_classes):
        super(Net, self).__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.ReLU(), get_norm(norm, 6, 32), nn.Dropout(drop))
        self.conv2 = nn.Sequential(nn.Conv2d(6, 8, 3, padding=1, bias=False), nn.ReLU(), get_norm(norm, 8, 32), nn.Dropout(drop))
        self.conv3 = nn.Conv2d(8, 4, 1, bias=False)
        self.pool1 = nn.MaxPool2d(2, 2)
        self.conv4 = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1, bias=False), nn.ReLU(), get_norm(norm, 8, 16), nn.Dropout(drop))
        self.gap = nn.AvgPool2d(16)
        self.conv5 = nn.Conv2d(8, num_classes, 1, bias=False)

    def forward(self, x):
        x = self.pool1(self.conv3(self.conv2(self.conv1(x))))
        x = self.conv5(self.gap(self.conv4(x)))
        x = x.view(-1, x.size(1))
        return F.log_softmax(x, dim=1)
