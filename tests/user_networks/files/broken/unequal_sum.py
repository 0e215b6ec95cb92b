import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 8, 3)
        self.fc = nn.Linear(8, 10)

    def forward(self, x):
        x = self.conv1(x)
        y = self.conv2(F.relu(x))
        x = x + y
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))
