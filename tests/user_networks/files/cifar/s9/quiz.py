import torch
import torch.nn as nn


class QuizNet(nn.Module):
    # x3 = pool(x1 + x2), every layer sees the sum of those before it
    def __init__(self):
        super(QuizNet, self).__init__()
        def block():
            return nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.x1 = nn.Conv2d(3, 8, 1)
        self.x2 = block()
        self.x3 = block()
        self.pool = nn.MaxPool2d(2, 2)
        self.x5 = block()
        self.x6 = block()
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, 10)

    def forward(self, x):
        x1 = self.x1(x)
        x2 = self.x2(x1)
        x3 = self.x3(x1 + x2)
        x4 = self.pool(x1 + x2 + x3)
        x5 = self.x5(x4)
        x6 = self.x6(x4 + x5)
        x = torch.cat([x5, x6], dim=1)
        x = self.gap(x[:, :8] + x[:, 8:])
        return self.fc(torch.flatten(x, 1))
