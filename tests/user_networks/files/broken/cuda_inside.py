import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3, stride=3)
        self.fc = nn.Linear(486, 10)

    def forward(self, x):
        x = torch.relu(self.conv(x))
        mask = torch.ones(x.shape[1]).cuda()
        x = x * mask.view(1, -1, 1, 1)
        return self.fc(x.reshape(x.size(0), -1))
