import torch.nn as nn
import torch.nn.functional as F


class NetV2(nn.Module):
    def __init__(self):
        super(NetV1, self).__init__()
        self.conv1 = nn.Conv2d(1, 6, 3)
        self.fc = nn.Linear(6, 10)

    def forward(self, x):
        return self.fc(F.adaptive_avg_pool2d(self.conv1(x), 1).flatten(1))
