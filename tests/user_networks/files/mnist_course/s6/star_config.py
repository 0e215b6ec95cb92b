import torch.nn as nn
import torch.nn.functional as F

from more_config import *


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        a, b, c = channels
        self.conv1 = nn.Conv2d(1, a, 3)
        self.conv2 = nn.Conv2d(a, b, 3, stride=2)
        self.conv3 = nn.Conv2d(b, c, 3)
        self.drop = nn.Dropout(drop)
        self.out = nn.Linear(c, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x.to(device)))
        x = F.relu(self.conv2(x))
        x = self.drop(F.relu(self.conv3(x)))
        x = F.adaptive_avg_pool2d(x, (1, 1))
        return F.log_softmax(self.out(x.view(-1, last)), dim=1)
