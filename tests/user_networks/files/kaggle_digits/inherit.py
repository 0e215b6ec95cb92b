import torch.nn as nn
import torch.nn.functional as F


class SmallNet(nn.Module):
    def __init__(self):
        super(SmallNet, self).__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, bias=False)
        self.conv2 = nn.Conv2d(4, 6, 3, bias=False)
        self.fc = nn.Linear(6 * 12 * 12, 10)

    def features(self, x):
        return F.max_pool2d(F.relu(self.conv2(F.relu(self.conv1(x)))), 2)

    def forward(self, x):
        x = self.features(x)
        x = x.view(-1, 6 * 12 * 12)
        return self.fc(x)


class BiggerNet(SmallNet):
    def __init__(self):
        super(BiggerNet, self).__init__()
        self.conv3 = nn.Conv2d(6, 8, 3, bias=False)
        self.fc = nn.Linear(8, 10)

    def features(self, x):
        x = super().features(x)
        return F.adaptive_avg_pool2d(F.relu(self.conv3(x)), 1)

    def forward(self, x):
        return self.fc(self.features(x)[:, :, 0, 0])
