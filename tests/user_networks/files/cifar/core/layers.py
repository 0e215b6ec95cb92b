import torch.nn as nn


def conv_bn(cin, cout, k=3, s=1, p=1):
    return nn.Sequential(nn.Conv2d(cin, cout, k, s, p, bias=False), nn.BatchNorm2d(cout), nn.ReLU(True))


class GlobalPool(nn.Module):
    def forward(self, x):
        return x.mean(-1).mean(-1)
