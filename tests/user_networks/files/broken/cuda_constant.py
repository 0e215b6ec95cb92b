import torch
import torch.nn as nn

device = "cuda:0"


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3, stride=3)
        self.fc = nn.Linear(486, 10)
        self.to(device)

    def forward(self, x):
        return self.fc(torch.flatten(torch.relu(self.conv(x)), 1))
